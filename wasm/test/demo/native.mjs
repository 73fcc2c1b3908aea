// What the native engine says, to compare with what the page says.
//
// From the environment, set by `cargo xtask test --only browser`: TRILANE_CLI (the native command).

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const trilane = (...words) => promisify(execFile)(process.env.TRILANE_CLI, words);

/** The text that `trilane run` writes, prompt included. */
export async function text(model, { prompt, lane, tokens, temperature = 0, seed = 0 }) {
  const options = { prompt, lane, tokens, temperature, seed };
  const words = Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const { stdout } = await trilane('run', model, ...words);
  return stdout.replace(/\n$/, '');
}

/** What `trilane verify --json` prints. */
export async function digests(model) {
  return JSON.parse((await trilane('verify', model, '--json')).stdout);
}

/** Writes an encoder of a folder of Hugging Face to `to`, at Bit7. */
export async function convert(folder, to) {
  await trilane('convert', folder, to, '--lane', 'bit7');
}

/** The texts in the order of their cosine to a query, by the vectors of `trilane embed`. */
export async function ranked(model, query, texts) {
  const words = [query, ...texts].flatMap((text) => ['--text', text]);
  const { stdout } = await trilane('embed', model, ...words);
  const [first, ...rest] = stdout.trim().split('\n').map((line) => JSON.parse(line).embedding.map(Math.fround));
  const cosines = rest.map((vector) => vector.reduce((sum, value, i) => sum + value * first[i], 0));
  const order = texts.map((text, i) => ({ text, cosine: cosines[i] })).sort((a, b) => b.cosine - a.cosine);
  return order.map(({ text, cosine }) => [cosine.toFixed(3), text]);
}

/** The words with which `trilane inspect` refuses a file, without the file's name. */
export async function refusal(file) {
  const { stderr } = await trilane('inspect', file).catch((error) => error);
  const start = `trilane: ${file}: `;
  if (!stderr?.startsWith(start)) throw new Error(`not refused: ${file}`);
  return stderr.slice(start.length).trim();
}
