/**
 * Low-bit language and embedding models in browsers and Node, with the same bits as everywhere else.
 *
 * @packageDocumentation
 */

export { hasSimd, init, initEncoder, type Engine, type InitOptions } from './engine.js';
export * from './errors.js';
export {
  LaneMatrix,
  TernaryMatrix,
  matvec,
  quantizeNested,
  quantizeTernary,
  type Group,
  type NestedPlanes,
  type TernaryPlanes,
} from './matrix.js';
export { Model } from './model.js';
export type * from './types.js';
