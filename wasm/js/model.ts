import { describe, describeEncoder } from './describe.js';
import { encoderPart, engine } from './engine.js';
import { DisposedError, KindError, OptionError, TrilaneError, translated } from './errors.js';
import { LocalGeneration, type Owner } from './generation.js';
import { eachVector, laneNumber, text, tokenList } from './options.js';
import { Pacer } from './pause.js';
import { receive } from './receive.js';
import { open, type Arriving } from './source.js';
import type * as native from './trilane.js';
import type { Encoder } from './trilane_encoder.js';
import type {
  Digests,
  EmbedOptions,
  GenerateOptions,
  Generation,
  Lane,
  LaneDigests,
  LaneOption,
  LanguageModel,
  LayerErrors,
  LoadOptions,
  ModelInfo,
  Source,
} from './types.js';

/** Tokens of the fixed run of the digests. */
const FIXED_TOKENS = 16;

/** A model in this thread. */
export class Model implements LanguageModel {
  readonly info: ModelInfo;
  readonly #held = new Set<() => void>();
  #native: native.Model | Encoder | undefined;

  /**
   * Loads a model, starting the engine that it needs if that does not run. The bytes go straight
   * into the engine's memory, where they lie once.
   *
   * Rejects with a `ModelError` for bytes that hold no model, a `SourceError` for a source that
   * cannot be read, a `MemoryError`, or the signal's reason.
   */
  static async load(source: Source, options: LoadOptions = {}): Promise<Model> {
    options.signal?.throwIfAborted();
    const opened = await open(source, options);
    try {
      return await Model.received(opened, options);
    } catch (error) {
      if (error instanceof TrilaneError && error.code !== 'wasm') await opened.forget();
      throw error;
    } finally {
      opened.close();
    }
  }

  /** @internal */
  static async received(opened: Arriving, options: LoadOptions): Promise<Model> {
    const { name } = opened;
    const { isEncoder, bytes } = await receive(opened, options);
    if (isEncoder) {
      const encoder = translated(name, () => new encoderPart.native.Encoder(bytes));
      return new Model(encoder, describeEncoder(name, encoder));
    }
    const decoder = translated(name, () => new (engine().Model)(bytes));
    return new Model(decoder, describe(name, decoder));
  }

  private constructor(model: native.Model | Encoder, info: ModelInfo) {
    this.#native = model;
    this.info = info;
  }

  get disposed(): boolean {
    return this.#native === undefined;
  }

