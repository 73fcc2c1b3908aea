import { Worker } from 'node:worker_threads';
import './node.js';
import { RemoteModel, type Spawned } from './remote.js';
import type { LoadOptions, Source } from './types.js';

export type { Engine, InitOptions } from './engine.js';
export * from './errors.js';
export { init, initEncoder } from './remote.js';
export type * from './types.js';

/** A model in a thread of Node. */
export class Model extends RemoteModel {
  static async load(source: Source, options: LoadOptions = {}): Promise<Model> {
    return new Model(...(await RemoteModel.start(spawn, source, options)));
  }
}

function spawn(): Spawned {
  const worker = new Worker(new URL('./worker-thread-node.js', import.meta.url));
  return {
    post: (message, transfer) => worker.postMessage(message, transfer as ArrayBuffer[]),
    listen: (take) => void worker.on('message', take),
    failed(call) {
      worker.on('error', (error) => call(String(error)));
      worker.on('exit', (code) => call(`it ended with code ${code}`));
    },
    // A worker that waits for nothing is no reason to keep the process.
    hold: (waiting) => (waiting ? worker.ref() : worker.unref()),
    terminate: () => void worker.terminate(),
  };
}
