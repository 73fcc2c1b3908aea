// `node node.mjs FOLDER MODULE`: runs a module of the folder in Node, prints `part · digest`.

import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { conformance } from './conformance.mjs';

const [folder, module] = process.argv.slice(2);
const files = [module, 'shakespeare.gguf', 'digits.gguf'];
const bytes = await Promise.all(files.map((file) => readFile(path.join(folder, file))));
await conformance(...bytes, (part, digest) => console.log(`${part}\t${digest}`));
