import { engine } from './engine.js';
import { DisposedError, OptionError, translated } from './errors.js';
import { laneNumber } from './options.js';
import type * as native from './trilane.js';
import type { Lane } from './types.js';

/** How many consecutive weights of a row share an integer scale; 0 for none. */
export type Group = 0 | 32 | 64;

/** A ternary matrix as it is stored: weight = row scale · group scale · (code − 1). */
export interface TernaryPlanes {
  /** Rows of the matrix. */
  readonly rows: number;
  /** Weights in a row. */
  readonly cols: number;
  /** Weights that share a scale. */
  readonly group: Group;
  /** An integer for each group of each row, the row padded to whole units of 64 weights. */
  readonly groupScales: Uint8Array;
  /** One 2-bit digit of every weight, 16 bytes a unit. */
  readonly digits: Uint8Array;
  /** One for each row. */
  readonly rowScales: Float32Array;
}

/** A nested matrix as it is stored; lower tiers may be left out, from the end. */
export interface NestedPlanes {
  /** Rows of the matrix. */
  readonly rows: number;
  /** Weights in a row. */
  readonly cols: number;
  /** Weights that share a scale. */
  readonly group: Group;
  /** An integer for each group of each row, the row padded to whole units of 64 weights. */
  readonly groupScales: Uint8Array;
  /** The highest bit of every weight, 8 bytes a unit. */
  readonly high: Uint8Array;
  /** Three planes of 2-bit digits, 16 bytes a unit: the first is enough for `bit3`. */
  readonly digits: readonly Uint8Array[];
  /** For each plane of digits, one for each row: those of `bit3`, `bit5`, `bit7`. */
  readonly rowScales: readonly Float32Array[];
}

/**
 * Quantises rows of floats to −1, 0 and +1 by the mean magnitude of each group.
 *
 * `weights` holds `rows` · `cols` values, row by row. Throws `shape`, `value` (NaN, infinity),
 * `option`, `memory`; `wasm` before {@link init}.
 */
export function quantizeTernary(
  weights: Float32Array,
  rows: number,
  cols: number,
  { group = 0 }: { group?: Group } = {},
): TernaryPlanes {
  const parts = translated(undefined, () => engine().quantizeTernary(floats('weights', weights), rows, cols, group));
  const [groupScales, digits, rowScales] = parts as [Uint8Array, Uint8Array, Float32Array];
  return { rows, cols, group, groupScales, digits, rowScales };
}

/**
 * Quantises rows of floats to 7 bits whose upper 5 and 3 are lanes of their own.
 *
 * `weights` holds `rows` · `cols` values, row by row. Throws `shape`, `value` (NaN, infinity),
 * `option`, `memory`; `wasm` before {@link init}.
 */
export function quantizeNested(
  weights: Float32Array,
  rows: number,
  cols: number,
  { group = 32 }: { group?: Group } = {},
): NestedPlanes {
  const parts = translated(undefined, () => engine().quantizeNested(floats('weights', weights), rows, cols, group));
  const [groupScales, high, d0, d1, d2, s3, s5, s7] = parts as [
    ...[Uint8Array, Uint8Array, Uint8Array, Uint8Array, Uint8Array],
    ...[Float32Array, Float32Array, Float32Array],
  ];
  return { rows, cols, group, groupScales, high, digits: [d0, d1, d2], rowScales: [s3, s5, s7] };
}

/** A matrix in the engine's memory. */
abstract class Matrix {
  /** Rows: the length of an output. */
  readonly rows: number;
  /** Columns: the length of an input. */
  readonly cols: number;
  #native: native.Matrix | undefined;

  protected constructor(rows: number, cols: number, matrix: native.Matrix) {
    this.rows = rows;
    this.cols = cols;
    this.#native = matrix;
  }

  /** Whether {@link Matrix.dispose} was called. */
  get disposed(): boolean {
    return this.#native === undefined;
  }

