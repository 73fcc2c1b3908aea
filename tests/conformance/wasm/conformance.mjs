// Runs the conformance module in Node, or in the page that imports this: prints `part · digest`.

/** Gives each part's name and digest to `report`; throws where the program does not run. */
export async function conformance(wasm, shakespeare, digits, report) {
  const env = {
    report(name, length, digest) {
      const bytes = new Uint8Array(exports.memory.buffer, name, length);
      report(new TextDecoder().decode(bytes), BigInt.asUintN(64, digest).toString(16).padStart(16, '0'));
    },
  };
  const { instance: { exports } } = await WebAssembly.instantiate(wasm, { env });
  const place = (model) => {
    const at = exports.reserve(model.length);
    new Uint8Array(exports.memory.buffer, at, model.length).set(model);
    return [at, model.length];
  };
  if (exports.conformance(...place(shakespeare), ...place(digits)) !== 0) {
    throw new Error('the conformance program stopped with an error');
  }
}

if (globalThis.process?.argv[1] === (await import('node:url').catch(() => null))?.fileURLToPath(import.meta.url)) {
  const { readFile } = await import('node:fs/promises');
  const [wasm, shakespeare, digits] = await Promise.all(process.argv.slice(2).map((path) => readFile(path)));
  await conformance(wasm, shakespeare, digits, (part, digest) => console.log(`${part}\t${digest}`));
}
