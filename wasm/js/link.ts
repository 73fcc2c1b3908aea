import { TrilaneError, errorOf, type ErrorCode } from './errors.js';

/** One end of a connection between threads. */
export interface Port {
  post(message: unknown, transfer: Transferable[]): void;
  /** Sets what takes the messages from the other end. */
  listen(take: (message: unknown) => void): void;
  /** Whether an answer is waited for, which keeps a process running. */
  hold?(waiting: boolean): void;
}

/** Functions that one end offers to the other. */
export type Service = { [name: string]: (...values: any[]) => Promise<unknown> };

/** An error on its way between threads. */
interface Failure {
  readonly code: ErrorCode;
  readonly message: string;
}

type Message =
  | { readonly ask: number; readonly name: string; readonly values: readonly unknown[] }
  | { readonly answer: number; readonly value?: unknown; readonly failure?: Failure };

interface Waiting {
  resolve(value: unknown): void;
  reject(reason: unknown): void;
}

/** Calls of functions at the other end, and answers to its calls. */
export class Link<There extends Service> {
  readonly #port: Port;
  readonly #here: Service;
  readonly #waiting = new Map<number, Waiting>();
  #asked = 0;
  #ended: { reason: unknown } | undefined;

  constructor(port: Port, here: Service) {
    this.#port = port;
    this.#here = here;
    port.listen((message) => void this.#take(message as Message));
  }

  /** Calls a function at the other end; its errors keep class, code and message. */
  ask<Name extends keyof There & string>(
    name: Name,
    ...values: Parameters<There[Name]>
  ): ReturnType<There[Name]> {
    const answer = new Promise((resolve, reject) => {
      if (this.#ended) return reject(this.#ended.reason);
      const ask = this.#asked++;
      this.#waiting.set(ask, { resolve, reject });
      this.#port.hold?.(true);
      this.#port.post({ ask, name, values } satisfies Message, []);
    });
    return answer as ReturnType<There[Name]>;
  }

  /** Rejects what waits for an answer, and all that is asked later. */
  end(reason: unknown): void {
    this.#ended ??= { reason };
    for (const { reject } of this.#waiting.values()) reject(reason);
    this.#waiting.clear();
    this.#port.hold?.(false);
  }

  async #take(message: Message): Promise<void> {
    if ('ask' in message) return await this.#serve(message.ask, message.name, message.values);
    const waiting = this.#waiting.get(message.answer);
    this.#waiting.delete(message.answer);
    if (this.#waiting.size === 0) this.#port.hold?.(false);
    if (message.failure === undefined) return waiting?.resolve(message.value);
    waiting?.reject(errorOf(message.failure.code, message.failure.message));
  }

  async #serve(answer: number, name: string, values: readonly unknown[]): Promise<void> {
    try {
      const value = await this.#here[name]?.(...values);
      const transfer = value instanceof Float32Array || value instanceof Uint8Array ? [value.buffer] : [];
      this.#port.post({ answer, value } satisfies Message, transfer as Transferable[]);
    } catch (error) {
      const code = error instanceof TrilaneError ? error.code : 'worker';
      const text = error instanceof Error ? error.message : String(error);
      this.#port.post({ answer, failure: { code, message: text } } satisfies Message, []);
    }
  }
}
