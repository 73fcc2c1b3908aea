import startDecoders, * as decoders from './trilane.js';
import startEncoders, * as encoders from './trilane_encoder.js';
import { OptionError, TrilaneError } from './errors.js';
import { host } from './platform.js';

/** How an engine is found. */
export interface InitOptions {
  /**
   * The .wasm file: where it is, its response, its bytes, or a module already compiled.
   * @defaultValue the file beside this module
   */
  wasm?: URL | string | Response | ArrayBuffer | Uint8Array | WebAssembly.Module;
  /**
   * Whether to take the file with vector instructions.
   * @defaultValue whether the host runs them
   */
  simd?: boolean;
}

/** An engine that was started. */
export interface Engine {
  /** Whether it computes with vector instructions. The results are the same bits. */
  readonly simd: boolean;
}

/** A module whose only function returns `i8x16.splat(0)`: valid where there is simd128. */
const PROBE = Uint8Array.of(
  0, 97, 115, 109, 1, 0, 0, 0,
  1, 5, 1, 96, 0, 1, 123,
  3, 2, 1, 0,
  10, 8, 1, 6, 0, 65, 0, 253, 15, 11,
);

/** Whether the host runs vector instructions. */
export function hasSimd(): boolean {
  return WebAssembly.validate(PROBE);
}

/** What the glue of every engine has. */
interface Glue {
  instructionSet(): string;
}

/** One of the two engines: a .wasm file, started when it is first needed. */
class Part<Native extends Glue> {
  #prepared: InitOptions = {};
  #started: Promise<Engine> | undefined;
  #running = false;

  constructor(
    private readonly call: string,
    private readonly start: typeof startDecoders | typeof startEncoders,
    private readonly glue: Native,
    private readonly file: (simd: boolean) => URL,
  ) {}

  /** Sets the options of a start without options. */
  prepare(options: InitOptions): void {
    this.#prepared = options;
  }

  init(options?: InitOptions): Promise<Engine> {
    if (this.#started !== undefined) {
      if (options === undefined) return this.#started;
      return Promise.reject(new OptionError('option', `${this.call}: the engine has been started already`));
    }
    this.#started = this.#instantiate(options ?? this.#prepared);
    this.#started.catch(() => {
      this.#started = undefined;
    });
    return this.#started;
  }

  /** The engine's functions, once it runs. */
  get native(): Native {
    if (this.#running) return this.glue;
    throw new TrilaneError('wasm', `the engine is not running: await ${this.call}() first`);
  }

  async #instantiate({ wasm, simd = hasSimd() }: InitOptions): Promise<Engine> {
    const file = wasm ?? this.file(simd);
    try {
      await this.start({ module_or_path: await input(file) });
    } catch (cause) {
      const where = file instanceof URL || typeof file === 'string' ? `${file}: ` : '';
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new TrilaneError('wasm', `${where}the engine does not start: ${reason}`, { cause });
    }
    this.#running = true;
    return { simd: this.glue.instructionSet() === 'simd128' };
  }
}

/** A file of the machine as its bytes; everything else as it is. */
async function input(file: NonNullable<InitOptions['wasm']>): Promise<decoders.InitInput> {
  if (typeof file !== 'string' && !(file instanceof URL)) return file as decoders.InitInput;
  const local = await host().localFile(file);
  if (local === undefined) return file;
  return await new Response(local.stream() as ReadableStream<Uint8Array<ArrayBuffer>>).arrayBuffer();
}

// Bundlers look for exactly these expressions.

/** The engine of decoders and of matrices. */
export const decoderPart = new Part('init', startDecoders, decoders, (simd) =>
  simd
    ? new URL('./trilane_simd.wasm', import.meta.url)
    : new URL('./trilane_baseline.wasm', import.meta.url),
);

/** The engine of encoders. */
export const encoderPart = new Part('initEncoder', startEncoders, encoders, (simd) =>
  simd
    ? new URL('./trilane_encoder_simd.wasm', import.meta.url)
    : new URL('./trilane_encoder_baseline.wasm', import.meta.url),
);

/**
 * Starts the engine of decoders and matrices. `Model.load` does so by itself when the model needs
 * it; call it before to say where the .wasm file is, or before using matrices. There is one engine
 * of a kind in a thread: a second call with options rejects with an `OptionError`, one without
 * gives the engine that runs.
 */
export function init(options?: InitOptions): Promise<Engine> {
  return decoderPart.init(options);
}

/** The same for the engine of encoders. */
export function initEncoder(options?: InitOptions): Promise<Engine> {
  return encoderPart.init(options);
}

/** The functions of the engine of decoders, once it runs. */
export function engine(): typeof decoders {
  return decoderPart.native;
}
