import { LANES } from './options.js';
import type * as native from './trilane.js';
import type { Encoder } from './trilane_encoder.js';
import type { Lane, ModelInfo } from './types.js';

/** What a decoder is. */
export function describe(source: string, model: native.Model): ModelInfo {
  return {
    source,
    kind: 'decoder',
    ...told(model),
    parameters: model.weights,
    bytes: model.bytes,
    vocabulary: model.vocabulary,
    context: model.context,
    layers: model.layers,
    dim: model.dim,
    hidden: model.hidden,
    heads: model.heads,
    kvHeads: model.kvHeads,
    headDim: model.headDim,
  };
}

/** What an encoder is. */
export function describeEncoder(source: string, model: Encoder): ModelInfo {
  const [bytes = 0, parameters = 0, ...counts] = model.sizes();
  const [vocabulary = 0, context = 0, layers = 0, dim = 0, hidden = 0, heads = 0, headDim = 0] = counts;
  const sizes = { vocabulary, context, layers, dim, hidden, heads, kvHeads: heads, headDim };
  return { source, kind: 'encoder', ...told(model), parameters, bytes, ...sizes };
}

/** What both kinds say alike. */
function told(model: native.Model | Encoder) {
  const metadata = model.metadata() as Map<string, string | number | bigint | boolean>;
  const bytesPerToken: Partial<Record<Lane, number>> = {};
  LANES.forEach((lane, number) => {
    const bytes = model.bytesPerToken(number);
    if (bytes !== undefined) bytesPerToken[lane] = bytes;
  });
  const name = metadata.get('general.name');
  return {
    name: name === undefined ? undefined : String(name),
    architecture: String(metadata.get('general.architecture')),
    lanes: LANES.filter((lane) => lane in bytesPerToken),
    bytesPerToken,
    metadata,
  };
}
