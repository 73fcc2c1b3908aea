import { OptionError } from './errors.js';

/** Finds stop texts in a text that comes in pieces. */
export class StopTexts {
  readonly #stops: readonly string[];
  /** What may be the beginning of a stop text. */
  #held = '';
  /** Whether one was found. */
  found = false;

  constructor(stop: string | readonly string[] = []) {
    this.#stops = typeof stop === 'string' ? [stop] : stop;
    for (const text of this.#stops) {
      if (typeof text !== 'string' || text === '') {
        throw new OptionError('option', `stop: expected texts that are not empty, found ${JSON.stringify(text)}`);
      }
    }
  }

  /** The text that is certainly before any stop text. */
  push(piece: string): string {
    const text = this.#held + piece;
    const places = this.#stops.map((stop) => text.indexOf(stop)).filter((at) => at >= 0);
    this.found = places.length > 0;
    const end = this.found ? Math.min(...places) : text.length - this.#beginning(text);
    this.#held = this.found ? '' : text.slice(end);
    return text.slice(0, end);
  }

  /** What was held back when the text ends. */
  rest(): string {
    return this.#held;
  }

  /** Length of the longest end of `text` that begins a stop text. */
  #beginning(text: string): number {
    let longest = 0;
    for (const stop of this.#stops) {
      for (let length = Math.min(stop.length - 1, text.length); length > longest; length--) {
        if (text.endsWith(stop.slice(0, length))) longest = length;
      }
    }
    return longest;
  }
}
