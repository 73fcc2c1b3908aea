// The package as its users install it.

import assert from 'node:assert/strict';
import { readFileSync, readdirSync, statSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { hasSimd, init } from 'trilane';
import { failure, root, simd } from './support.mjs';

const folder = new URL('.', import.meta.resolve('trilane/package.json'));
const manifest = JSON.parse(readFileSync(new URL('package.json', folder), 'utf8'));

test('the version is the workspace’s', () => {
  const workspace = readFileSync(`${root}/Cargo.toml`, 'utf8');
  assert.equal(manifest.version, /^version = "(.*)"$/m.exec(workspace)[1]);
});

test('everything exported is there', () => {
  const files = Object.values(manifest.exports).flatMap((entry) => (typeof entry === 'string' ? entry : Object.values(entry)));
  for (const file of [...files, ...manifest.sideEffects]) statSync(new URL(file, folder));
  assert.equal(manifest.dependencies, undefined);
});

test('nothing evaluates text or starts workers from it', () => {
  for (const file of readdirSync(folder).filter((name) => name.endsWith('.js'))) {
    const code = readFileSync(new URL(file, folder), 'utf8');
    assert.doesNotMatch(code, /\beval\(|new Function\(|createObjectURL/, file);
  }
});

test('the engine starts from an address, after it could not', async () => {
  assert.equal(hasSimd(), true);
  const absent = await failure(() => init({ wasm: new URL('nowhere.wasm', folder) }));
  assert.equal(absent.code, 'wasm');
  assert.equal((await failure(() => init({ wasm: new Uint8Array(8) }))).code, 'wasm');
  const file = import.meta.resolve(`trilane/trilane_${simd ? 'simd' : 'baseline'}.wasm`);
  const module = await WebAssembly.compile(readFileSync(fileURLToPath(file)));
  const engines = await Promise.all([init({ wasm: module }), init()]);
  assert.deepEqual(engines, [{ simd }, { simd }]);
});
