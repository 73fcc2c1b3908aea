// Products of a vector with a 4096×4096 matrix, for both builds of the engine:
//
//   node wasm/bench/matvec.mjs [SIZE] [FOLDER OF THE PACKAGE]
//
// In the repository the native engine is measured beside them, at every level of the processor.
// In a page: `import { measure } from './matvec.mjs'` and call it with the package's module. Every
// answer is checked against plain JavaScript before it is timed, and between all engines bit for bit;
// the vector's quantisation and its copies in and out are part of the time.

/** Weights and a vector that any engine would find alike: a linear congruential sequence. */
function sequence(length, seed) {
  let state = seed >>> 0;
  return Float32Array.from({ length }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  });
}

/** Fails unless y = W x within what int8 activations and the lane's bits allow. */
function check(name, weights, x, y, tolerance) {
  let [error, norm] = [0, 0];
  y.forEach((value, row) => {
    let sum = 0;
    for (let col = 0; col < x.length; col++) sum += weights[row * x.length + col] * x[col];
    error += (value - sum) ** 2;
    norm += sum ** 2;
  });
  const relative = Math.sqrt(error / norm);
  if (!(relative < tolerance)) throw new Error(`${name}: error ${relative}, expected below ${tolerance}`);
}

/** A 32-bit FNV-1a hash of the bits. */
function bitsOf(y) {
  const bytes = new Uint8Array(y.buffer);
  const hash = bytes.reduce((hash, byte) => Math.imul(hash ^ byte, 0x01000193), 0x811c9dc5);
  return (hash >>> 0).toString(16).padStart(8, '0');
}

function median(values) {
  return values.sort((a, b) => a - b)[values.length >> 1];
}

/** Measures one engine; rows of a table with GMAC/s and GB/s of weights. */
export async function measure(trilane, { size = 4096, runs = 15, rows = 64 } = {}) {
  await trilane.init();
  const weights = sequence(size * size, 1);
  const x = sequence(size, 2);
  const y = new Float32Array(size);
  const table = [];
  const time = (name, bytes, tolerance, product) => {
    const timed = (calls) => {
      const start = performance.now();
      for (let i = 0; i < calls; i++) product();
      return (performance.now() - start) / 1000 / calls;
    };
    timed(1);
    check(name, weights, x, y.subarray(0, rows), tolerance);
    // Samples of at least 50 ms.
    const calls = Math.ceil(0.05 / timed(1));
    const seconds = median(Array.from({ length: runs }, () => timed(calls)));
    table.push({
      kernel: name,
      'GMAC/s': Number((size ** 2 / seconds / 1e9).toFixed(2)),
      'GB/s': Number((bytes / seconds / 1e9).toFixed(2)),
      bits: bitsOf(y),
    });
  };
  for (const group of [0, 32]) {
    const matrix = new trilane.TernaryMatrix(trilane.quantizeTernary(weights, size, size, { group }));
    time(`ternary, groups of ${group || 'a row'}`, matrix.bytes, 0.6, () => matrix.matvec(x, y));
    matrix.dispose();
  }
  for (const group of [32, 64]) {
    const matrix = new trilane.LaneMatrix(trilane.quantizeNested(weights, size, size, { group }));
    for (const [lane, tolerance] of [['bit3', 0.2], ['bit5', 0.05], ['bit7', 0.02]]) {
      time(`${lane}, groups of ${group}`, matrix.bytes(lane), tolerance, () => matrix.matvec(x, lane, y));
    }
    matrix.dispose();
  }
  return table;
}

/** Tables of the native engine by level; none outside the repository. */
async function nativeTables(size) {
  const { existsSync } = await import('node:fs');
  const { execFileSync } = await import('node:child_process');
  if (!existsSync('std-ext/examples/matvec.rs')) return new Map();
  const cargo = ['run', '--quiet', '--release', '-p', 'trilane-std', '--example', 'matvec', size];
  const tables = new Map();
  for (const line of execFileSync('cargo', cargo, { encoding: 'utf8' }).trim().split('\n')) {
    const [level, kernel, macs, bytes, bits] = line.split('\t');
    const row = { kernel, 'GMAC/s': Number(macs), 'GB/s': Number(bytes), bits };
    tables.set(level, [...(tables.get(level) ?? []), row]);
  }
  return tables;
}

if (typeof process !== 'undefined') {
  const { Worker, isMainThread, parentPort, workerData } = await import('node:worker_threads');
  const { pathToFileURL } = await import('node:url');
  if (isMainThread) {
    const [size = '4096', folder = 'target/npm/trilane'] = process.argv.slice(2);
    const bits = new Set();
    for (const simd of [true, false]) {
      // An engine of its own for each build.
      const worker = new Worker(new URL(import.meta.url), { workerData: { simd, size: Number(size), folder } });
      const table = await new Promise((done, failed) => worker.on('message', done).on('error', failed));
      console.log(simd ? 'simd128' : 'baseline');
      console.table(table);
      bits.add(table.map((row) => row.bits).join());
    }
    const native = await nativeTables(size);
    for (const [level, table] of native) {
      console.log(`native, ${level}`);
      console.table(table);
      bits.add(table.map((row) => row.bits).join());
    }
    if (bits.size !== 1) throw new Error('the engines disagree');
  } else {
    const { simd, size, folder } = workerData;
    const trilane = await import(pathToFileURL(`${folder}/node.js`));
    await trilane.init({ simd });
    parentPort.postMessage(await measure(trilane, { size }));
  }
}
