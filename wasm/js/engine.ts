import start, * as native from './trilane.js';
import { OptionError, TrilaneError } from './errors.js';
import { host } from './platform.js';

/** How the engine is found. */
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

/** The engine that was started. */
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

let started: Promise<Engine> | undefined;
let running = false;

/** Whether the host runs vector instructions. */
export function hasSimd(): boolean {
  return WebAssembly.validate(PROBE);
}

/**
 * Starts the engine. `Model.load` does so by itself; call it before to say where the .wasm file
 * is, or before using matrices. There is one engine in a thread: a second call with options
 * rejects with an `OptionError`, one without gives the engine that runs.
 */
export function init(options?: InitOptions): Promise<Engine> {
  if (started !== undefined) {
    if (options === undefined) return started;
    return Promise.reject(new OptionError('option', 'init: the engine has been started already'));
  }
  started = instantiate(options ?? {});
  started.catch(() => {
    started = undefined;
  });
  return started;
}

/** The engine's functions, once it runs. */
export function engine(): typeof native {
  if (!running) throw new TrilaneError('wasm', 'the engine is not running: await init() first');
  return native;
}

async function instantiate({ wasm, simd = hasSimd() }: InitOptions): Promise<Engine> {
  // Bundlers look for exactly this expression.
  const file =
    wasm ??
    (simd
      ? new URL('./trilane_simd.wasm', import.meta.url)
      : new URL('./trilane_baseline.wasm', import.meta.url));
  try {
    await start({ module_or_path: await input(file) });
  } catch (cause) {
    const where = file instanceof URL || typeof file === 'string' ? `${file}: ` : '';
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new TrilaneError('wasm', `${where}the engine does not start: ${reason}`, { cause });
  }
  running = true;
  return { simd: native.instructionSet() === 'simd128' };
}

/** A file of the machine as its bytes; everything else as it is. */
async function input(file: NonNullable<InitOptions['wasm']>): Promise<native.InitInput> {
  if (typeof file !== 'string' && !(file instanceof URL)) return file as native.InitInput;
  const local = await host().localFile(file);
  if (local === undefined) return file;
  return await new Response(local.stream() as ReadableStream<Uint8Array<ArrayBuffer>>).arrayBuffer();
}
