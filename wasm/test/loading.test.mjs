// Sources of models, progress, aborts, and bytes that are no model.

import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { MemoryError, Model, ModelError, SourceError } from 'trilane';
import { Model as WorkerModel } from 'trilane/worker';
import { tinyModel } from './gguf.mjs';
import { bytesOf, failure, serve, shakespeare, start, tinyFloat } from './support.mjs';

before(start);

const digestOf = async (model) => {
  const digest = await model.digest();
  model.dispose();
  return digest;
};

for (const [where, Kind] of [['here', Model], ['in a worker', WorkerModel]]) {
  test(`${where}: every kind of source`, async (t) => {
    const bytes = bytesOf(tinyFloat());
    const address = await serve(t, (_, response) => response.end(bytes));
    const pieces = () =>
      new ReadableStream({
        start(controller) {
          for (let at = 0; at < bytes.length; at += 10_000) controller.enqueue(bytes.slice(at, at + 10_000));
          controller.close();
        },
      });
    const sources = [
      tinyFloat(),
      pathToFileURL(tinyFloat()),
      pathToFileURL(tinyFloat()).href,
      address,
      new URL(address),
      new Request(address),
      await fetch(address),
      new Response(pieces()),
      new Blob([bytes]),
      new File([bytes], 'tiny.gguf'),
      bytes,
      bytes.buffer,
      pieces(),
    ];
    const digests = [];
    for (const source of sources) digests.push(await digestOf(await Kind.load(source)));
    assert.equal(new Set(digests).size, 1);
    // What the caller gave is still the caller's.
    assert.equal(bytes.length, tinyModel().length);
    assert.equal(await digestOf(await Kind.load(bytes)), digests[0]);
    assert.equal((await failure(() => Kind.load(42))).code, 'option');
  });

  test(`${where}: progress`, async (t) => {
    const bytes = bytesOf(shakespeare);
    const address = await serve(t, (request, response) => {
      if (request.url.endsWith('?known')) response.setHeader('content-length', bytes.length);
      // Without a length, two writes are sent in chunks.
      response.write(bytes.subarray(0, 1000));
      response.end(bytes.subarray(1000));
    });
    for (const [source, total] of [[`${address}?known`, bytes.length], [`${address}?unknown`, undefined]]) {
      const seen = [];
      const model = await Kind.load(source, { onProgress: (progress) => seen.push(progress) });
      assert.ok(seen.length > 1);
      assert.ok(seen.every((progress, i) => progress.total === total && progress.loaded > (seen[i - 1]?.loaded ?? 0)));
      assert.equal(seen.at(-1).loaded, bytes.length);
      model.dispose();
    }
  });

  test(`${where}: an abort ends a download`, async (t) => {
    const bytes = bytesOf(shakespeare);
    let closed;
    const ended = new Promise((done) => (closed = done));
    const address = await serve(t, (_, response) => {
      response.setHeader('content-length', bytes.length);
      response.write(bytes.subarray(0, 300_000));
      response.on('close', closed);
    });
    const abort = new AbortController();
    const onProgress = ({ loaded }) => {
      if (loaded >= 100_000) abort.abort();
    };
    await assert.rejects(Kind.load(address, { signal: abort.signal, onProgress }), { name: 'AbortError' });
    await ended;
    const waiting = new AbortController();
    setTimeout(() => waiting.abort(), 50);
    await assert.rejects(Kind.load(address, { signal: waiting.signal }), { name: 'AbortError' });
    const reason = new Error('not now');
    await assert.rejects(Kind.load(address, { signal: AbortSignal.abort(reason) }), reason);
  });

  test(`${where}: sources that fail`, async (t) => {
    const address = await serve(t, (request, response) => {
      if (request.url.endsWith('?cut')) {
        response.setHeader('content-length', 1000);
        response.write('GGUF');
        return setTimeout(() => response.destroy(), 20);
      }
      response.statusCode = 404;
      response.end('not here');
    });
    const missing = await failure(() => Kind.load(address));
    assert.equal(missing.constructor.name, 'SourceError');
    assert.equal(missing.message, `${address}: expected a model, found status 404`);
    assert.equal((await failure(() => Kind.load(`${address}?cut`))).code, 'source');
    assert.equal((await failure(() => Kind.load('no/such/file.gguf'))).code, 'source');
    assert.equal((await failure(() => Kind.load(new ReadableStream({ start: (c) => c.enqueue('text') })))).code, 'source');
    const broken = new ReadableStream({ start: (c) => c.error(new Error('the cable')) });
    assert.match((await failure(() => Kind.load(broken))).message, /^stream: the cable$/);
  });

  test(`${where}: bytes that are no model`, async () => {
    const cases = [
      [new Uint8Array(0), 'gguf'],
      [new TextEncoder().encode('<!doctype html>'), 'gguf'],
      [tinyModel({ heads: 5 }), 'model'],
      [tinyModel().subarray(0, 50_000), 'gguf'],
    ];
    for (const [bytes, code] of cases) {
      const error = await failure(() => Kind.load(bytes));
      assert.equal(error.constructor.name, 'ModelError');
      assert.equal(error.code, code);
      assert.match(error.message, /^bytes: /);
    }
  });
}

