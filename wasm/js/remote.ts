import type { InitOptions } from './engine.js';
import { DisposedError, OptionError, TrilaneError } from './errors.js';
import { Link, type Port } from './link.js';
import { eachVector } from './options.js';
import { open } from './source.js';
import type { Engines, Thread } from './thread.js';
import type {
  Digests,
  EmbedOptions,
  GenerateOptions,
  Generation,
  LaneOption,
  LanguageModel,
  LayerErrors,
  LoadOptions,
  ModelInfo,
  Source,
  Stats,
} from './types.js';

/** What the thread of the caller offers to the worker. */
export type Remote = {
  /** The next part of the model; `undefined` at its end. */
  part(): Promise<Uint8Array | undefined>;
};

/** A worker, and how to end it. */
export interface Spawned extends Port {
  /** Sets what is called when the worker fails. */
  failed(call: (reason: string) => void): void;
  terminate(): void;
}

const engines: Engines = { decoder: {}, encoder: {} };

/**
 * Says where workers find the engine of decoders, those that are started later; without it they
 * find it by themselves. A response cannot be handed to a worker: rejects with an `OptionError`.
 */
export async function init(options: InitOptions = {}): Promise<void> {
  engines.decoder = portable(options);
}

/** The same for the engine of encoders. */
export async function initEncoder(options: InitOptions = {}): Promise<void> {
  engines.encoder = portable(options);
}

/** Options as a worker can be handed them. */
function portable(options: InitOptions): InitOptions {
  if (typeof Response !== 'undefined' && options.wasm instanceof Response) {
    throw new OptionError('option', 'wasm: a response cannot be handed to a worker');
  }
  const { wasm } = options;
  return wasm instanceof URL ? { ...options, wasm: wasm.href } : options;
}

/** A model in a worker of its own. */
export class RemoteModel implements LanguageModel {
  readonly info: ModelInfo;
  readonly #link: Link<Thread>;
  readonly #worker: Spawned;
  #disposed = false;
  #generations = 0;

  protected constructor(info: ModelInfo, link: Link<Thread>, worker: Spawned) {
    this.info = info;
    this.#link = link;
    this.#worker = worker;
  }

  /** Starts a worker and hands it a model, part by part. */
  protected static async start(
    spawn: () => Spawned,
    source: Source,
    { onProgress, ...options }: LoadOptions,
  ): Promise<[ModelInfo, Link<Thread>, Spawned]> {
    options.signal?.throwIfAborted();
    const { name, total, parts, close, forget } = await open(source, options);
    const arriving = parts[Symbol.asyncIterator]();
    let [loaded, failure] = [0, undefined as { cause: unknown } | undefined];
    const remote: Remote = {
      async part() {
        try {
          const { done, value } = await arriving.next();
          if (done) return undefined;
          loaded += value.length;
          onProgress?.({ loaded, total });
          // A copy, since it is handed over for good.
          return value.slice();
        } catch (cause) {
          failure = { cause };
          throw cause;
        }
      },
    };
    const worker = spawn();
    const link = new Link<Thread>(worker, remote);
    worker.failed((reason) => link.end(new TrilaneError('worker', `the worker failed: ${reason}`)));
    try {
      await link.ask('start', engines);
      return [await link.ask('load', name, total), link, worker];
    } catch (error) {
      worker.terminate();
      options.signal?.throwIfAborted();
      if (failure) throw failure.cause;
      await forget();
      throw error;
    } finally {
      close();
    }
  }

  get disposed(): boolean {
    return this.#disposed;
  }

  generate(prompt: string, options: GenerateOptions = {}): Generation {
    return new RemoteGeneration(this.#link, this.#generations++, prompt, options);
  }

  embed(text: string, options?: EmbedOptions): Promise<Float32Array>;
  embed(texts: readonly string[], options?: EmbedOptions): Promise<Float32Array[]>;
  async embed(
    texts: string | readonly string[],
    { signal, ...options }: EmbedOptions = {},
  ): Promise<Float32Array | Float32Array[]> {
    return await eachVector(texts, signal, (text) => this.#link.ask('embed', text, options));
  }

  async tokenize(text: string): Promise<Uint32Array> {
    return await this.#link.ask('tokenize', text);
  }

  async detokenize(tokens: Iterable<number>): Promise<string> {
    return await this.#link.ask('detokenize', Array.from(tokens));
  }

  async forward(tokens: number | Iterable<number>, options: LaneOption = {}): Promise<Float32Array> {
    const list = typeof tokens === 'number' ? tokens : Array.from(tokens);
    return await this.#link.ask('forward', list, options);
  }

  async digest(options: LaneOption = {}): Promise<string> {
    const { digest, lanes } = await this.digests(options);
    return (options.lane && lanes[options.lane]?.digest) ?? digest;
  }

  async digests(options: LaneOption = {}): Promise<Digests> {
    return await this.#link.ask('digests', options);
  }

  async layerErrors(options: { text?: string } = {}): Promise<LayerErrors> {
    return await this.#link.ask('layerErrors', options);
  }

  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#worker.terminate();
    this.#link.end(new DisposedError('disposed', `${this.info.source}: the model has been disposed`));
  }

  declare [Symbol.dispose]: () => void;
}

// As the language has it where it has it.
if (Symbol.dispose) RemoteModel.prototype[Symbol.dispose] = RemoteModel.prototype.dispose;

/** A generation in a worker. */
class RemoteGeneration implements Generation {
  #stats: Stats = { promptTokens: 0, promptMs: 0, tokens: 0, ms: 0, tokensPerSecond: 0, end: undefined };
  readonly #pieces: AsyncGenerator<string, void, void>;

  constructor(link: Link<Thread>, key: number, prompt: string, options: GenerateOptions) {
    this.#pieces = this.#run(link, key, prompt, options);
  }

  get stats(): Stats {
    return this.#stats;
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

  async *#run(
    link: Link<Thread>,
    key: number,
    prompt: string,
    { signal, ...options }: GenerateOptions,
  ): AsyncGenerator<string, void, void> {
    signal?.throwIfAborted();
    const abort = () => void link.ask('abort', key).catch(() => {});
    signal?.addEventListener('abort', abort, { once: true });
    try {
      await link.ask('generate', key, prompt, options);
      for (;;) {
        const { result, stats } = await link.ask('next', key);
        this.#stats = stats;
        signal?.throwIfAborted();
        if (result.done) return;
        yield result.value;
        signal?.throwIfAborted();
      }
    } catch (error) {
      signal?.throwIfAborted();
      throw error;
    } finally {
      signal?.removeEventListener('abort', abort);
      link.ask('finish', key).catch(() => {});
    }
  }
}
