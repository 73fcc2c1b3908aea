// A headless Chromium for tests: Debian's, with a profile of its own that goes with it.

import { mkdtemp, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';

export { serve } from '../serve.mjs';

// The development dependencies are installed there, not beside the sources.
const tools = createRequire(new URL('../../target/npm/tools/package.json', import.meta.url));
const { chromium } = tools('playwright-core');

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
 * Starts the browser with an empty profile. `browser` is a Playwright context; `close` ends it and
 * removes the profile.
 */
export async function startBrowser() {
  const profile = await mkdtemp(path.join(tmpdir(), 'trilane-chromium-'));
  const removeProfile = () => rm(profile, { recursive: true, force: true, maxRetries: 5 });
  try {
    const browser = await chromium.launchPersistentContext(profile, {
      executablePath: EXECUTABLE,
      args: FLAGS,
    });
    const close = async () => {
      await browser.close();
      await removeProfile();
    };
    return { browser, close };
  } catch (error) {
    await removeProfile();
    throw error;
  }
}

/** Starts the browser, hands it to `use` and closes it whatever happens; gives what `use` gives. */
export async function withBrowser(use) {
  const { browser, close } = await startBrowser();
  try {
    return await use(browser);
  } finally {
    await close();
  }
}
