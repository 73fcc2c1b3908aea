// A headless Chromium for tests: Debian's, with a profile of its own that goes with it.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { chromium } from 'playwright-core';

export { serve } from '../serve.mjs';

/** Where the browser is; `CHROMIUM` names another. */
const EXECUTABLE = process.env.CHROMIUM ?? '/usr/bin/chromium';

const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/**
 * Starts the browser, hands it to `use` and closes it, whatever happens; resolves to what `use`
 * gives. What it is given is a Playwright context with an empty profile.
 */
export async function withBrowser(use, options = {}) {
  const profile = await mkdtemp(path.join(tmpdir(), 'trilane-chromium-'));
  try {
    const browser = await chromium.launchPersistentContext(profile, {
      executablePath: EXECUTABLE,
      headless: true,
      args: FLAGS,
      ...options,
    });
    try {
      return await use(browser);
    } finally {
      await browser.close();
    }
  } finally {
    await rm(profile, { recursive: true, force: true, maxRetries: 5 });
  }
}
