import { decoderPart, encoderPart, type InitOptions } from './engine.js';
import { Link, type Port } from './link.js';
import { Model } from './model.js';
import type { Remote } from './remote.js';
import type {
  Digests,
  GenerateOptions,
  Generation,
  LaneOption,
  LayerErrors,
  ModelInfo,
  Stats,
} from './types.js';

/** Where a worker finds its engines. */
export interface Engines {
  decoder: InitOptions;
  encoder: InitOptions;
}

/** What a worker offers: one model. */
export type Thread = {
  start(engines: Engines): Promise<void>;
  load(name: string, total: number | undefined): Promise<ModelInfo>;
  embed(text: string, options: LaneOption): Promise<Float32Array>;
  tokenize(text: string): Promise<Uint32Array>;
  detokenize(tokens: number[]): Promise<string>;
  forward(tokens: number | number[], options: LaneOption): Promise<Float32Array>;
  digests(options: LaneOption): Promise<Digests>;
  layerErrors(options: { text?: string }): Promise<LayerErrors>;
  generate(key: number, prompt: string, options: GenerateOptions): Promise<void>;
  next(key: number): Promise<{ result: IteratorResult<string>; stats: Stats }>;
  finish(key: number): Promise<void>;
  abort(key: number): Promise<void>;
};

/** Serves a model to the thread at the other end. */
export function serve(port: Port): void {
  let loaded: Model | undefined;
  const model = () => loaded!;
  const generations = new Map<number, { generation: Generation; abort: AbortController }>();
  const thread: Thread = {
    async start({ decoder, encoder }) {
      decoderPart.prepare(decoder);
      encoderPart.prepare(encoder);
    },
    async load(name, total) {
      const parts = (async function* () {
        for (let part = await link.ask('part'); part; part = await link.ask('part')) yield part;
      })();
      loaded = await Model.received({ name, total, parts }, {});
      return loaded.info;
    },
    embed: (text, options) => model().embed(text, options),
    tokenize: (text) => model().tokenize(text),
    detokenize: (tokens) => model().detokenize(tokens),
    forward: (tokens, options) => model().forward(tokens, options),
    digests: (options) => model().digests(options),
    layerErrors: (options) => model().layerErrors(options),
    async generate(key, prompt, options) {
      const abort = new AbortController();
      const generation = model().generate(prompt, { ...options, signal: abort.signal });
      generations.set(key, { generation, abort });
    },
    async next(key) {
      const { generation } = generations.get(key)!;
      const result = await generation.next();
      if (result.done) generations.delete(key);
      return { result, stats: generation.stats };
    },
    async finish(key) {
      await generations.get(key)?.generation.return();
      generations.delete(key);
    },
    async abort(key) {
      generations.get(key)?.abort.abort();
    },
  };
  const link = new Link<Remote>(port, thread);
}
