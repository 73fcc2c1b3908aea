// What the types promise, compiled in a project that installed the package.

import {
  KindError,
  LaneError,
  LaneMatrix,
  Model,
  init,
  quantizeNested,
  type ErrorCode,
  type Generation,
  type LanguageModel,
} from 'trilane';
import { Model as WorkerModel } from 'trilane/worker';

export async function load(inWorker: boolean, file: File): Promise<LanguageModel> {
  const signal = AbortSignal.timeout(1000);
  const Kind = inWorker ? WorkerModel : Model;
  return await Kind.load(file, { signal, cache: false, onProgress: ({ loaded }) => void loaded.toFixed() });
}

export async function use(model: LanguageModel): Promise<string> {
  using held = model;
  const generation: Generation = held.generate('a', { lane: 'bit3', seed: 1n, stop: ['b'] });
  let text = '';
  for await (const piece of generation) text += piece.trim();
  const { tokensPerSecond, end } = generation.stats;
  // @ts-expect-error there is no such lane
  held.generate('a', { lane: 'bit4' });
  // @ts-expect-error a token is a number
  await held.forward('a');
  return `${text} ${tokensPerSecond} ${end ?? 'goes on'} ${held.info.lanes.join()}`;
}

export async function product(weights: Float32Array): Promise<Float32Array | ErrorCode> {
  await init({ simd: false });
  try {
    return new LaneMatrix(quantizeNested(weights, 1, weights.length)).matvec(weights, 'bit5');
  } catch (error) {
    if (error instanceof LaneError) return error.code;
    throw error;
  }
}

export async function similarity(model: LanguageModel, a: string, b: string): Promise<number | undefined> {
  if (model.info.kind === 'decoder') return undefined;
  try {
    const [first, second] = await model.embed([a, b], { lane: 'bit5' });
    const alone: Float32Array = await model.embed(a);
    // @ts-expect-error one text has one vector
    const wrong: Float32Array[] = await model.embed(a);
    return first && second ? first.reduce((sum, value, i) => sum + value * second[i]!, alone[0]! * wrong.length) : 0;
  } catch (error) {
    if (error instanceof KindError) return NaN;
    throw error;
  }
}
