/** Files that may be served: a list made beforehand, so that a path in a request is only ever looked up, never joined. */
import { createReadStream, existsSync, readdirSync, statSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import type { Context } from 'hono';

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.mjs': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.json': 'application/json; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.jpg': 'image/jpeg',
  '.wasm': 'application/wasm',
};

/** Address path, such as `/assets/main.js`, to the file that answers it. */
export type ServedFiles = ReadonlyMap<string, string>;

/** The built page: dist/studio, also when running from the sources. */
export function pageFolder(): string {
  const inside = import.meta.url.endsWith('.ts') ? '../../dist/studio/' : '../studio/';
  return fileURLToPath(new URL(inside, import.meta.url));
}

/** The folder of the embedded models. */
export function zooFolder(): string {
  return fileURLToPath(new URL('../../zoo/', import.meta.url));
}

/** All plain files of a folder under the given address; links are not followed. */
export function listFiles(folder: string, address = '/'): Map<string, string> {
  const files = new Map<string, string>();
  if (!existsSync(folder)) return files;
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const file = path.join(entry.parentPath, entry.name);
    files.set(address + path.relative(folder, file).split(path.sep).join('/'), file);
  }
  return files;
}

/** Answers with a listed file. */
export function serveFile(c: Context, files: ServedFiles, address: string): Response {
  const file = files.get(address);
  if (file === undefined) return c.json({ error: 'not found' }, 404);
  // Names of built files hold their content's hash; others may change.
  const cache = address.startsWith('/assets/') ? 'public, max-age=31536000, immutable' : 'no-cache';
  const type = TYPES[path.extname(file).toLowerCase()] ?? 'application/octet-stream';
  const headers = { 'Content-Type': type, 'Content-Length': String(statSync(file).size), 'Cache-Control': cache };
  const stream = Readable.toWeb(createReadStream(file)) as ReadableStream<Uint8Array>;
  return c.body(stream, 200, headers);
}

/** The page, told that this server runs models for it. */
export async function servePage(c: Context, files: ServedFiles): Promise<Response> {
  const file = files.get('/index.html');
  if (file === undefined) return c.json({ error: 'the page is not built: run npm run build' }, 500);
  const html = await readFile(file, 'utf8');
  return c.html(
    html.replace('name="onnxray-engine" content="browser"', 'name="onnxray-engine" content="server"'),
    200,
    {
      'Cache-Control': 'no-cache',
    },
  );
}
