import { OptionError, SourceError } from './errors.js';
import { host } from './platform.js';
import type { LoadOptions, Source } from './types.js';

/** Bytes that arrive. */
export interface Arriving {
  /** What errors call them. */
  readonly name: string;
  /** How many, where known. */
  readonly total: number | undefined;
  /** The parts, in order. */
  readonly parts: AsyncIterable<Uint8Array>;
}

/** A source that can be read now. */
export interface Opened extends Arriving {
  /** Ends it, read to its end or not. */
  close(): void;
  /** Takes back what was kept of it, since it was of no use. */
  forget(): Promise<void>;
}

/** Largest part that is handed on at once, so that progress is seen and aborts are heard. */
const PART_BYTES = 1 << 22;

const nothing = async (): Promise<void> => {};

/** An address as errors show it: a `data:` address can hold a whole model. */
function shown(address: string | URL): string {
  const text = String(address);
  return text.length > 200 ? `${text.slice(0, 200)}…` : text;
}

/** Opens a source; an abort throws the signal's reason, here and while it is read. */
export async function open(source: Source, options: LoadOptions): Promise<Opened> {
  const { signal, cache = false } = options;
  if (typeof source === 'string' || source instanceof URL) {
    const local = await attempt(shown(source), signal, () => host().localFile(source));
    if (local !== undefined) {
      return opened(local.name, local.size, local.stream(), signal);
    }
    const request = await attempt(shown(source), signal, async () => new Request(source));
    return await download(request, cache, signal);
  }
  if (source instanceof Request) return await download(source, cache, signal);
  if (source instanceof Response) return answered(source, shown(source.url || 'response'), signal);
  if (source instanceof Blob) {
    const name = 'name' in source ? String(source.name) : 'blob';
    return opened(name, source.size, source.stream(), signal);
  }
  if (source instanceof ReadableStream) return opened('stream', undefined, source, signal);
  if (source instanceof ArrayBuffer || source instanceof Uint8Array) {
    const bytes = source instanceof ArrayBuffer ? new Uint8Array(source) : source;
    const stream = new ReadableStream<Uint8Array>({
      start(controller) {
        controller.enqueue(bytes);
        controller.close();
      },
    });
    return opened('bytes', bytes.length, stream, signal);
  }
  throw new OptionError('option', `source: expected an address, bytes or a stream, found ${typeof source}`);
}

/** Fetches, from the cache if it is there. */
async function download(
  request: Request,
  cache: false | string,
  signal: AbortSignal | undefined,
): Promise<Opened> {
  const name = shown(request.url);
  if (cache === false || typeof caches === 'undefined' || request.method !== 'GET') {
    const fetched = () => fetch(request, signal ? { signal } : {});
    return answered(await attempt(name, signal, fetched), name, signal);
  }
  const store = await caches.open(cache).catch(() => undefined);
  const kept = await store?.match(request).catch(() => undefined);
  // The download, and with it the copy, can end before the caller's signal says so.
  const end = new AbortController();
  const ended = () => end.abort(signal?.reason);
  signal?.addEventListener('abort', ended, { once: true });
  const fetched = () => fetch(request, { signal: end.signal });
  const response = kept ?? (await attempt(name, signal, fetched));
  // A copy that cannot be stored is no reason to fail.
  const stored = store && !kept && response.ok;
  const copied = stored ? store.put(request, response.clone()).catch(nothing) : undefined;
  return answered(response, name, signal, async () => {
    end.abort();
    await copied;
    await store?.delete(request).catch(nothing);
  });
}

/** The body of a response. */
function answered(
  response: Response,
  name: string,
  signal: AbortSignal | undefined,
  forget = nothing,
): Opened {
  if (!response.ok || response.body === null) {
    throw new SourceError('source', `${name}: expected a model, found status ${response.status}`);
  }
  const { headers } = response;
  const length = Number(headers.get('content-length') ?? NaN);
  // The length of a compressed body is not that of the model.
  const known = Number.isSafeInteger(length) && !headers.has('content-encoding');
  const total = known ? length : undefined;
  return { ...opened(name, total, response.body, signal), forget };
}

/** A stream, locked at once: an unread one ends when its response is collected as garbage. */
function opened(
  name: string,
  total: number | undefined,
  stream: ReadableStream<Uint8Array>,
  signal: AbortSignal | undefined,
): Opened {
  if (stream.locked) throw new SourceError('source', `${name}: the stream is being read already`);
  const reader = stream.getReader();
  const close = () => void reader.cancel().catch(nothing);
  return { name, total, parts: parts(name, reader, signal), close, forget: nothing };
}

/** The parts of a stream, none larger than {@link PART_BYTES}. */
async function* parts(
  name: string,
  reader: ReadableStreamDefaultReader<Uint8Array>,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array, void, void> {
  // A read that waits ends with the stream.
  const cancel = () => void reader.cancel(signal?.reason).catch(nothing);
  signal?.addEventListener('abort', cancel, { once: true });
  try {
    for (;;) {
      const { done, value } = await attempt(name, signal, () => reader.read());
      if (done) return;
      if (!(value instanceof Uint8Array)) {
        throw new SourceError('source', `${name}: expected a stream of bytes, found ${typeof value}`);
      }
      for (let at = 0; at < value.length; at += PART_BYTES) {
        yield value.subarray(at, at + PART_BYTES);
        signal?.throwIfAborted();
      }
    }
  } finally {
    signal?.removeEventListener('abort', cancel);
  }
}

/** Waits for the outside world; its errors become ours, an abort the signal's reason. */
async function attempt<T>(
  name: string,
  signal: AbortSignal | undefined,
  work: () => Promise<T>,
): Promise<T> {
  try {
    const value = await work();
    signal?.throwIfAborted();
    return value;
  } catch (cause) {
    signal?.throwIfAborted();
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new SourceError('source', `${name}: ${reason}`, { cause });
  }
}
