// What the tests share: the engine of the build under test, models, and the native command.
//
// From the environment, set by `cargo xtask test --only npm`: TRILANE_ROOT (the repository),
// TRILANE_CLI (the native command), TRILANE_SIMD (true or false).

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { init, initEncoder } from 'trilane';
import { init as initWorkers, initEncoder as initEncoderWorkers } from 'trilane/worker';
import { tinyModel } from './gguf.mjs';

export const root = process.env.TRILANE_ROOT;
export const simd = process.env.TRILANE_SIMD === 'true';

/** Starts the build under test of both engines, here and in workers started later. */
export async function start() {
  const engines = await Promise.all([init({ simd }), initEncoder({ simd })]);
  assert.deepEqual(engines, [{ simd }, { simd }]);
  await Promise.all([initWorkers({ simd }), initEncoderWorkers({ simd })]);
}

export const shakespeare = join(root, 'models/shakespeare.gguf');

/** A real llama, where the folder of data lies beside the repository. */
export const stories = [join(root, '../shared/data/stories260K-f32.gguf')].find(existsSync);

const folder = mkdtempSync(join(tmpdir(), 'trilane-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));

/** A path in a folder that goes with the process; a file there if there are bytes for one. */
export function temporary(name, bytes) {
  const path = join(folder, name);
  if (bytes) writeFileSync(path, bytes);
  return path;
}

/** A model of a few thousand weights, as a file. */
export function tinyFloat() {
  const path = join(folder, 'tiny.gguf');
  if (!existsSync(path)) writeFileSync(path, tinyModel());
  return path;
}

/** The same, converted to a lane by the native command. */
export function tinyConverted(lane) {
  const path = join(folder, `tiny-${lane}.gguf`);
  if (!existsSync(path)) cli('convert', tinyFloat(), path, '--lane', lane);
  return path;
}

/** A small encoder at a lane, converted by the native command. */
export function tinyBert(lane) {
  const path = join(folder, `bert-${lane}.gguf`);
  const from = join(root, 'tests/fixtures/tiny-bert');
  if (!existsSync(path)) cli('convert', from, path, '--lane', commandLane(lane));
  return path;
}

/** Standard output of the native command. */
export function cli(...words) {
  return execFileSync(process.env.TRILANE_CLI, words, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

/** What the command calls a lane. */
export const commandLane = (lane) => (lane === 'float32' ? 'float' : lane);

/** How the native command goes on with a prompt. */
export function nativeText(path, prompt, lane, options) {
  const out = cli('run', path, '--prompt', prompt, '--lane', commandLane(lane), ...options);
  assert.ok(out.startsWith(prompt) && out.endsWith('\n'));
  return out.slice(prompt.length, -1);
}

/** All pieces of a generation. */
export async function collect(generation) {
  let text = '';
  for await (const piece of generation) text += piece;
  return text;
}

/** The bytes of a file, in a buffer of their own. */
export const bytesOf = (path) => new Uint8Array(readFileSync(path));

/** A server whose every request is answered by `answer`; closed when the test ends. */
export async function serve(test, answer) {
  const server = createServer(answer);
  await new Promise((ready) => server.listen(0, '127.0.0.1', ready));
  test.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${server.address().port}/model.gguf`;
}

/** The error that something fails with, which must be one of the package's. */
export async function failure(work) {
  const { TrilaneError } = await import('trilane');
  try {
    await work();
  } catch (error) {
    assert.ok(error instanceof TrilaneError, `not an error of ours: ${error?.stack ?? error}`);
    return error;
  }
  assert.fail('nothing was refused');
}
