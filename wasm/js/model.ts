import { engine, init } from './engine.js';
import { DisposedError, OptionError, TrilaneError, translated } from './errors.js';
import { LocalGeneration, type Owner } from './generation.js';
import { LANES, laneNumber, text, tokenList } from './options.js';
import { Pacer } from './pause.js';
import { open, type Arriving } from './source.js';
import type * as native from './trilane.js';
import type {
  Digests,
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
  #native: native.Model | undefined;

  /**
   * Loads a model, starting the engine if it does not run. The bytes go straight into the engine's
   * memory, where they lie once.
   *
   * Rejects with a `ModelError` for bytes that hold no model, a `SourceError` for a source that
   * cannot be read, a `MemoryError`, or the signal's reason.
   */
  static async load(source: Source, options: LoadOptions = {}): Promise<Model> {
    options.signal?.throwIfAborted();
    await init();
    const opened = await open(source, options);
    try {
      return await Model.received(opened, options);
    } catch (error) {
      if (error instanceof TrilaneError) await opened.forget();
      throw error;
    } finally {
      opened.close();
    }
  }

  /** @internal */
  static async received(opened: Arriving, options: LoadOptions): Promise<Model> {
    const bytes = await received(opened, options);
    return new Model(opened.name, translated(opened.name, () => new (engine().Model)(bytes)));
  }

  private constructor(source: string, model: native.Model) {
    this.#native = model;
    this.info = describe(source, model);
  }

  get disposed(): boolean {
    return this.#native === undefined;
  }

  generate(prompt: string, options: GenerateOptions = {}): Generation {
    return new LocalGeneration(this.#owner(), prompt, options);
  }

  async tokenize(prompt: string): Promise<Uint32Array> {
    const model = this.#model();
    const bytes = new TextEncoder().encode(text('text', prompt));
    return translated(this.info.source, () => model.tokenize(bytes));
  }

  async detokenize(tokens: Iterable<number>): Promise<string> {
    const [model, list] = [this.#model(), tokenList(tokens)];
    return translated(this.info.source, () => model.detokenize(list));
  }

  async forward(tokens: number | Iterable<number>, options: LaneOption = {}): Promise<Float32Array> {
    const lane = laneNumber(options.lane ?? this.#top());
    const list = this.#fitting(tokenList(tokens));
    const last = list[list.length - 1];
    if (last === undefined) throw new OptionError('option', 'tokens: expected at least one');
    const { source } = this.info;
    const { Sequence } = engine();
    const model = this.#model();
    const held = this.#hold(translated(source, () => new Sequence(model, list.length)));
    try {
      const pacer = new Pacer();
      for (const token of list.subarray(0, -1)) {
        translated(source, () => held.thing.forward(token, lane));
        await pacer.pause();
        this.#model();
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
      const model = this.#model();
      const number = laneNumber(lane);
      const values = translated(this.info.source, () => model.digests(number));
      const digest = values[values.length - 1] ?? 0n;
      const [logits = '', ...layers] = Array.from(values.slice(0, -1), hex).reverse();
      lanes[lane] = { digest: hex(digest), layers: layers.reverse(), logits };
      all.push(digest);
      await pacer.pause();
    }
    return { digest: hex(engine().combinedDigest(BigUint64Array.from(all))), lanes };
  }

  async layerErrors(options: { text?: string } = {}): Promise<LayerErrors> {
    const { lanes, layers, source, vocabulary } = this.info;
    const fixed = (_: unknown, i: number) => (1 + 37 * i) % vocabulary;
    const tokens =
      options.text === undefined
        ? Uint32Array.from({ length: FIXED_TOKENS }, fixed)
        : this.#fitting(await this.tokenize(options.text));
    const model = this.#model();
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

  #model(): native.Model {
    if (this.#native !== undefined) return this.#native;
    throw new DisposedError('disposed', `${this.info.source}: the model has been disposed`);
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
      native: () => this.#model(),
      engine,
      lane: this.#top(),
      name: this.info.source,
      hold: (thing) => this.#hold(thing),
    };
  }
}

// As the language has it where it has it.
if (Symbol.dispose) Model.prototype[Symbol.dispose] = Model.prototype.dispose;

/** A source's bytes, in the engine's memory. */
async function received(opened: Arriving, { onProgress, signal }: LoadOptions): Promise<native.Bytes> {
  const { name, parts, total } = opened;
  const { Bytes } = engine();
  const pacer = new Pacer();
  let loaded = 0;
  const arrived = async (part: Uint8Array) => {
    loaded += part.length;
    onProgress?.({ loaded, total });
    await pacer.pause();
    signal?.throwIfAborted();
  };
  // Memory of the engine never shrinks, so it is asked for when the size is known.
  const waiting: Uint8Array[] = [];
  if (total === undefined) {
    for await (const part of parts) {
      waiting.push(part);
      await arrived(part);
    }
  }
  const bytes = translated(name, () => new Bytes(total ?? loaded));
  try {
    for (const part of waiting) translated(name, () => bytes.append(part));
    if (total !== undefined) {
      for await (const part of parts) {
        translated(name, () => bytes.append(part));
        await arrived(part);
      }
    }
    return bytes;
  } catch (error) {
    bytes.free();
    throw error;
  }
}

function describe(source: string, model: native.Model): ModelInfo {
  const metadata = model.metadata() as Map<string, string | number | bigint | boolean>;
  const bytesPerToken: Partial<Record<Lane, number>> = {};
  LANES.forEach((lane, number) => {
    const bytes = model.bytesPerToken(number);
    if (bytes !== undefined) bytesPerToken[lane] = bytes;
  });
  const name = metadata.get('general.name');
  return {
    source,
    name: name === undefined ? undefined : String(name),
    architecture: String(metadata.get('general.architecture')),
    parameters: model.weights,
    bytes: model.bytes,
    lanes: LANES.filter((lane) => lane in bytesPerToken),
    bytesPerToken,
    vocabulary: model.vocabulary,
    context: model.context,
    layers: model.layers,
    dim: model.dim,
    hidden: model.hidden,
    heads: model.heads,
    kvHeads: model.kvHeads,
    headDim: model.headDim,
    metadata,
  };
}

function hex(digest: bigint): string {
  return digest.toString(16).padStart(16, '0');
}