  generate(prompt: string, options: GenerateOptions = {}): Generation {
    return new LocalGeneration(this.#owner(), prompt, options);
  }

  embed(text: string, options?: EmbedOptions): Promise<Float32Array>;
  embed(texts: readonly string[], options?: EmbedOptions): Promise<Float32Array[]>;
  async embed(
    texts: string | readonly string[],
    { lane = this.#top(), signal }: EmbedOptions = {},
  ): Promise<Float32Array | Float32Array[]> {
    const number = laneNumber(lane);
    this.#encoder();
    const pacer = new Pacer();
    return await eachVector(texts, signal, async (text) => {
      await pacer.pause();
      signal?.throwIfAborted();
      const model = this.#encoder();
      return translated(this.info.source, () => model.embed(new TextEncoder().encode(text), number));
    });
  }

  async tokenize(prompt: string): Promise<Uint32Array> {
    const model = this.#alive();
    const bytes = new TextEncoder().encode(text('text', prompt));
    return translated(this.info.source, () => model.tokenize(bytes));
  }

  async detokenize(tokens: Iterable<number>): Promise<string> {
    const [model, list] = [this.#decoder(), tokenList(tokens)];
    return translated(this.info.source, () => model.detokenize(list));
  }

  async forward(tokens: number | Iterable<number>, options: LaneOption = {}): Promise<Float32Array> {
    this.#decoder();
    const lane = laneNumber(options.lane ?? this.#top());
    const list = this.#fitting(tokenList(tokens));
    const last = list[list.length - 1];
    if (last === undefined) throw new OptionError('option', 'tokens: expected at least one');
    const { source } = this.info;
    const { Sequence } = engine();
    const model = this.#decoder();
    const held = this.#hold(translated(source, () => new Sequence(model, list.length)));
    try {
      const pacer = new Pacer();
      for (const token of list.subarray(0, -1)) {
        translated(source, () => held.thing.forward(token, lane));
        await pacer.pause();
        this.#decoder();
      }
      return translated(source, () => held.thing.logits(last, lane));
    } finally {
      held.release();
    }
  }

  async digest(options: LaneOption = {}): Promise<string> {
    const { digest, lanes } = await this.digests(options);
    return (options.lane && lanes[options.lane]?.digest) ?? digest;
  }

  async digests(options: LaneOption = {}): Promise<Digests> {
    const chosen = options.lane === undefined ? this.info.lanes : [options.lane];
    const lanes: Partial<Record<Lane, LaneDigests>> = {};
    const all: bigint[] = [];
    const pacer = new Pacer();
    for (const lane of chosen) {
      const model = this.#alive();
      const number = laneNumber(lane);
      const values = translated(this.info.source, () => model.digests(number));
      const digest = values[values.length - 1] ?? 0n;
      const [logits = '', ...layers] = Array.from(values.slice(0, -1), hex).reverse();
      lanes[lane] = { digest: hex(digest), layers: layers.reverse(), logits };
      all.push(digest);
      await pacer.pause();
    }
    const { combinedDigest } = this.info.kind === 'encoder' ? encoderPart.native : engine();
    return { digest: hex(combinedDigest(BigUint64Array.from(all))), lanes };
  }

  async layerErrors(options: { text?: string } = {}): Promise<LayerErrors> {
    this.#decoder();
    const { lanes, layers, source, vocabulary } = this.info;
    const fixed = (_: unknown, i: number) => (1 + 37 * i) % vocabulary;
    const tokens =
      options.text === undefined
        ? Uint32Array.from({ length: FIXED_TOKENS }, fixed)
        : this.#fitting(await this.tokenize(options.text));
    const model = this.#decoder();
    const errors = translated(source, () => model.layerErrors(tokens));
    const outputs = layers + 1;
    return {
      reference: this.#top(),
      tokens: tokens.length,
      lanes: lanes.map((lane, i) => ({
        lane,
        layers: Array.from(errors.subarray(i * outputs, i * outputs + layers)),
        logits: errors[i * outputs + layers] ?? 0,
      })),
    };
  }

  dispose(): void {
    for (const release of this.#held) release();
    this.#native?.free();
    this.#native = undefined;
  }

  declare [Symbol.dispose]: () => void;

  #alive(): native.Model | Encoder {
    if (this.#native !== undefined) return this.#native;
    throw new DisposedError('disposed', `${this.info.source}: the model has been disposed`);
  }

  #decoder(): native.Model {
    const [model, { kind, source, architecture }] = [this.#alive(), this.info];
    if (kind === 'decoder') return model as native.Model;
    const is = `an encoder (${architecture}), which gives vectors of texts and writes none`;
    throw new KindError('kind', `${source}: the model is ${is}: call embed`);
  }

  #encoder(): Encoder {
    const [model, { kind, source, architecture }] = [this.#alive(), this.info];
    if (kind === 'encoder') return model as Encoder;
    const is = `a decoder (${architecture}), which writes texts and gives no vectors of them`;
    throw new KindError('kind', `${source}: the model is ${is}: call generate`);
  }

  /** The highest lane, which every model has. */
  #top(): Lane {
    return this.info.lanes[this.info.lanes.length - 1] ?? 'float32';
  }

  /** Tokens that the context has room for. */
  #fitting(tokens: Uint32Array): Uint32Array {
    const { context, source } = this.info;
    if (tokens.length <= context) return tokens;
    const message = `${source}: the context has room for ${context} tokens, not ${tokens.length}`;
    throw new TrilaneError('context', message);
  }

  #hold<T extends { free(): void }>(thing: T): { thing: T; release(): void } {
    const release = () => {
      if (this.#held.delete(release)) thing.free();
    };
    this.#held.add(release);
    return { thing, release };
  }

  #owner(): Owner {
    return {
      native: () => this.#decoder(),
      engine,
      lane: this.#top(),
      name: this.info.source,
      hold: (thing) => this.#hold(thing),
    };
  }
}

// As the language has it where it has it.
if (Symbol.dispose) Model.prototype[Symbol.dispose] = Model.prototype.dispose;

function hex(digest: bigint): string {
  return digest.toString(16).padStart(16, '0');
}
