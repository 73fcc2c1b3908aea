import { translated } from './errors.js';
import { count, laneNumber, number, seed, text } from './options.js';
import { Pacer } from './pause.js';
import { StopTexts } from './stop.js';
import type * as native from './trilane.js';
import type { End, GenerateOptions, Generation, Lane, Stats } from './types.js';

/** What a generation asks of its model. */
export interface Owner {
  /** The engine's model; throws when it was disposed. */
  native(): native.Model;
  /** The engine. */
  engine(): typeof native;
  /** The lane when none is asked for. */
  readonly lane: Lane;
  /** What errors call the model. */
  readonly name: string;
  /** Frees something of the engine when the model is disposed, unless it was before. */
  hold<T extends { free(): void }>(thing: T): { thing: T; release(): void };
}

/** A generation in this thread. */
export class LocalGeneration implements Generation {
  readonly #stats = { promptTokens: 0, promptMs: 0, tokens: 0, steps: 0, ms: 0, end: undefined as End | undefined };
  readonly #pieces: AsyncGenerator<string, void, void>;

  constructor(owner: Owner, prompt: string, options: GenerateOptions) {
    this.#pieces = this.#run(owner, prompt, options);
  }

  get stats(): Stats {
    const { steps, ...stats } = this.#stats;
    return { ...stats, tokensPerSecond: stats.ms > 0 ? (1000 * steps) / stats.ms : 0 };
  }

  next(): Promise<IteratorResult<string>> {
    return this.#pieces.next();
  }

  return(): Promise<IteratorResult<string>> {
    return this.#pieces.return();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async *#run(owner: Owner, prompt: string, options: GenerateOptions): AsyncGenerator<string, void, void> {
    const { signal } = options;
    signal?.throwIfAborted();
    const stops = new StopTexts(options.stop);
    const held = owner.hold(begin(owner, prompt, options));
    const { thing: generation } = held;
    const stats = this.#stats;
    try {
      stats.promptTokens = generation.promptTokens;
      const pacer = new Pacer();
      let since = performance.now();
      for (;;) {
        const inPrompt = generation.taken < stats.promptTokens;
        const piece = translated(owner.name, () => generation.step());
        const now = performance.now();
        if (inPrompt) stats.promptMs += now - since;
        else stats.ms += now - since;
        stats.tokens = generation.tokens;
        stats.steps = generation.taken - stats.promptTokens;
        let shown = stops.push(piece);
        stats.end = stops.found ? 'stop' : (generation.end as End | undefined);
        if (stats.end !== undefined) {
          // Freed before the last piece, after which nobody may come back.
          held.release();
          shown += stops.rest();
        }
        if (shown !== '') yield shown;
        if (stats.end !== undefined) return;
        await pacer.pause();
        signal?.throwIfAborted();
        owner.native();
        since = performance.now();
      }
    } finally {
      held.release();
    }
  }
}

/** The engine's generation. */
function begin(owner: Owner, prompt: string, options: GenerateOptions): native.Generation {
  const model = owner.native();
  const { Generation, Sampling } = owner.engine();
  const bytes = new TextEncoder().encode(text('prompt', prompt));
  const lane = laneNumber(options.lane ?? owner.lane);
  const limit = count('maxTokens', options.maxTokens ?? 128);
  const sampling = new Sampling();
  try {
    const { temperature, topK, topP, minP, repeatPenalty, repeatWindow } = options;
    if (temperature !== undefined) sampling.temperature = number('temperature', temperature);
    if (topK !== undefined) sampling.topK = count('topK', topK);
    if (topP !== undefined) sampling.topP = number('topP', topP);
    if (minP !== undefined) sampling.minP = number('minP', minP);
    if (repeatPenalty !== undefined) sampling.repeatPenalty = number('repeatPenalty', repeatPenalty);
    if (repeatWindow !== undefined) sampling.repeatWindow = count('repeatWindow', repeatWindow);
    if (options.seed !== undefined) sampling.seed = seed(options.seed);
    return translated(owner.name, () => new Generation(model, bytes, lane, limit, sampling));
  } finally {
    sampling.free();
  }
}
