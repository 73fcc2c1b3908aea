// What the native engine says, to compare with what the page says.

import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

/** The root of the repository. */
export const ROOT = fileURLToPath(new URL('../../..', import.meta.url));

/** The output of `trilane` with these arguments, and what it reports beside it. */
export async function trilane(...words) {
  const command = ['run', '--release', '--quiet', '-p', 'trilane-cli', '--', ...words];
  return promisify(execFile)('cargo', command, { cwd: ROOT });
}

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

/** The words with which `trilane inspect` refuses a file, without the file's name. */
export async function refusal(file) {
  const { stderr } = await trilane('inspect', file).catch((error) => error);
  const start = `trilane: ${file}: `;
  if (!stderr?.startsWith(start)) throw new Error(`not refused: ${file}`);
  return stderr.slice(start.length).trim();
}
