import { decoderPart, encoderPart } from './engine.js';
import { translated } from './errors.js';
import { architecture } from './gguf.js';
import { Pacer } from './pause.js';
import type { Arriving } from './source.js';
import type { Bytes } from './trilane.js';
import type { LoadOptions } from './types.js';

/** Which models need the engine of encoders; every other one is for that of decoders to refuse. */
const ENCODERS: readonly unknown[] = ['bert'];

/** Bytes after which a model that has not said what it is is taken for a decoder. */
const FARTHEST_BYTES = 1 << 26;

/** A file in the memory of the engine that runs it. */
export interface Received {
  readonly isEncoder: boolean;
  readonly bytes: Bytes;
}

/** Receives a source's bytes; starts the engine that its first ones ask for. */
export async function receive(
  { name, parts, total }: Arriving,
  { onProgress, signal }: LoadOptions,
): Promise<Received> {
  const pacer = new Pacer();
  const rest = parts[Symbol.asyncIterator]();
  const next = async () => {
    const { done, value } = await rest.next();
    return done ? undefined : value;
  };
  let loaded = 0;
  const arrived = async (part: Uint8Array) => {
    loaded += part.length;
    onProgress?.({ loaded, total });
    await pacer.pause();
    signal?.throwIfAborted();
  };
  let bytes: Bytes | undefined;
  try {
    // Memory of an engine never shrinks, so it is asked for when engine and size are known.
    const waiting: Uint8Array[] = [];
    let [found, length, judged] = [undefined as string | null | undefined, 0, 0];
    while (found === undefined || total === undefined) {
      const part = await next();
      if (part === undefined) break;
      waiting.push(part);
      length += part.length;
      if (total === undefined) await arrived(part);
      // Twice as many bytes before it is tried again: in all, no more work than bytes.
      if (found !== undefined || length < 2 * judged) continue;
      found = length > FARTHEST_BYTES ? null : architecture(joined(waiting, length));
      judged = length;
    }
    if (found === undefined) found = architecture(joined(waiting, length));
    const isEncoder = ENCODERS.includes(found);
    const engine = isEncoder ? encoderPart : decoderPart;
    await engine.init();
    signal?.throwIfAborted();
    const held = translated(name, () => new engine.native.Bytes(total ?? length));
    bytes = held;
    for (const part of waiting) {
      translated(name, () => held.append(part));
      if (total !== undefined) await arrived(part);
    }
    for (;;) {
      const part = await next();
      if (part === undefined) return { isEncoder, bytes };
      translated(name, () => held.append(part));
      await arrived(part);
    }
  } catch (error) {
    bytes?.free();
    await rest.return?.();
    throw error;
  }
}

function joined(parts: readonly Uint8Array[], length: number): Uint8Array {
  const [first] = parts;
  if (parts.length === 1 && first) return first;
  const all = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
