/**
 * The models of `trilane`, each in a worker of its own.
 *
 * @packageDocumentation
 */

import { RemoteModel, type Spawned } from './remote.js';
import type { LoadOptions, Source } from './types.js';

export type { Engine, InitOptions } from './engine.js';
export * from './errors.js';
export { init, initEncoder } from './remote.js';
export type * from './types.js';

/** A model in a worker, so that computing never holds up the page. */
export class Model extends RemoteModel {
  /**
   * Starts a worker and loads a model into it. Rejects as `Model.load` of `trilane` does, and with
   * the code `worker` when the worker cannot be started.
   */
  static async load(source: Source, options: LoadOptions = {}): Promise<Model> {
    return new Model(...(await RemoteModel.start(spawn, source, options)));
  }
}

function spawn(): Spawned {
  // Bundlers look for exactly this expression.
  const worker = new Worker(new URL('./worker-thread.js', import.meta.url), { type: 'module' });
  return {
    post: (message, transfer) => worker.postMessage(message, transfer),
    listen(take) {
      worker.onmessage = ({ data }) => take(data);
    },
    failed(call) {
      worker.onerror = (event) => call(event.message ?? 'its script cannot be loaded');
      worker.onmessageerror = () => call('a message cannot be read');
    },
    terminate: () => worker.terminate(),
  };
}
