// The same text and digests as the native command.

import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { Model } from 'trilane';
import { Model as WorkerModel } from 'trilane/worker';
import {
  cli,
  collect,
  commandLane,
  nativeText,
  shakespeare,
  start,
  stories,
  tinyConverted,
  tinyFloat,
} from './support.mjs';

before(start);

const MODELS = [
  ['shakespeare', () => shakespeare, 'JULIET:\n'],
  ['tiny float', tinyFloat, 'the thé ☃ '],
  ['tiny ternary', () => tinyConverted('ternary'), 'the thé ☃ '],
  ['stories', () => stories, 'Once upon a time'],
];

for (const [name, path, prompt] of MODELS) {
  const options = path() === undefined ? { skip: 'there is no ../shared/data/stories260K-f32.gguf' } : {};
  test(`${name}: the native command's texts`, options, async () => {
    const model = await Model.load(path());
    for (const lane of model.info.lanes) {
      const greedy = model.generate(prompt, { lane, temperature: 0, maxTokens: 30 });
      assert.equal(await collect(greedy), nativeText(path(), prompt, lane, ['--temperature', '0', '-n', '30']));
      const chosen = { lane, temperature: 1.1, topK: 50, topP: 0.9, minP: 0.01, repeatPenalty: 1.2, maxTokens: 40 };
      const words = ['--temperature', '1.1', '--top-k', '50', '--top-p', '0.9', '--min-p', '0.01'];
      words.push('--repeat-penalty', '1.2', '-n', '40', '--seed', '18446744073709551615');
      const drawn = model.generate(prompt, { ...chosen, seed: 2n ** 64n - 1n });
      assert.equal(await collect(drawn), nativeText(path(), prompt, lane, words));
    }
    const usual = await collect(model.generate(prompt, { seed: 3 }));
    assert.equal(usual, nativeText(path(), prompt, model.info.lanes.at(-1), ['--seed', '3']));
    model.dispose();
  });

  test(`${name}: the native command's digests`, options, async () => {
    const native = JSON.parse(cli('verify', path(), '--json'));
    for (const Kind of [Model, WorkerModel]) {
      const model = await Kind.load(path());
      assert.equal(await model.digest(), native.digest);
      const { digest, lanes } = await model.digests();
      assert.equal(digest, native.digest);
      assert.deepEqual(Object.keys(lanes).map(commandLane).sort(), Object.keys(native.lanes).sort());
      for (const lane of model.info.lanes) {
        assert.deepEqual(lanes[lane], native.lanes[commandLane(lane)]);
        assert.equal(await model.digest({ lane }), native.lanes[commandLane(lane)].digest);
      }
      model.dispose();
    }
  });

  test(`${name}: what the native command says of the file`, options, async () => {
    const native = JSON.parse(cli('inspect', path(), '--json'));
    const { info } = await Model.load(path());
    assert.equal(info.bytes, native.bytes);
    assert.equal(info.parameters, native.weights);
    assert.deepEqual(info.lanes.map(commandLane), Object.keys(native.lanes).sort((a, b) => order(a) - order(b)));
    for (const lane of info.lanes) {
      assert.equal(info.bytesPerToken[lane], native.lanes[commandLane(lane)].bytes_per_token);
    }
    const scalars = Object.entries(native.metadata).filter(([, value]) => typeof value !== 'object');
    assert.deepEqual([...info.metadata.keys()].sort(), scalars.map(([key]) => key).sort());
  });
}

const order = (lane) => ['ternary', 'bit3', 'bit5', 'bit7', 'float'].indexOf(lane);

test('tokens become the text again', async () => {
  const model = await Model.load(shakespeare);
  const text = 'To be, or not to be: 😀 “é”\n';
  assert.equal(await model.detokenize(await model.tokenize(text)), text);
  model.dispose();
});

test('logits of tokens are those of the run that chose the next one', async () => {
  const model = await Model.load(shakespeare);
  const prompt = await model.tokenize('JULIET:\n');
  for (const lane of model.info.lanes) {
    const generated = [];
    const tokens = [...prompt];
    for (let i = 0; i < 5; i++) {
      const logits = await model.forward(tokens, { lane });
      assert.equal(logits.length, model.info.vocabulary);
      const best = logits.indexOf(logits.reduce((a, b) => Math.max(a, b)));
      tokens.push(best);
      generated.push(best);
    }
    const text = await collect(model.generate('JULIET:\n', { lane, temperature: 0, maxTokens: 5 }));
    assert.equal(await model.detokenize(generated), text);
  }
  assert.deepEqual(await model.forward(prompt[0]), await model.forward([prompt[0]]));
  model.dispose();
});

test('errors of layers shrink as lanes rise', async () => {
  const model = await Model.load(shakespeare);
  for (const options of [{}, { text: 'ROMEO:\nIs the day so young?' }]) {
    const { reference, tokens, lanes } = await model.layerErrors(options);
    assert.equal(reference, 'bit7');
    assert.equal(tokens, options.text ? (await model.tokenize(options.text)).length : 16);
    assert.deepEqual(lanes.map(({ lane }) => lane), ['bit3', 'bit5', 'bit7']);
    const [bit3, bit5, bit7] = lanes;
    assert.equal(bit3.layers.length, model.info.layers);
    bit3.layers.forEach((error, layer) => {
      assert.ok(error > bit5.layers[layer] && bit5.layers[layer] > 0 && error < 1);
      assert.equal(bit7.layers[layer], 0);
    });
    assert.ok(bit3.logits > bit5.logits && bit7.logits === 0);
  }
  model.dispose();
});

test('a layer error is the distance of what the lanes compute', async () => {
  const model = await Model.load(shakespeare);
  const { lanes } = await model.layerErrors({ text: '' });
  const token = await model.tokenize('');
  const [low, top] = [await model.forward(token, { lane: 'bit3' }), await model.forward(token, { lane: 'bit7' })];
  const norm = (values) => Math.sqrt(values.reduce((sum, v) => sum + v * v, 0));
  const expected = norm(Float64Array.from(low, (v, i) => v - top[i])) / norm(Float64Array.from(top));
  assert.ok(Math.abs(lanes[0].logits - expected) < 1e-12);
  model.dispose();
});
