// The demo page as a test sees it: opened, watched, and used by its labels.

import assert from 'node:assert/strict';

/** A desk and a phone. */
export const DESKTOP = { width: 1280, height: 900 };
export const PHONE = { width: 360, height: 740 };

/** The longest that any one thing may take. */
const TIMEOUT_MS = 60_000;

/** Opens the page in a tab of its own and waits until the bundled model is ready for work. */
export async function openDemo(browser, url, { build = 'simd128', size = DESKTOP } = {}) {
  const demo = await openEmpty(browser, url, { build, size });
  await demo.ready('trilane-shakespeare');
  return demo;
}

/** The same without waiting. */
export async function openEmpty(browser, url, { build = 'simd128', size = DESKTOP } = {}) {
  const page = await browser.newPage();
  const [faults, engines] = [[], []];
  page.on('pageerror', (error) => faults.push(`error: ${error.stack}`));
  page.on('crash', () => faults.push('the page crashed'));
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) faults.push(`console: ${message.text()}`);
  });
  page.on('request', (request) => {
    if (!request.url().startsWith(url)) faults.push(`request: ${request.url()}`);
  });
  page.on('response', (response) => {
    if (!response.ok()) faults.push(`${response.status()}: ${response.url()}`);
    if (response.url().endsWith('.wasm')) engines.push(response.url().split('/').at(-1));
  });
  page.setDefaultTimeout(TIMEOUT_MS);
  await page.setViewportSize(size);
  await page.goto(`${url}?build=${build}`);
  return new Demo(page, faults, engines);
}

class Demo {
  constructor(page, faults, engines) {
    this.page = page;
    /** What went wrong without the page's showing it. */
    this.faults = faults;
    /** The .wasm files that were fetched. */
    this.engines = engines;
  }

  /** Waits until the model of this name is open. */
  async ready(name) {
    const heading = this.page.getByRole('heading', { name, exact: true });
    const refused = this.page.locator('#load-problem');
    await heading.or(refused).first().waitFor();
    assert.deepEqual([await refused.textContent(), ...this.faults], ['']);
    await this.page.locator('#generate:enabled').waitFor();
  }

  /** Goes on with a prompt until the end; the text, prompt included. */
  async write(options) {
    await this.fill(options);
    await this.page.getByRole('button', { name: 'Generate' }).click();
    await this.page.locator('#write-status', { hasText: /^\d.* at / }).waitFor();
    return this.text();
  }

  async fill({ prompt, lane, tokens, temperature = 0, seed = 0 }) {
    if (lane) await this.page.locator(`#lanes [value="${lane}"]`).check({ force: true });
    if (prompt) await this.page.getByLabel('Prompt').fill(prompt);
    await this.page.getByLabel('Temperature').fill(String(temperature));
    await this.page.getByLabel('Tokens, at most').fill(String(tokens));
    await this.page.getByLabel('Seed').fill(String(seed));
  }

  /** The prompt and what follows it, as the page shows them. */
  async text() {
    const parts = await this.page.locator('#given, #written').allTextContents();
    return parts.join('');
  }

  /** Pixels that the page is wider than the screen. */
  overflow() {
    return this.page.evaluate(() =>
      document.documentElement.scrollWidth - document.documentElement.clientWidth);
  }

  openFile(file) {
    return this.page.locator('#file').setInputFiles(file);
  }

  /** Opens an encoder for the search. */
  async openEncoder(file) {
    await this.page.locator('#search-file').setInputFiles(file);
    await this.page.locator('#search-run:enabled').waitFor();
  }

  /** Ranks lines; cosine and text of each, as the page shows them. */
  async rank(query, lines) {
    await this.page.getByLabel('Lines', { exact: true }).fill(lines.join('\n'));
    await this.page.getByLabel('Query').fill(query);
    await this.page.getByRole('button', { name: 'Rank' }).click();
    await this.page.locator('#search-status', { hasText: `${lines.length} lines, the nearest first` }).waitFor();
    return this.page.locator('#search-ranks li').evaluateAll((rows) =>
      rows.map((row) => ['.cosine', '.line'].map((part) => row.querySelector(part).textContent)));
  }

  /** The digests computed in the page, by lane. */
  async digests() {
    await this.page.locator('#proof-all').waitFor();
    return this.page.locator('#proof-rows tr').evaluateAll((rows) => Object.fromEntries(
      rows.map((row) => [row.id.replace('proof-', ''), row.querySelector('code.here').textContent])));
  }

  /** Closes the tab; fails if there were faults. */
  async close() {
    await this.page.close();
    assert.deepEqual(this.faults, []);
  }
}
