// A static file server for trying a built folder: `node serve.mjs FOLDER [PORT]`.

import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { createServer } from 'node:http';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

const TYPES = {
  '.css': 'text/css; charset=utf-8',
  '.gguf': 'application/octet-stream',
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.json': 'application/json',
  '.mjs': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.wasm': 'application/wasm',
};

/**
 * Serves the files under `folder` on localhost; port 0 takes any free one.
 * Resolves to the address and a function that ends it.
 */
export async function serve(folder, port = 0) {
  const root = path.resolve(folder);
  const server = createServer((request, response) => {
    answer(root, request, response).catch((error) => response.destroy(error));
  });
  await new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
  const close = () => new Promise((resolve) => {
    server.close(resolve);
    server.closeAllConnections();
  });
  return { url: `http://localhost:${server.address().port}/`, close };
}

async function answer(root, request, response) {
  const file = locate(root, request.url);
  const found = file && await stat(file).catch(() => null);
  if (!found?.isFile()) {
    response.writeHead(404, { 'content-type': 'text/plain' }).end('not found\n');
    return;
  }
  const type = TYPES[path.extname(file)] ?? 'application/octet-stream';
  response.writeHead(200, {
    'cache-control': 'no-cache',
    'content-length': found.size,
    'content-type': type,
  });
  if (request.method === 'HEAD') response.end();
  else createReadStream(file).on('error', (error) => response.destroy(error)).pipe(response);
}

/** The file that an address names, or null outside the folder. */
function locate(root, address) {
  try {
    const name = decodeURIComponent(new URL(address, 'http://localhost').pathname);
    const file = path.join(root, name.endsWith('/') ? `${name}index.html` : name);
    return file.startsWith(root + path.sep) ? file : null;
  } catch {
    return null;
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const [folder, port] = process.argv.slice(2);
  if (folder === undefined) {
    console.error('usage: node serve.mjs FOLDER [PORT]');
    process.exitCode = 2;
  } else {
    try {
      const { url } = await serve(folder, Number(port ?? 8080));
      console.log(`${folder} is at ${url}  (Ctrl-C ends it)`);
    } catch (error) {
      console.error(error.message);
      process.exitCode = 1;
    }
  }
}