  protected product(x: Float32Array, lane: Lane, y: Float32Array): Float32Array {
    const matrix = this.#matrix();
    translated(undefined, () => matrix.matvec(floats('x', x), laneNumber(lane), floats('y', y)));
    return y;
  }

  protected bytesOf(lane: Lane): number {
    const matrix = this.#matrix();
    return translated(undefined, () => matrix.bytes(laneNumber(lane)));
  }

  /** Frees the matrix. */
  dispose(): void {
    this.#native?.free();
    this.#native = undefined;
  }

  /** The same, for `using`. */
  declare [Symbol.dispose]: () => void;

  #matrix(): native.Matrix {
    if (this.#native !== undefined) return this.#native;
    throw new DisposedError('disposed', 'the matrix has been disposed');
  }
}

// As the language has it where it has it.
if (Symbol.dispose) Matrix.prototype[Symbol.dispose] = Matrix.prototype.dispose;

/** A ternary matrix. */
export class TernaryMatrix extends Matrix {
  /** Copies the planes and checks them; throws `shape`, `value`, `option`, `memory`, `wasm`. */
  constructor({ rows, cols, group, groupScales, digits, rowScales }: TernaryPlanes) {
    const { Matrix: Native } = engine();
    super(rows, cols, translated(undefined, () => Native.ternary(rows, cols, group, groupScales, digits, rowScales)));
  }

  /**
   * `y = W x`, x as int8 with a power of two for each 64 values; into `y` if one is given.
   * The same bits in every build. Throws `shape`, `value`, `disposed`.
   */
  matvec(x: Float32Array, y = new Float32Array(this.rows)): Float32Array {
    return this.product(x, 'ternary', y);
  }

  /** Bytes that a product reads. */
  get bytes(): number {
    return this.bytesOf('ternary');
  }
}

/** A nested matrix, read at a lane. */
export class LaneMatrix extends Matrix {
  /** The lanes stored, lowest first. */
  readonly lanes: readonly Lane[];

  /** Copies the planes and checks them; throws `shape`, `value`, `lane`, `option`, `memory`, `wasm`. */
  constructor({ rows, cols, group, groupScales, high, digits, rowScales }: NestedPlanes) {
    const { Matrix: Native } = engine();
    if (digits.length < 1 || digits.length > 3 || digits.length !== rowScales.length) {
      const found = `${digits.length} and ${rowScales.length}`;
      throw new OptionError('option', `digits and rowScales: expected 1 to 3 of both, found ${found}`);
    }
    const [planes, scales] = [[...digits], [...rowScales]];
    super(
      rows,
      cols,
      translated(undefined, () => Native.nested(rows, cols, group, groupScales, high, planes, scales)),
    );
    this.lanes = (['bit3', 'bit5', 'bit7'] as const).slice(0, digits.length);
  }

  /**
   * `y = W x` at a lane, the highest if none is given; x as int8 with a power of two for each 64
   * values; into `y` if one is given. The same bits in every build. Throws `shape`, `value`,
   * `lane`, `disposed`.
   */
  matvec(x: Float32Array, lane = this.#top(), y = new Float32Array(this.rows)): Float32Array {
    return this.product(x, lane, y);
  }

  /** Bytes that a product at a lane reads. */
  bytes(lane = this.#top()): number {
    return this.bytesOf(lane);
  }

  #top(): Lane {
    return this.lanes[this.lanes.length - 1] ?? 'bit3';
  }
}

/** `y = W x`; the lane, of a nested matrix, is the highest if none is given. */
export function matvec(matrix: TernaryMatrix | LaneMatrix, x: Float32Array, lane?: Lane): Float32Array {
  if (matrix instanceof LaneMatrix) return matrix.matvec(x, lane);
  if (lane === undefined || lane === 'ternary') return matrix.matvec(x);
  throw new OptionError('option', `lane: expected ternary, found ${lane}`);
}

function floats(name: string, values: Float32Array): Float32Array {
  if (values instanceof Float32Array) return values;
  throw new OptionError('option', `${name}: expected a Float32Array, found ${typeof values}`);
}
