// The demo page in Chromium: what it writes and computes are the native engine's text and digests.
//
// From the environment, set by `cargo xtask test --only browser`: TRILANE_ROOT (the repository).

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { serve, startBrowser } from '../chromium.mjs';
import * as native from './native.mjs';
import { DESKTOP, PHONE, openDemo, openEmpty } from './page.mjs';

const ROOT = process.env.TRILANE_ROOT;
const SITE = path.join(ROOT, 'target/demo');
const PICTURES = path.join(ROOT, 'target/demo-screenshots');
const SHAKESPEARE = path.join(ROOT, 'models/shakespeare.gguf');
const BERT = path.join(ROOT, 'tests/fixtures/tiny-bert');
const STORIES = path.join(ROOT, '../shared/data/stories260K-f32.gguf');
const LANES = ['bit3', 'bit5', 'bit7'];
const BUILDS = ['simd128', 'baseline'];
const PROMPT = 'ROMEO:\n';
const QUERY = 'the cat sat';
const LINES = ['привет и 12', 'unable, naive', 'a cat sat on the mat!', 'café', '中文'];

describe('the demo page', () => {
  let server;
  let chromium;
  let browser;
  let folder;

  before(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'trilane-demo-'));
    await mkdir(PICTURES, { recursive: true });
    server = await serve(SITE);
    chromium = await startBrowser();
    browser = chromium.browser;
  });

  after(async () => {
    await chromium?.close();
    await server?.close();
    await rm(folder, { recursive: true, force: true });
  });

  for (const build of BUILDS) {
    it(`writes the native text at every lane (${build})`, async (test) => {
      const demo = await openDemo(browser, server.url, { build });
      assert.deepEqual(demo.engines, [build === 'baseline' ? 'trilane_baseline.wasm' : 'trilane_simd.wasm']);
      for (const lane of LANES) {
        const request = { prompt: PROMPT, lane, tokens: 200 };
        assert.equal(await demo.write(request), await native.text(SHAKESPEARE, request));
        const rate = await demo.page.locator('#rate').textContent();
        test.diagnostic(`${build} ${lane}: ${rate} tokens/s`);
      }
      await demo.close();
    });

    it(`computes the native digests (${build})`, async () => {
      const demo = await openDemo(browser, server.url, { build });
      const { digest, lanes } = await native.digests(SHAKESPEARE);
      const expected = { ...Object.fromEntries(LANES.map((l) => [l, lanes[l].digest])), all: digest };
      assert.deepEqual(await demo.digests(), expected);
      const marks = await demo.page.locator('#proof-rows td:last-child').allTextContents();
      assert.deepEqual(marks, ['✓ equal', '✓ equal', '✓ equal', '✓ equal']);
      await demo.close();
    });
  }

  it('draws the native random text from a seed', async () => {
    const demo = await openDemo(browser, server.url);
    const request = { prompt: 'JULIET:\n', lane: 'bit5', tokens: 100, temperature: 0.8, seed: 7 };
    assert.equal(await demo.write(request), await native.text(SHAKESPEARE, request));
    await demo.close();
  });

  it('switches the build in place', async () => {
    const demo = await openDemo(browser, server.url);
    const before = await demo.digests();
    const fetched = demo.page.waitForResponse(/trilane_baseline\.wasm$/);
    await demo.page.getByRole('radio', { name: 'baseline' }).check({ force: true });
    await fetched;
    await demo.page.locator('#facts', { hasText: 'buildbaseline' }).waitFor();
    assert.deepEqual(await demo.digests(), before);
    await demo.close();
  });

  it('shows a digest that differs', async () => {
    const page = await openWithNative(browser, server.url, (digests) => {
      digests.lanes.bit5.digest = '0123456789abcdef';
    });
    const marks = await page.locator('#proof-rows td:last-child').allTextContents();
    assert.deepEqual(marks, ['✓ equal', '✗ differs', '✓ equal', '✓ equal']);
    await page.close();
  });

  it('stops in the middle and can go on', async () => {
    const demo = await openDemo(browser, server.url);
    const request = { prompt: PROMPT, lane: 'bit7', tokens: 240 };
    const whole = await demo.write(request);
    // From inside the page, at the first piece: a click from here could come after the end.
    await demo.page.evaluate(() => {
      const button = document.getElementById('generate');
      new MutationObserver((changes, observer) => {
        if (document.getElementById('written').textContent === '') return;
        observer.disconnect();
        button.click();
      }).observe(document.getElementById('written'), { childList: true });
    });
    await demo.page.getByRole('button', { name: 'Generate' }).click();
    await demo.page.locator('#write-status', { hasText: /^Stopped after \d+ token/ }).waitFor();
    const part = await demo.text();
    assert.ok(part.length < whole.length && whole.startsWith(part), part);
    await demo.page.getByRole('button', { name: 'Generate' }).waitFor();
    assert.equal(await demo.write(request), whole);
    await demo.close();
  });

  it('works from the keyboard', async () => {
    const demo = await openDemo(browser, server.url);
    await demo.fill({ prompt: PROMPT, tokens: 20 });
    await demo.page.locator('#lanes [value="bit7"]').focus();
    await demo.page.keyboard.press('ArrowUp');
    assert.equal(await demo.page.locator('#lanes :checked').inputValue(), 'bit5');
    await demo.page.keyboard.press('Tab');
    assert.ok(await demo.page.getByLabel('Prompt').evaluate((node) => node === document.activeElement));
    await demo.page.keyboard.press('Control+Enter');
    await demo.page.locator('#write-status', { hasText: '20 tokens at Bit5' }).waitFor();
    await demo.close();
  });

  it('says what is wrong with a file and keeps the model before it', async () => {
    const whole = await readFile(SHAKESPEARE);
    const noise = Buffer.alloc(4096);
    for (let i = 0, state = 1; i < noise.length; i += 1) {
      state = (state * 48271) % 0x7fffffff;
      noise[i] = state >> 8;
    }
    const demo = await openDemo(browser, server.url);
    const files = { 'truncated.gguf': whole.subarray(0, whole.length / 2), 'noise.gguf': noise, 'empty.gguf': Buffer.alloc(0) };
    for (const [name, bytes] of Object.entries(files)) {
      const file = path.join(folder, name);
      await writeFile(file, bytes);
      await demo.openFile(file);
      const alert = demo.page.getByRole('alert').filter({ hasText: name });
      await alert.waitFor();
      const said = await alert.locator('p').first().textContent();
      assert.equal(said, `${name}: ${await native.refusal(file)}`);
    }
    assert.match(await demo.write({ prompt: PROMPT, lane: 'bit3', tokens: 20 }), /^ROMEO:\n./);
    await demo.close();
  });

  it('says what is wrong with an option', async () => {
    const demo = await openDemo(browser, server.url);
    await demo.fill({ prompt: PROMPT, lane: 'bit3', tokens: 0 });
    await demo.page.getByRole('button', { name: 'Generate' }).click();
    await demo.page.getByRole('alert').filter({ hasText: 'Tokens, at most' }).waitFor();
    await demo.fill({ prompt: 'Now '.repeat(400), lane: 'bit3', tokens: 20 });
    await demo.page.getByRole('button', { name: 'Generate' }).click();
    await demo.page.getByRole('alert').filter({ hasText: 'The text could not be written' }).waitFor();
    await demo.close();
  });

  it('opens a file of the user’s', { skip: existsSync(STORIES) ? false : `${STORIES} is missing` }, async () => {
    const demo = await openDemo(browser, server.url);
    await demo.openFile(STORIES);
    await demo.page.locator('#lanes [value="float32"]').waitFor({ state: 'attached' });
    const request = { prompt: 'Once upon a time', tokens: 100 };
    assert.equal(await demo.write(request), await native.text(STORIES, { ...request, lane: 'float' }));
    await demo.page.getByRole('button', { name: 'Compute the digests here' }).click();
    const { digest, lanes } = await native.digests(STORIES);
    assert.deepEqual(await demo.digests(), { float32: lanes.float.digest, all: digest });
    assert.match(await demo.page.locator('#proof-command').textContent(), /^trilane verify stories260K-f32\.gguf$/);
    const paste = demo.page.getByLabel('A digest it printed');
    const verdict = demo.page.locator('#proof-verdict');
    await paste.fill(digest);
    assert.match(await verdict.textContent(), /^✓ equal/);
    await paste.fill('0123456789abcdef');
    assert.match(await verdict.textContent(), /^✗ differs/);
    await paste.fill('0123');
    assert.match(await verdict.textContent(), /16 hexadecimal digits/);
    await demo.page.getByRole('button', { name: 'Bundled model' }).click();
    await demo.ready('trilane-shakespeare');
    await demo.close();
  });

  it('opens a file that is dropped', async () => {
    const demo = await openDemo(browser, server.url);
    const bytes = [...await readFile(path.join(ROOT, 'LICENSE-MIT'))];
    await demo.page.evaluate((content) => {
      const dataTransfer = new DataTransfer();
      dataTransfer.items.add(new File([new Uint8Array(content)], 'dropped.gguf'));
      dispatchEvent(new DragEvent('drop', { dataTransfer, cancelable: true }));
    }, bytes);
    await demo.page.getByRole('alert').filter({ hasText: 'dropped.gguf: ' }).waitFor();
    await demo.close();
  });

  it('can be told to stop loading', async () => {
    const held = [];
    await browser.route('**/*.gguf', (route) => held.push(route));
    const demo = await openEmpty(browser, server.url);
    await demo.page.getByRole('button', { name: 'Cancel' }).click();
    await demo.page.getByRole('progressbar').waitFor({ state: 'hidden' });
    await browser.unroute('**/*.gguf');
    await Promise.allSettled(held.map((route) => route.abort()));
    await demo.page.getByRole('button', { name: 'Bundled model' }).click();
    await demo.ready('trilane-shakespeare');
    await demo.close();
  });

  it('draws the error of each layer and gives its figures', async () => {
    const demo = await openDemo(browser, server.url);
    const chart = demo.page.locator('#cost-chart svg[role="img"]');
    assert.match(await chart.getAttribute('aria-label'), /Bit3 from [\d.]+% to [\d.]+%; Bit5 from/);
    assert.equal(await chart.locator('polyline').count(), 2);
    await demo.page.getByText('The figures').click();
    const cells = await demo.page.locator('#cost-table tbody td').allTextContents();
    assert.ok(cells.length >= 10 && cells.every((cell) => /^[\d.]+%$/.test(cell)), cells.join());
    await demo.close();
  });

  describe('search by meaning', () => {
    let encoder;

    before(async () => {
      encoder = path.join(folder, 'bert.gguf');
      await native.convert(BERT, encoder);
    });

    for (const build of BUILDS) {
      it(`ranks lines as the native vectors do (${build})`, async () => {
        const demo = await openDemo(browser, server.url, { build, size: PHONE });
        await demo.openEncoder(encoder);
        const engine = build === 'baseline' ? 'trilane_encoder_baseline.wasm' : 'trilane_encoder_simd.wasm';
        assert.deepEqual(demo.engines.slice(1), [engine]);
        assert.match(await demo.page.locator('#search-model').textContent(), /vectors of 16 values at Bit7/);
        assert.deepEqual(await demo.rank(QUERY, LINES), await native.ranked(encoder, QUERY, LINES));
        assert.equal(await demo.overflow(), 0);
        await demo.page.locator('.search').screenshot({ path: path.join(PICTURES, `search-${build}.png`) });
        await demo.close();
      });
    }

    it('takes an encoder that is opened as any model, and leaves the one that writes', async () => {
      const demo = await openDemo(browser, server.url);
      await demo.openFile(encoder);
      await demo.page.locator('#search-run:enabled').waitFor();
      await demo.ready('trilane-shakespeare');
      assert.deepEqual(await demo.rank(QUERY, LINES), await native.ranked(encoder, QUERY, LINES));
      await demo.close();
    });

    it('says that a model which writes is none for it', async () => {
      const demo = await openDemo(browser, server.url);
      await demo.page.locator('#search-file').setInputFiles(SHAKESPEARE);
      await demo.page.getByRole('alert').filter({ hasText: 'it writes texts (llama)' }).waitFor();
      assert.ok(await demo.page.getByRole('button', { name: 'Rank' }).isDisabled());
      await demo.close();
    });
  });

  for (const [name, size] of Object.entries({ desktop: DESKTOP, phone: PHONE })) {
    for (const colorScheme of ['light', 'dark']) {
      it(`fits a ${name} (${colorScheme})`, async () => {
        const demo = await openDemo(browser, server.url, { size });
        await demo.page.emulateMedia({ colorScheme });
        await demo.write({ prompt: PROMPT, lane: 'bit5', tokens: 120, temperature: 0.8, seed: 3 });
        await demo.digests();
        await demo.page.locator('#cost-chart svg').first().waitFor();
        assert.equal(await demo.overflow(), 0);
        await demo.page.screenshot({ path: path.join(PICTURES, `${name}-${colorScheme}.png`), fullPage: true });
        await demo.close();
      });
    }
  }
});

/** The page with native digests that `spoil` has changed. */
async function openWithNative(browser, url, spoil) {
  const page = await browser.newPage();
  await page.route('**/shakespeare.digest.json', async (route) => {
    const response = await route.fetch();
    const digests = await response.json();
    spoil(digests);
    await route.fulfill({ response, json: digests });
  });
  await page.goto(url);
  await page.locator('#proof-all').waitFor();
  return page;
}
