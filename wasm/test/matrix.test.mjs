// Products of matrices against plain integers.

import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { LaneMatrix, TernaryMatrix, init, matvec, quantizeNested, quantizeTernary } from 'trilane';
import { failure, start } from './support.mjs';

test('matrices want an engine', async () => {
  const error = await failure(async () => quantizeTernary(new Float32Array(1), 1, 1));
  assert.equal(error.code, 'wasm');
  await start();
  assert.equal((await failure(() => init({ simd: true }))).code, 'option');
  await init();
});

/** Integers in −range..range from a linear congruential sequence. */
function integers(length, range, seed) {
  let state = seed;
  return Float32Array.from({ length }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state % (2 * range + 1)) - range;
  });
}

/** W x in plain numbers. */
function product(weights, x) {
  const rows = weights.length / x.length;
  return Float32Array.from({ length: rows }, (_, row) => {
    let sum = 0;
    for (let col = 0; col < x.length; col++) sum += weights[row * x.length + col] * x[col];
    return sum;
  });
}

/** A vector whose int8 form is itself: integers with 127 among them, so that the step is 1. */
function exact(cols, seed) {
  const x = integers(cols, 127, seed);
  x[cols - 1] = 127;
  // Small units would be scaled up, which keeps the values but not the step.
  for (let at = 0; at < cols; at += 64) x[at] = 127;
  return x;
}

for (const cols of [1, 5, 63, 64, 65, 128, 257, 300, 1024]) {
  test(`a ternary product of ${cols} columns is the integers'`, () => {
    const rows = 7;
    // ±1 and 0 only, and not all zero: the least-squares scale of a row is then exactly 1.
    const weights = integers(rows * cols, 1, cols);
    for (let row = 0; row < rows; row++) weights[row * cols] = 1;
    const planes = quantizeTernary(weights, rows, cols);
    assert.deepEqual([...planes.rowScales], new Array(rows).fill(1));
    const matrix = new TernaryMatrix(planes);
    const x = exact(cols, 3);
    assert.deepEqual(matrix.matvec(x), product(weights, x));
    assert.deepEqual(matvec(matrix, x), product(weights, x));
    const y = new Float32Array(rows);
    assert.equal(matrix.matvec(x, y), y);
    assert.equal(matrix.bytes, rows * (Math.ceil(cols / 64) * 16 + 4));
    matrix.dispose();
  });

  test(`a nested product of ${cols} columns is the integers' at every lane`, () => {
    const rows = 5;
    const weights = integers(rows * cols, 1000, cols + 1);
    const planes = quantizeNested(weights, rows, cols, { group: 0 });
    const matrix = new LaneMatrix(planes);
    const x = exact(cols, 5);
    matrix.lanes.forEach((lane, tier) => {
      const values = codes(planes, tier + 1).map((code) => [32 * code - 113, 8 * code - 125, 2 * code - 128][tier]);
      const sums = product(Float64Array.from(values), x);
      const expected = sums.map((sum, row) => Math.fround(sum * planes.rowScales[tier][row]));
      assert.deepEqual(matrix.matvec(x, lane), expected, lane);
    });
    assert.deepEqual(matrix.matvec(x), matvec(matrix, x, 'bit7'));
    matrix.dispose();
  });
}

/** The codes of a nested matrix, from the description of its planes. */
function codes({ rows, cols, high, digits }, tiers) {
  const units = Math.ceil(cols / 64);
  const list = [];
  for (let row = 0; row < rows; row++) {
    for (let col = 0; col < cols; col++) {
      const [u, p, j] = [Math.floor(col / 64), Math.floor((col % 64) / 16), col % 16];
      const [block, s] = [Math.floor(u / 4), u % 4];
      const inBlock = Math.min(4, units - 4 * block);
      const bit = 16 * s + j;
      const byte = high[row * units * 8 + block * 32 + p * 2 * inBlock + Math.floor(bit / 8)];
      let code = (byte >> bit % 8) & 1;
      for (let tier = 0; tier < tiers; tier++) {
        const rotation = [2, 1, 0][tier];
        const digit = digits[tier][(row * units + u) * 16 + j] >> (2 * ((p + rotation) % 4));
        code = code * 4 + (digit & 3);
      }
      list.push(code);
    }
  }
  return list;
}

test('lower tiers can be left out', async () => {
  const planes = quantizeNested(integers(64 * 3, 9, 1), 3, 64);
  const x = exact(64, 1);
  const whole = new LaneMatrix(planes);
  const small = new LaneMatrix({ ...planes, digits: planes.digits.slice(0, 1), rowScales: planes.rowScales.slice(0, 1) });
  assert.deepEqual(small.lanes, ['bit3']);
  assert.deepEqual(small.matvec(x), whole.matvec(x, 'bit3'));
  assert.ok(small.bytes() === whole.bytes('bit3') && whole.bytes('bit3') < whole.bytes('bit7'));
  assert.equal((await failure(async () => small.matvec(x, 'bit5'))).code, 'lane');
});

test('what does not fit is refused', async () => {
  const planes = quantizeTernary(integers(64 * 2, 1, 1), 2, 64, { group: 32 });
  const matrix = new TernaryMatrix(planes);
  const nested = quantizeNested(integers(64 * 2, 1, 1), 2, 64);
  const wrong = [
    [() => quantizeTernary(new Float32Array(5), 2, 3), 'shape'],
    [() => quantizeTernary(new Float32Array(0), 0, 0), 'shape'],
    [() => quantizeTernary(new Float32Array(6), 2, 3, { group: 16 }), 'option'],
    [() => quantizeTernary([1, 2], 1, 2), 'option'],
    [() => quantizeNested(Float32Array.of(1, NaN), 1, 2), 'value'],
    [() => quantizeNested(new Float32Array(6), -2, -3), 'memory'],
    [() => matrix.matvec(new Float32Array(63)), 'shape'],
    [() => matrix.matvec(new Float32Array(64), new Float32Array(3)), 'shape'],
    [() => matrix.matvec(new Float32Array(64).fill(Infinity)), 'value'],
    [() => matvec(matrix, new Float32Array(64), 'bit3'), 'option'],
    [() => new TernaryMatrix({ ...planes, digits: planes.digits.slice(1) }), 'shape'],
    [() => new TernaryMatrix({ ...planes, digits: planes.digits.slice().fill(255) }), 'value'],
    [() => new TernaryMatrix({ ...planes, rowScales: planes.rowScales.map(() => NaN) }), 'value'],
    [() => new TernaryMatrix({ ...planes, rows: 3 }), 'shape'],
    [() => new TernaryMatrix({ ...planes, group: 64 }), 'shape'],
    [() => new LaneMatrix({ ...nested, digits: [] }), 'option'],
    [() => new LaneMatrix({ ...nested, high: nested.high.slice(1) }), 'shape'],
  ];
  for (const [work, code] of wrong) {
    assert.equal((await failure(async () => work())).code, code, String(work));
  }
  matrix.dispose();
  matrix.dispose();
  assert.equal((await failure(async () => matrix.matvec(new Float32Array(64)))).code, 'disposed');
  assert.ok(matrix.disposed);
});
