/** How precisely weights are read, from the fewest bits to the most. */
export type Lane = 'ternary' | 'bit3' | 'bit5' | 'bit7' | 'float32';

/**
 * Where a model comes from: an address (in Node also a path or a `file:` address), a request or
 * its response, a file that the user chose, bytes, or a stream of bytes.
 */
export type Source =
  | string
  | URL
  | Request
  | Response
  | Blob
  | ArrayBuffer
  | Uint8Array
  | ReadableStream<Uint8Array>;

/** How far a model has come. */
export interface Progress {
  /** Bytes that have arrived. */
  readonly loaded: number;
  /** Bytes in all, where the source says so. */
  readonly total: number | undefined;
}

/** Options of loading. */
export interface LoadOptions {
  /** Called after each part that arrived. */
  onProgress?: (progress: Progress) => void;
  /** Ends the download; loading then rejects with the signal's reason. */
  signal?: AbortSignal;
  /**
   * Name of a cache in the browser's Cache Storage, where an address is looked up first and its
   * download kept. Without Cache Storage (Node, insecure pages), or when it is full, the model is
   * downloaded as if there were none.
   * @defaultValue false
   */
  cache?: false | string;
}

/** Options of a text that goes on. All defaults are those of `trilane run`. */
export interface GenerateOptions {
  /** @defaultValue the highest lane of the model */
  lane?: Lane;
  /** Lower is more predictable; 0 always takes the likeliest token. @defaultValue 0.8 */
  temperature?: number;
  /** Choose among so many of the likeliest tokens; 0 among all. @defaultValue 40 */
  topK?: number;
  /** Choose among the likeliest tokens that have this probability together. @defaultValue 0.95 */
  topP?: number;
  /** Leave out tokens less likely than this share of the likeliest. @defaultValue 0.05 */
  minP?: number;
  /** Make recent tokens less likely to come again; 1 does nothing. @defaultValue 1 */
  repeatPenalty?: number;
  /** How many tokens are recent. @defaultValue 64 */
  repeatWindow?: number;
  /** The most tokens to generate. @defaultValue 128 */
  maxTokens?: number;
  /**
   * Where chance begins, 0 to 2⁶⁴ − 1. The same seed gives the same text on every machine.
   * @defaultValue 0
   */
  seed?: number | bigint;
  /** Texts that end the generation; they are left out. */
  stop?: string | readonly string[];
  /** Ends the generation; iterating then rejects with the signal's reason. */
  signal?: AbortSignal;
}

/** Options of vectors. */
export interface EmbedOptions extends LaneOption {
  /** Ends the computation after the text it is at; it then rejects with the signal's reason. */
  signal?: AbortSignal;
}

/**
 * Why a generation ended: `maxTokens` were generated, the model ended its text, the context is
 * full, or a stop text came.
 */
export type End = 'limit' | 'text' | 'context' | 'stop';

/** How a generation goes. */
export interface Stats {
  /** Tokens of the prompt. */
  readonly promptTokens: number;
  /** Milliseconds of computing them. */
  readonly promptMs: number;
  /** Tokens generated so far. */
  readonly tokens: number;
  /** Milliseconds of computing after the prompt; what the caller did meanwhile is not counted. */
  readonly ms: number;
  /** Tokens computed after the prompt, a second; 0 before the first. */
  readonly tokensPerSecond: number;
  /** Why it ended, once it has. */
  readonly end: End | undefined;
}

/**
 * Pieces of text as they come, whole characters only. Leaving a `for await` loop frees what the
 * generation holds; so does its end, an error, or disposing the model.
 */
export interface Generation extends AsyncIterableIterator<string> {
  /** How it goes; of the moment when it is read. */
  readonly stats: Stats;
  return(): Promise<IteratorResult<string>>;
}

