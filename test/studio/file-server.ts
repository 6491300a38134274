/** A plain file server, as anybody may have one. */
import { createReadStream, existsSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.svg': 'image/svg+xml',
  '.wasm': 'application/wasm',
  '.json': 'application/json',
};

export interface FileServer {
  readonly address: string;
  /** Method and path of every request. */
  readonly asked: readonly string[];
  close(): void;
}

/** `headers` go with every answer. */
export async function serveFolder(folder: string, headers: Readonly<Record<string, string>> = {}): Promise<FileServer> {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    const file = path
      .join(folder, decodeURIComponent(new URL(request.url!, 'http://localhost').pathname))
      .replace(/\/$/, '/index.html');
    asked.push(`${request.method} ${path.relative(folder, file)}`);
    if (!existsSync(file) || !statSync(file).isFile()) {
      response.writeHead(404, headers).end();
      return;
    }
    response.writeHead(200, { ...headers, 'content-type': TYPES[path.extname(file)] ?? 'application/octet-stream' });
    createReadStream(file).pipe(response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    address: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    asked,
    close: () => void server.close(),
  };
}
