/** Milliseconds of computing after which the event loop gets its turn. */
const SLICE_MS = 8;

interface Host {
  setImmediate?: (then: () => void) => unknown;
}

/**
 * Lets the event loop run: input, painting, timers, and with them aborts.
 *
 * By a message, which is not delayed as nested timers are. `scheduler.yield` goes on before the
 * page is painted: Chromium then painted 12 times a second, where messages leave it 75.
 */
const turn: () => Promise<void> = (() => {
  const { setImmediate } = globalThis as Host;
  if (setImmediate) return () => new Promise<void>((then) => void setImmediate(then));
  const { port1, port2 } = new MessageChannel();
  const waiting: (() => void)[] = [];
  port1.onmessage = () => waiting.shift()?.();
  return () =>
    new Promise<void>((then) => {
      waiting.push(then);
      port2.postMessage(undefined);
    });
})();

/** Pauses a long computation, not more often than needed. */
export class Pacer {
  #since = performance.now();

  /** Lets the event loop run if it is time. */
  async pause(): Promise<void> {
    if (performance.now() - this.#since < SLICE_MS) return;
    await turn();
    this.#since = performance.now();
  }
}
