// Vectors of texts: the bits of the native command, in this thread and in a worker.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { Model } from 'trilane';
import { Model as WorkerModel } from 'trilane/worker';
import { bytesOf, cli, commandLane, failure, shakespeare, start, temporary, tinyBert } from './support.mjs';

const LANES = ['ternary', 'bit3', 'bit5', 'bit7', 'float32'];
const TEXTS = ['', 'the cat', 'The CAT sat on the café!', '中文 한 привет', '[CLS] unable, naïve – ﬂ', 'cats '.repeat(40)];
const KINDS = Object.entries({ here: Model, worker: WorkerModel });

before(start);

/** A model that is disposed after the tests. */
async function loaded(Kind, source) {
  const model = await Kind.load(source);
  after(() => model.dispose());
  return model;
}

/** The bits of the vectors that the native command computes. */
function nativeBits(path, lane) {
  const out = temporary('vectors.npy');
  const texts = TEXTS.flatMap((text) => ['--text', text]);
  cli('embed', path, ...texts, '--lane', commandLane(lane), '--format', 'npy', '--out', out);
  const file = readFileSync(out);
  return file.subarray(10 + file.readUInt16LE(8)).toString('hex');
}

const bits = (vectors) => Buffer.concat(vectors.map(({ buffer }) => Buffer.from(buffer))).toString('hex');

for (const lane of LANES) {
  test(`${lane}: the native vectors and digests`, async () => {
    const path = tinyBert(lane);
    const expected = nativeBits(path, lane);
    const verified = JSON.parse(cli('verify', path, '--json'));
    for (const [, Kind] of KINDS) {
      const model = await loaded(Kind, path);
      const vectors = await model.embed(TEXTS, { lane });
      assert.equal(bits(vectors), expected);
      assert.deepEqual(vectors.map(({ length }) => length), TEXTS.map(() => model.info.dim));
      // The highest lane is taken where none is asked for.
      if (model.info.lanes.at(-1) === lane) assert.equal(bits([await model.embed(TEXTS[2])]), bits([vectors[2]]));
      assert.equal(await model.digest(), verified.digest);
      const { lanes } = await model.digests();
      assert.deepEqual(lanes[lane], verified.lanes[commandLane(lane)]);
    }
  });
}

for (const [place, Kind] of KINDS) {
  test(`${place}: says what it is`, async () => {
    const { info } = await loaded(Kind, tinyBert('bit7'));
    assert.equal(info.kind, 'encoder');
    assert.equal(info.architecture, 'bert');
    assert.deepEqual(info.lanes, ['bit3', 'bit5', 'bit7']);
    const { dim, hidden, layers, heads, kvHeads, headDim, context, vocabulary } = info;
    const expected = { dim: 16, hidden: 24, layers: 2, heads: 2, kvHeads: 2, headDim: 8, context: 20, vocabulary: 40 };
    assert.deepEqual({ dim, hidden, layers, heads, kvHeads, headDim, context, vocabulary }, expected);
    assert.equal(info.parameters, (40 + 2 + 20) * 16 + 2 * (4 * 16 * 16 + 2 * 16 * 24));
    assert.ok(info.bytesPerToken.bit3 < info.bytesPerToken.bit5 && info.bytesPerToken.bit5 < info.bytesPerToken.bit7);
    assert.equal(info.bytes, bytesOf(tinyBert('bit7')).length);
    assert.equal((await loaded(Kind, shakespeare)).info.kind, 'decoder');
  });

  test(`${place}: each kind refuses what the other does, and says what to call`, async () => {
    const [encoder, decoder] = [await loaded(Kind, tinyBert('bit7')), await loaded(Kind, shakespeare)];
    const refusals = [
      () => encoder.generate('a').next(),
      () => encoder.forward([1]),
      () => encoder.detokenize([1]),
      () => encoder.layerErrors(),
    ];
    for (const refused of refusals) {
      const { name, code, message } = await failure(refused);
      assert.deepEqual([name, code], ['KindError', 'kind']);
      assert.match(message, /bit7\.gguf: the model is an encoder \(bert\).*: call embed$/);
    }
    const { name, message } = await failure(() => decoder.embed('a'));
    assert.equal(name, 'KindError');
    assert.match(message, /shakespeare\.gguf: the model is a decoder \(llama\).*: call generate$/);
  });

  test(`${place}: refuses lanes, values and use after the end; hears aborts`, async () => {
    const model = await loaded(Kind, tinyBert('bit3'));
    assert.equal((await failure(() => model.embed('a', { lane: 'bit7' }))).code, 'lane');
    assert.equal((await failure(() => model.embed('a', { lane: 'bit4' }))).code, 'option');
    assert.equal((await failure(() => model.embed(1))).code, 'option');
    assert.equal((await failure(() => model.embed(['a', 1]))).code, 'option');
    assert.deepEqual(await model.embed([]), []);
    const abort = new AbortController();
    const many = model.embed(Array.from({ length: 5000 }, () => 'the cat'), { signal: abort.signal });
    setTimeout(() => abort.abort(new RangeError('enough')), 5);
    await assert.rejects(many, RangeError);
    assert.equal((await model.embed('the cat')).length, 16);
    model.dispose();
    assert.equal((await failure(() => model.embed('a'))).code, 'disposed');
  });

  test(`${place}: gives all tokens of a text that embedding cuts`, async () => {
    const model = await loaded(Kind, tinyBert('bit7'));
    const text = 'the '.repeat(100);
    const all = await model.tokenize(text);
    assert.equal(all.length, 102);
    const fitting = await model.embed('the '.repeat(model.info.context - 2));
    assert.equal(bits([await model.embed(text)]), bits([fitting]));
  });
}

test('an encoder is known whatever stands before its architecture, and however its bytes come', async () => {
  const plain = bytesOf(tinyBert('bit7'));
  const expected = bits([await (await loaded(Model, plain)).embed('the cat')]);
  const inBits = new ReadableStream({
    start(controller) {
      for (let at = 0; at < plain.length; at += 7) controller.enqueue(plain.slice(at, at + 7));
      controller.close();
    },
  });
  assert.equal(bits([await (await loaded(Model, inBits)).embed('the cat')]), expected);
  // A key of 3 MiB before all others: of a multiple of 32 bytes, so what follows stays aligned.
  const length = 3 << 20;
  const key = Buffer.alloc(length);
  key.writeBigUInt64LE(1n, 0);
  key.write('x', 8);
  key.writeUInt32LE(8, 9);
  key.writeBigUInt64LE(BigInt(length - 21), 13);
  key.fill('y', 21);
  const head = Buffer.from(plain.subarray(0, 24));
  head.writeBigUInt64LE(head.readBigUInt64LE(16) + 1n, 16);
  const path = temporary('late.gguf', Buffer.concat([head, key, plain.subarray(24)]));
  for (const [, Kind] of KINDS) {
    const model = await loaded(Kind, path);
    assert.equal(bits([await model.embed('the cat')]), expected);
  }
});

test('damaged encoders are refused', async () => {
  const whole = bytesOf(tinyBert('bit7'));
  const { length } = whole;
  for (const part of [100, 500, 2000, length / 2, length - 100]) {
    const { code } = await failure(() => Model.load(whole.slice(0, part)));
    assert.ok(['gguf', 'model'].includes(code), `${part} bytes: ${code}`);
  }
});