test('a length that is not true', async () => {
  const bytes = bytesOf(tinyFloat());
  const claim = (length) => new Response(bytes, { headers: { 'content-length': String(length) } });
  const digest = await digestOf(await Model.load(bytes));
  assert.equal(await digestOf(await Model.load(claim(10))), digest);
  assert.equal(await digestOf(await Model.load(claim(200_000))), digest);
  const compressed = new Response(bytes, { headers: { 'content-length': '10', 'content-encoding': 'identity, gzip' } });
  assert.equal(await digestOf(await Model.load(compressed)), digest);
});

test('memory that is not to be had is an error, and the engine goes on', async () => {
  const claim = (length) => new Response('GGUF', { headers: { 'content-length': String(length) } });
  for (const length of [2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1]) {
    const error = await failure(() => Model.load(claim(length)));
    assert.ok(error instanceof MemoryError);
    assert.match(error.message, new RegExp(`memory for the file: ${length} bytes`));
  }
  const model = await Model.load(shakespeare);
  const digest = await model.digest();
  const long = 'a'.repeat(2e8);
  for (const use of [() => model.tokenize(long), () => model.generate(long).next()]) {
    assert.ok((await failure(use)) instanceof MemoryError);
  }
  assert.equal(await model.digest(), digest);
  model.dispose();
});

test('every cut of a file is refused', async () => {
  const bytes = tinyModel();
  const cuts = new Set(Array.from({ length: 200 }, (_, i) => Math.floor((i * bytes.length) / 200)));
  for (let length = 0; length < 300; length++) cuts.add(length);
  for (const length of cuts) {
    const error = await failure(() => Model.load(bytes.subarray(0, length)));
    assert.ok(error instanceof ModelError, `${length}: ${error}`);
  }
});

test('every flipped bit of a header gives a model or an error', async () => {
  const bytes = tinyModel();
  const good = await digestOf(await Model.load(bytes));
  const dataAt = bytes.length - 4 * 1024 * 8;
  const header = Math.min(dataAt, 16_000);
  let [loaded, refused] = [0, 0];
  for (let at = 0; at < header; at += at < 1200 ? 1 : 7) {
    const flipped = bytes.slice();
    flipped[at] ^= 1 << (at * 5 + 3) % 8;
    try {
      const model = await Model.load(flipped);
      loaded += 1;
      // What loads can also be asked; it may compute infinities, which is an error too.
      await model.digest().catch((error) => assert.match(error.code, /^(value|context|memory)$/));
      model.dispose();
    } catch (error) {
      assert.ok(error instanceof ModelError || error instanceof MemoryError, `byte ${at}: ${error.stack}`);
      refused += 1;
    }
  }
  assert.ok(loaded > 100 && refused > 100, `${loaded} loaded, ${refused} refused`);
  assert.equal(await digestOf(await Model.load(bytes)), good);
});

test('the message names source, what was expected and what was found', async () => {
  const error = await failure(() => Model.load(tinyModel({ heads: 5 })));
  assert.equal(error.message, 'bytes: metadata key attention.head_count: expected a divisor of embedding_length');
  assert.ok(error instanceof ModelError);
  assert.equal((await failure(() => Model.load('/no/such/file'))) instanceof SourceError, true);
});
