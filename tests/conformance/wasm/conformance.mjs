// Runs the conformance module, in Node and in pages.

/** Gives each part's name and digest to `report`; throws where the program does not run. */
export async function conformance(wasm, shakespeare, digits, report) {
  const env = {
    report(name, length, digest) {
      const bytes = new Uint8Array(exports.memory.buffer, name, length);
      const hex = BigInt.asUintN(64, digest).toString(16).padStart(16, '0');
      report(new TextDecoder().decode(bytes), hex);
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
