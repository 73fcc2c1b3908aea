// The package in Chromium: bundled by Vite, and as it is with an import map.
//
// From the environment: TRILANE_ROOT, TRILANE_CLI, TRILANE_SITE (the site that Vite built).

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { extname, join, normalize } from 'node:path';
import { after, before, test } from 'node:test';
import { startBrowser } from '../chromium.mjs';

const { TRILANE_CLI, TRILANE_ROOT, TRILANE_SITE } = process.env;
const model = join(TRILANE_ROOT, 'models/shakespeare.gguf');
const folder = mkdtempSync(join(tmpdir(), 'trilane-site-'));
const encoder = join(folder, 'bert.gguf');

const TYPES = { '.html': 'text/html', '.js': 'text/javascript', '.wasm': 'application/wasm' };

/** What the README promises to be enough. */
const POLICY = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; connect-src 'self'";

/** `/site/` is what Vite built; `/plain/` the same page, the package beside it as it is. */
const server = createServer(async ({ url }, response) => {
  const path = normalize(decodeURIComponent(new URL(url, 'http://host').pathname));
  const send = (body, type, policy) => {
    response.writeHead(200, {
      'content-type': type,
      'content-length': Buffer.byteLength(body),
      ...(policy && { 'content-security-policy': policy }),
    });
    response.end(body);
  };
  const plain = join(TRILANE_ROOT, 'wasm/test/browser');
  try {
    if (path.endsWith('none')) return send('no model', 'text/plain');
    if (path.endsWith('bert.gguf')) return send(await readFile(encoder), 'application/octet-stream');
    if (path.endsWith('.gguf')) return send(await readFile(model), 'application/octet-stream');
    if (path === '/plain/') {
      const map = { imports: { trilane: '/trilane/index.js', 'trilane/worker': '/trilane/worker.js' } };
      const script = `<script type="importmap">${JSON.stringify(map)}</script>`;
      const page = await readFile(join(plain, 'index.html'), 'utf8');
      return send(page.replace('<script', `${script}<script`), 'text/html');
    }
    const [, folder, ...rest] = path.split('/');
    const roots = { site: TRILANE_SITE, plain, trilane: join(TRILANE_ROOT, 'target/npm/trilane') };
    const file = join(roots[folder], rest.join('/') || 'index.html');
    send(await readFile(file), TYPES[extname(file)] ?? 'text/plain', folder === 'site' && POLICY);
  } catch {
    response.writeHead(404);
    response.end();
  }
});

let chromium;

before(async () => {
  await new Promise((ready) => server.listen(0, '127.0.0.1', ready));
  chromium = await startBrowser();
});

after(async () => {
  await chromium?.close();
  server.closeAllConnections();
  server.close();
  rmSync(folder, { recursive: true, force: true });
});

const words = ['--prompt', 'JULIET:\n', '--lane', 'bit5', '--seed', '7', '-n', '200'];
const native = execFileSync(TRILANE_CLI, ['run', model, ...words], { encoding: 'utf8', stdio: 'pipe' });
const { digest } = JSON.parse(execFileSync(TRILANE_CLI, ['verify', model, '--json'], { encoding: 'utf8' }));

execFileSync(TRILANE_CLI, ['convert', join(TRILANE_ROOT, 'tests/fixtures/tiny-bert'), encoder, '--lane', 'bit7'], { stdio: 'pipe' });
const out = join(folder, 'vectors.npy');
const texts = ['--text', 'the cat', '--text', 'a café'];
execFileSync(TRILANE_CLI, ['embed', encoder, ...texts, '--format', 'npy', '--out', out], { stdio: 'pipe' });
const file = readFileSync(out);
const values = file.subarray(10 + file.readUInt16LE(8));
const vectors = Array.from({ length: values.length / 4 }, (_, i) => values.readUInt32LE(4 * i));

for (const folder of ['site', 'plain']) {
  test(`/${folder}/: text, digest and vectors of the native command, here and in a worker`, async () => {
    const page = await chromium.browser.newPage();
    const complaints = [];
    page.on('console', (message) => complaints.push(message.text()));
    page.on('pageerror', (error) => complaints.push(String(error)));
    const address = `http://127.0.0.1:${server.address().port}/${folder}/`;
    await page.goto(address);
    const outcome = await page.evaluate('outcome');
    assert.equal(outcome.error, undefined, complaints.join('\n'));
    assert.equal(outcome.simd, true);
    for (const { text, frames, reason, digest: found, last, stats } of [outcome.page, outcome.worker]) {
      assert.equal(`JULIET:\n${text}\n`, native);
      assert.equal(found, digest);
      assert.equal(reason, 'AbortError');
      assert.equal(last.loaded, last.total);
      const painted = (1000 * frames) / (stats.promptMs + stats.ms);
      assert.ok(painted > 20, `${painted} frames a second`);
      console.log(`${folder}: ${stats.tokensPerSecond.toFixed(0)} tokens/s, ${painted.toFixed(0)} frames/s`);
    }
    assert.deepEqual(outcome.vectors, [vectors, vectors]);
    // What is no model is not kept.
    assert.equal(outcome.refused, 'gguf');
    assert.deepEqual(outcome.kept, [`${address}shakespeare.gguf`]);
    // Chromium asks for an icon by itself.
    assert.deepEqual(complaints.filter((text) => !/favicon|404/.test(text)), []);
    await page.close();
  });
}
