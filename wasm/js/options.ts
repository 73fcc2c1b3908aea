import { OptionError } from './errors.js';
import type { Lane } from './types.js';

/** Every lane, in the engine's order. */
export const LANES: readonly Lane[] = ['ternary', 'bit3', 'bit5', 'bit7', 'float32'];

/** The engine's number of a lane. */
export function laneNumber(lane: Lane): number {
  const number = LANES.indexOf(lane);
  if (number >= 0) return number;
  throw new OptionError('option', `lane: expected ${LANES.join(', ')}, found ${String(lane)}`);
}

/** A count that fits 32 bits. */
export function count(name: string, value: number): number {
  if (Number.isInteger(value) && value >= 0 && value <= 0xffff_ffff) return value;
  throw new OptionError('option', `${name}: expected a count up to 2³² − 1, found ${String(value)}`);
}

/** A number; its range is the engine's matter. */
export function number(name: string, value: number): number {
  if (typeof value === 'number') return value;
  throw new OptionError('option', `${name}: expected a number, found ${typeof value}`);
}

/** A text. */
export function text(name: string, value: string): string {
  if (typeof value === 'string') return value;
  throw new OptionError('option', `${name}: expected a text, found ${typeof value}`);
}

/** Tokens, one or many. */
export function tokenList(value: number | Iterable<number>): Uint32Array {
  const list = typeof value === 'number' ? [value] : Array.from(value);
  return Uint32Array.from(list, (token) => count('token', token));
}

/** An unsigned integer of 64 bits. */
export function seed(value: number | bigint): bigint {
  const whole = typeof value === 'bigint' || Number.isSafeInteger(value) ? BigInt(value) : -1n;
  if (whole >= 0n && whole < 1n << 64n) return whole;
  throw new OptionError('option', `seed: expected an integer from 0 to 2⁶⁴ − 1, found ${String(value)}`);
}

/** The vector of a text, or of each of some, one after the other so that an abort is heard. */
export async function eachVector(
  texts: string | readonly string[],
  signal: AbortSignal | undefined,
  vector: (text: string) => Promise<Float32Array>,
): Promise<Float32Array | Float32Array[]> {
  signal?.throwIfAborted();
  if (!Array.isArray(texts)) return await vector(text('text', texts as string));
  const vectors: Float32Array[] = [];
  for (const one of texts as readonly string[]) {
    signal?.throwIfAborted();
    vectors.push(await vector(text('text', one)));
  }
  return vectors;
}