/** What a model is. */
export interface ModelInfo {
  /** Where it came from, as errors name it. */
  readonly source: string;
  /** A decoder writes texts, an encoder gives vectors of them. */
  readonly kind: 'decoder' | 'encoder';
  /** `general.name` of the file. */
  readonly name: string | undefined;
  /** `general.architecture` of the file. */
  readonly architecture: string;
  /** Weights in matrices; one that serves as embedding and output counts once. */
  readonly parameters: number;
  /** Bytes of the file. */
  readonly bytes: number;
  /** Lanes that the model can be read at, lowest first. */
  readonly lanes: readonly Lane[];
  /** Bytes of weights that a token reads, for each of `lanes`. */
  readonly bytesPerToken: Readonly<Partial<Record<Lane, number>>>;
  /** Tokens in the vocabulary. */
  readonly vocabulary: number;
  /** The longest context, or text of an encoder, in tokens. */
  readonly context: number;
  /** Layers. */
  readonly layers: number;
  /** Values in the residual stream, and in the vector that an encoder gives. */
  readonly dim: number;
  /** Hidden neurons of a feed-forward block. */
  readonly hidden: number;
  /** Query heads. */
  readonly heads: number;
  /** Key and value heads. */
  readonly kvHeads: number;
  /** Values of a head. */
  readonly headDim: number;
  /** The file's metadata, arrays left out. */
  readonly metadata: ReadonlyMap<string, string | number | bigint | boolean>;
}

/** The digests of one lane, 16 hexadecimal digits each. */
export interface LaneDigests {
  /** The digest of all that follow. */
  readonly digest: string;
  /** Each layer's output. */
  readonly layers: readonly string[];
  /** The logits; of an encoder, the vector. */
  readonly logits: string;
}

/** What `trilane verify --json` prints. */
export interface Digests {
  /** The digest of the lanes' digests. */
  readonly digest: string;
  /** Lane by lane. */
  readonly lanes: Readonly<Partial<Record<Lane, LaneDigests>>>;
}

/** How far each lane's layers are from those of the highest lane. */
export interface LayerErrors {
  /** The lane that the others are compared with. */
  readonly reference: Lane;
  /** Tokens that were run. */
  readonly tokens: number;
  /** Lane by lane, lowest first. */
  readonly lanes: readonly {
    readonly lane: Lane;
    /** ‖h − h'‖ / ‖h'‖ of every layer's output, h' the reference's. */
    readonly layers: readonly number[];
    /** The same of the logits. */
    readonly logits: number;
  }[];
}

/** A choice of lane. */
export interface LaneOption {
  /** @defaultValue the highest lane of the model */
  lane?: Lane;
}

/**
 * A model that is loaded, in this thread (`trilane`) or in a worker (`trilane/worker`).
 *
 * What only the other kind of model can do rejects with a `KindError`: an encoder has no
 * `generate`, `detokenize`, `forward` and `layerErrors`, a decoder no `embed`.
 *
 * Several generations may run at once: each has a sequence, and memory, of its own.
 */
export interface LanguageModel {
  /** What the model is. */
  readonly info: ModelInfo;
  /** Whether {@link LanguageModel.dispose} was called. */
  readonly disposed: boolean;
  /** Goes on with a text. Errors, those of the options too, come with the first piece. */
  generate(prompt: string, options?: GenerateOptions): Generation;
  /**
   * The vector of a text: of length 1, so that the cosine of two is the sum of the products of
   * their values. The same bits on every machine. A text of more tokens than `info.context` is cut;
   * `tokenize` gives all of them.
   */
  embed(text: string, options?: EmbedOptions): Promise<Float32Array>;
  /** The vectors of some texts, in their order. */
  embed(texts: readonly string[], options?: EmbedOptions): Promise<Float32Array[]>;
  /**
   * The tokens of a text, the begin token first if the model wants it; of an encoder, the begin and
   * end token with them.
   */
  tokenize(text: string): Promise<Uint32Array>;
  /** The text of tokens. */
  detokenize(tokens: Iterable<number>): Promise<string>;
  /** The logits after these tokens, which begin a context of their own. */
  forward(tokens: number | Iterable<number>, options?: LaneOption): Promise<Float32Array>;
  /**
   * The digest of a fixed run, the same on every machine: that of `trilane verify`, of one lane or
   * over all. The 16 tokens of a lane are computed without a pause.
   */
  digest(options?: LaneOption): Promise<string>;
  /** The digests of every lane, or of one, layer by layer. */
  digests(options?: LaneOption): Promise<Digests>;
  /**
   * The error that each layer of each lane makes against the highest lane, over the tokens of a
   * text, or over the 16 fixed tokens of {@link LanguageModel.digest}. Computed without a pause,
   * so better in a worker when the model or the text is large.
   */
  layerErrors(options?: { text?: string }): Promise<LayerErrors>;
  /** Frees the model. What is asked of it afterwards rejects with a `DisposedError`. */
  dispose(): void;
  /** The same, for `using`. */
  [Symbol.dispose](): void;
}
