// What the page does: a model in the page and one in a worker. The test reads `outcome`.

import { Model, init } from 'trilane';
import { Model as WorkerModel } from 'trilane/worker';

async function use(Kind) {
  const progress = [];
  const options = { cache: 'models', onProgress: (step) => progress.push(step) };
  const model = await Kind.load('shakespeare.gguf', options);
  let text = '';
  let frames = 0;
  const frame = () => {
    frames += 1;
    requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
  const generation = model.generate('JULIET:\n', { lane: 'bit5', seed: 7, maxTokens: 200 });
  for await (const piece of generation) text += piece;
  const abort = new AbortController();
  let reason;
  try {
    for await (const _ of model.generate('JULIET:\n', { signal: abort.signal })) abort.abort();
  } catch (error) {
    reason = error.name;
  }
  const result = { text, frames, reason, digest: await model.digest(), stats: generation.stats };
  model.dispose();
  return { ...result, last: progress.at(-1) };
}

/** The bits of vectors, computed by the other engine. */
async function embed(Kind) {
  const model = await Kind.load('bert.gguf');
  const vectors = await model.embed(['the cat', 'a café']);
  model.dispose();
  return vectors.flatMap((vector) => Array.from(new Uint32Array(vector.buffer)));
}

async function run() {
  const { simd } = await init();
  const page = await use(Model);
  const worker = await use(WorkerModel);
  const vectors = [await embed(Model), await embed(WorkerModel)];
  const refused = await Model.load('none', { cache: 'models' }).catch(({ code }) => code);
  const kept = await (await caches.open('models')).keys();
  await caches.delete('models');
  return { simd, page, worker, vectors, refused, kept: kept.map(({ url }) => url) };
}

globalThis.outcome = run().catch((error) => ({ error: `${error.name}: ${error.message}\n${error.stack}` }));
