// `node chromium.mjs FOLDER MODULE`: as node.mjs, in a page of headless Chromium.

import { serve, withBrowser } from '../../../wasm/test/chromium.mjs';

const [folder, module] = process.argv.slice(2);
const { url, close } = await serve(folder);
try {
  const parts = await withBrowser(async (browser) => {
    const page = await browser.newPage();
    await page.goto(new URL('index.html', url).href);
    return page.evaluate(async (module) => {
      const { conformance } = await import('./conformance.mjs');
      const fetched = async (file) => new Uint8Array(await (await fetch(file)).arrayBuffer());
      const files = [module, 'shakespeare.gguf', 'digits.gguf'];
      const parts = [];
      const bytes = await Promise.all(files.map(fetched));
      await conformance(...bytes, (...part) => parts.push(part));
      return parts;
    }, module);
  });
  for (const [part, digest] of parts) console.log(`${part}\t${digest}`);
} finally {
  await close();
}
