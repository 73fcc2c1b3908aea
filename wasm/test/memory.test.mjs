// Memory that runs out: errors, and an engine that goes on.

import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { MemoryError, Model } from 'trilane';
import { collect, failure, shakespeare, start } from './support.mjs';

before(start);

test('what others hold is refused to the next, and comes back', async () => {
  const model = await Model.load(shakespeare);
  const before = await collect(model.generate('ROMEO:\n', { maxTokens: 10 }));
  const abort = new AbortController();
  /** A download that asks for a gigabyte and never comes. */
  const waiting = () => {
    const headers = { 'content-length': String(1e9) };
    const body = new ReadableStream({ start: (controller) => controller.enqueue(new Uint8Array(1)) });
    let started;
    const asked = new Promise((done) => (started = done));
    const load = Model.load(new Response(body, { headers }), { signal: abort.signal, onProgress: started });
    return Promise.race([asked.then(() => [load]), load.then((model) => [model])]);
  };
  const loads = [];
  const error = await failure(async () => {
    for (;;) loads.push(...(await waiting()));
  });
  assert.ok(error instanceof MemoryError);
  assert.ok(loads.length >= 1 && loads.length <= 4, `${loads.length} gigabytes`);
  // What is small still fits.
  assert.equal(await collect(model.generate('ROMEO:\n', { maxTokens: 10 })), before);
  const ended = Promise.allSettled(loads);
  abort.abort();
  for (const { status, reason } of await ended) {
    assert.equal(status, 'rejected');
    assert.equal(reason.name, 'AbortError');
  }
  const again = new AbortController();
  const onProgress = () => again.abort();
  const big = new Response(new Uint8Array(9), { headers: { 'content-length': String(1e9) } });
  await assert.rejects(Model.load(big, { signal: again.signal, onProgress }), { name: 'AbortError' });
  model.dispose();
});
