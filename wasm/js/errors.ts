/**
 * What went wrong:
 *
 * | code | |
 * |---|---|
 * | `gguf` | the bytes are no valid GGUF file |
 * | `model` | the file holds no model that runs |
 * | `kind` | the model is of the other kind: a decoder, or an encoder |
 * | `text` | the vocabulary, or a text that it cannot express |
 * | `lane` | the model is not stored at the lane |
 * | `option` | an option has a value that it cannot have |
 * | `token` | a token outside the vocabulary |
 * | `context` | more tokens than the context has room for |
 * | `shape` | lengths that do not fit each other |
 * | `value` | NaN or infinity, given or computed, or planes with codes that do not exist |
 * | `memory` | memory that is not to be had |
 * | `source` | the model's source cannot be read |
 * | `wasm` | the engine cannot be started, or was not |
 * | `disposed` | use after `dispose()` |
 * | `worker` | the worker failed |
 */
export type ErrorCode =
  | 'gguf'
  | 'model'
  | 'kind'
  | 'text'
  | 'lane'
  | 'option'
  | 'token'
  | 'context'
  | 'shape'
  | 'value'
  | 'memory'
  | 'source'
  | 'wasm'
  | 'disposed'
  | 'worker';

/** Every error of this package, but for aborts, which throw the signal's reason. */
export class TrilaneError extends Error {
  /** What went wrong, for programs. */
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
    this.code = code;
  }
}

/** The bytes are no GGUF file (`gguf`) or hold no model that runs (`model`). */
export class ModelError extends TrilaneError {}

/** The model is of the other kind: a decoder has no vectors, an encoder no texts. */
export class KindError extends TrilaneError {}

/** The model is not stored at the lane asked for. */
export class LaneError extends TrilaneError {}

/** An option has a value that it cannot have. */
export class OptionError extends TrilaneError {}

/** Memory that is not to be had. */
export class MemoryError extends TrilaneError {}

/** The model's source cannot be read. */
export class SourceError extends TrilaneError {}

/** A model or matrix was used after it was disposed. */
export class DisposedError extends TrilaneError {}

const CLASSES: Record<ErrorCode, typeof TrilaneError> = {
  gguf: ModelError,
  model: ModelError,
  kind: KindError,
  text: TrilaneError,
  lane: LaneError,
  option: OptionError,
  token: TrilaneError,
  context: TrilaneError,
  shape: TrilaneError,
  value: TrilaneError,
  memory: MemoryError,
  source: SourceError,
  wasm: TrilaneError,
  disposed: DisposedError,
  worker: TrilaneError,
};

/** The error of a code, of its class. */
export function errorOf(code: ErrorCode, message: string, options?: ErrorOptions): TrilaneError {
  return new CLASSES[code](code, message, options);
}

/** Runs what may throw an error of the engine, and throws it as ours, with the source's name. */
export function translated<T>(source: string | undefined, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof Error && !(error instanceof TrilaneError) && error.name in CLASSES) {
      const message = source === undefined ? error.message : `${source}: ${error.message}`;
      throw errorOf(error.name as ErrorCode, message);
    }
    throw error;
  }
}
