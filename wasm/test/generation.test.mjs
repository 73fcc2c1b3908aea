// Generations: how they end, what they cost, and what happens when they are left or aborted.

import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { Model } from 'trilane';
import { Model as WorkerModel } from 'trilane/worker';
import { collect, failure, shakespeare, start } from './support.mjs';

before(start);

for (const [where, Kind] of [['here', Model], ['in a worker', WorkerModel]]) {
  test(`${where}: statistics`, async () => {
    const model = await Kind.load(shakespeare);
    const generation = model.generate('ROMEO:\n', { temperature: 0, maxTokens: 20 });
    assert.equal(generation.stats.end, undefined);
    let pieces = 0;
    for await (const piece of generation) {
      assert.ok(piece.length > 0);
      pieces += 1;
      assert.ok(generation.stats.tokens >= pieces);
    }
    const { stats } = generation;
    assert.equal(stats.promptTokens, (await model.tokenize('ROMEO:\n')).length);
    assert.equal(stats.tokens, 20);
    assert.equal(stats.end, 'limit');
    assert.ok(stats.promptMs > 0 && stats.ms > 0 && stats.tokensPerSecond > 1);
    model.dispose();
  });

  test(`${where}: stop texts are left out, wherever the pieces are cut`, async () => {
    const model = await Kind.load(shakespeare);
    const whole = await collect(model.generate('ROMEO:\n', { temperature: 0, maxTokens: 40 }));
    for (const stop of [whole.slice(7, 10), whole.slice(20, 21), [whole.slice(30, 36), 'never']]) {
      const generation = model.generate('ROMEO:\n', { temperature: 0, maxTokens: 40, stop });
      const first = typeof stop === 'string' ? stop : stop[0];
      assert.equal(await collect(generation), whole.slice(0, whole.indexOf(first)));
      assert.equal(generation.stats.end, 'stop');
    }
    const held = model.generate('ROMEO:\n', { temperature: 0, maxTokens: 40, stop: `${whole.slice(-3)}€` });
    assert.equal(await collect(held), whole);
    model.dispose();
  });

  test(`${where}: the context ends a text`, async () => {
    const model = await Kind.load(shakespeare);
    const generation = model.generate('ROMEO:\n', { maxTokens: 4000 });
    await collect(generation);
    const { stats } = generation;
    assert.equal(stats.end, 'context');
    // The last token is chosen, but has no place of its own.
    assert.equal(stats.promptTokens + stats.tokens, model.info.context + 1);
    const error = await failure(() => collect(model.generate('a '.repeat(400))));
    assert.equal(error.code, 'context');
    assert.match(error.message, /shakespeare\.gguf: the prompt has \d+ tokens, the context 256/);
    model.dispose();
  });

  test(`${where}: an abort ends a generation with the signal's reason`, async () => {
    const model = await Kind.load(shakespeare);
    const late = new AbortController();
    let aborted;
    await assert.rejects(
      async () => {
        // Without the abort it would not end.
        for (;;) {
          for await (const _ of model.generate('ROMEO:\n', { maxTokens: 200, signal: late.signal })) {
            aborted ??= setTimeout(() => late.abort(), 5);
          }
        }
      },
      (error) => error instanceof DOMException && error.name === 'AbortError',
    );
    const inside = new AbortController();
    const reason = new Error('enough');
    await assert.rejects(async () => {
      for await (const _ of model.generate('ROMEO:\n', { signal: inside.signal })) inside.abort(reason);
    }, reason);
    const early = AbortSignal.abort(reason);
    await assert.rejects(collect(model.generate('ROMEO:\n', { signal: early })), reason);
    assert.equal((await collect(model.generate('ROMEO:\n', { maxTokens: 3 }))).length > 0, true);
    model.dispose();
  });

  test(`${where}: the event loop runs meanwhile`, async () => {
    const model = await Kind.load(shakespeare);
    let [turns, longest, last] = [0, 0, performance.now()];
    const timer = setInterval(() => {
      longest = Math.max(longest, performance.now() - last);
      last = performance.now();
      turns += 1;
    }, 1);
    const start = performance.now();
    while (performance.now() < start + 150) await collect(model.generate('ROMEO:\n', { maxTokens: 240 }));
    clearInterval(timer);
    assert.ok(turns >= 5, `${turns} turns, ${longest} ms at most without one`);
    model.dispose();
  });

  test(`${where}: two generations at once are two sequences`, async () => {
    const model = await Kind.load(shakespeare);
    const prompts = ['ROMEO:\n', 'JULIET:\n'];
    const alone = [];
    for (const prompt of prompts) alone.push(await collect(model.generate(prompt, { seed: 1, maxTokens: 30 })));
    const together = prompts.map((prompt) => collect(model.generate(prompt, { seed: 1, maxTokens: 30 })));
    assert.deepEqual(await Promise.all(together), alone);
    model.dispose();
  });

  test(`${where}: leaving a loop is the end of a generation`, async () => {
    const model = await Kind.load(shakespeare);
    const generation = model.generate('ROMEO:\n');
    for await (const _ of generation) break;
    assert.deepEqual(await generation.next(), { done: true, value: undefined });
    model.dispose();
  });

  test(`${where}: use after disposing`, async () => {
    const model = await Kind.load(shakespeare);
    const underway = model.generate('ROMEO:\n');
    await underway.next();
    assert.equal(model.disposed, false);
    if (Symbol.dispose) model[Symbol.dispose]();
    model.dispose();
    assert.equal(model.disposed, true);
    const uses = [
      () => underway.next(),
      () => collect(model.generate('ROMEO:\n')),
      () => model.tokenize('a'),
      () => model.detokenize([1]),
      () => model.forward(1),
      () => model.digest(),
      () => model.layerErrors(),
    ];
    for (const use of uses) {
      const error = await failure(use);
      assert.equal(error.code, 'disposed');
      assert.equal(error.constructor.name, 'DisposedError');
    }
    assert.equal(model.info.layers, 5);
  });

  test(`${where}: options that cannot be`, async () => {
    const model = await Kind.load(shakespeare);
    const wrong = [
      [{ temperature: NaN }, 'option', /temperature NaN is not finite/],
      [{ temperature: -1 }, 'option', /temperature -1/],
      [{ temperature: 'hot' }, 'option', /temperature: expected a number, found string/],
      [{ topP: 1.5 }, 'option', /top-p 1.5/],
      [{ minP: NaN }, 'option', /min-p NaN/],
      [{ repeatPenalty: 0 }, 'option', /repetition penalty 0/],
      [{ topK: -1 }, 'option', /topK: expected a count/],
      [{ topK: 1.5 }, 'option', /topK: expected a count/],
      [{ maxTokens: 2 ** 33 }, 'option', /maxTokens: expected a count/],
      [{ seed: -1 }, 'option', /seed: expected an integer/],
      [{ seed: 2n ** 64n }, 'option', /seed: expected an integer/],
      [{ seed: 0.5 }, 'option', /seed: expected an integer/],
      [{ stop: [''] }, 'option', /stop: expected texts/],
      [{ lane: 'bit4' }, 'option', /lane: expected ternary, .*, found bit4/],
      [{ lane: 'float32' }, 'lane', /tensor token_embd.weight is not stored at lane float/],
    ];
    for (const [options, code, message] of wrong) {
      const error = await failure(() => collect(model.generate('ROMEO:\n', options)));
      assert.equal(error.code, code);
      assert.match(error.message, message);
      assert.equal(error.constructor.name, code === 'lane' ? 'LaneError' : 'OptionError');
    }
    assert.equal((await failure(() => collect(model.generate(7)))).code, 'option');
    assert.equal((await failure(() => model.tokenize(7))).code, 'option');
    assert.equal((await failure(() => model.forward(512))).code, 'token');
    assert.equal((await failure(() => model.forward(-1))).code, 'option');
    assert.equal((await failure(() => model.forward([]))).code, 'option');
    assert.equal((await failure(() => model.forward(new Array(300).fill(1)))).code, 'context');
    assert.equal((await failure(() => model.forward(1, { lane: 'ternary' }))).code, 'lane');
    assert.equal((await failure(() => model.digest({ lane: 'float32' }))).code, 'lane');
    assert.equal((await failure(() => model.detokenize([1, 512]))).code, 'text');
    assert.equal(await collect(model.generate('ROMEO:\n', { maxTokens: 0 })), '');
    model.dispose();
  });
}
