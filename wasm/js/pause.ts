/** Milliseconds of computing after which the event loop gets its turn. */
const SLICE_MS = 8;

interface Host {
  scheduler?: { yield?: () => Promise<void> };
  setImmediate?: (then: () => void) => unknown;
}

/** Lets the event loop run: input, painting, timers, and with them aborts. */
const turn: () => Promise<void> = (() => {
  const { scheduler, setImmediate } = globalThis as Host;
  if (scheduler?.yield) return () => scheduler.yield!();
  if (setImmediate) return () => new Promise<void>((then) => void setImmediate(then));
  // A message is not delayed as nested timers are.
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
