import { open, stat } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { setHost } from './platform.js';

/** Addresses that are fetched; everything else is a file. */
const FETCHED = /^(https?|data|blob):/i;

setHost({
  async localFile(address) {
    const text = String(address);
    if (FETCHED.test(text)) return undefined;
    const path = text.startsWith('file:') ? fileURLToPath(text) : text;
    const { size } = await stat(path);
    return {
      name: path,
      size,
      stream() {
        const chunks = read(path);
        return new ReadableStream<Uint8Array>({
          async pull(controller) {
            const { done, value } = await chunks.next();
            if (done) controller.close();
            else controller.enqueue(value);
          },
          async cancel() {
            await chunks.return();
          },
        });
      },
    };
  },
});

/** A file in parts of 1 MiB. */
async function* read(path: string): AsyncGenerator<Uint8Array, void, void> {
  const file = await open(path);
  try {
    for (;;) {
      const buffer = new Uint8Array(1 << 20);
      const { bytesRead } = await file.read(buffer);
      if (bytesRead === 0) return;
      yield buffer.subarray(0, bytesRead);
    }
  } finally {
    await file.close();
  }
}

export * from './index.js';
