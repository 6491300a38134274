/** A hub on this machine: the answers of the real one that fetching a model by its name needs. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { readFileSync } from 'node:fs';
import path from 'node:path';

const ZOO = path.resolve(import.meta.dirname, '../zoo/text-spam');
export const SPAM = 'somebody/spam-or-ham';

export interface FakeHub {
  readonly address: string;
  /** Method, address and headers of every request. */
  readonly asked: readonly { readonly line: string; readonly headers: string }[];
  close(): void;
}

/** `models`: by name, content by path; `sizes` false leaves them out of the list; `slow` never ends a file. */
export async function startHub(
  models: Readonly<Record<string, Readonly<Record<string, Uint8Array | string>>>>,
  { sizes = true, slow = false }: { readonly sizes?: boolean; readonly slow?: boolean } = {},
): Promise<FakeHub> {
  const asked: { line: string; headers: string }[] = [];
  const server = createServer((request, response) => {
    asked.push({ line: `${request.method} ${request.url}`, headers: JSON.stringify(request.headers) });
    const open = { 'access-control-allow-origin': '*' };
    const list = /^\/api\/models\/(.+)\?blobs=true$/.exec(request.url!)?.[1];
    const [, name, file] = /^\/(.+)\/resolve\/0123456789abcdef\/(.+)$/.exec(request.url!) ?? [];
    const found = models[list ?? name ?? ''];
    if (found === undefined || (file !== undefined && found[file] === undefined))
      return response.writeHead(404, open).end('{"error":"Repository not found"}');
    if (file === undefined) {
      const siblings = Object.entries(found).map(([rfilename, content]) => ({
        rfilename,
        ...(sizes ? { size: content.length } : {}),
      }));
      return response.writeHead(200, open).end(JSON.stringify({ sha: '0123456789abcdef', siblings }));
    }
    response.writeHead(200, open).write(slow ? new Uint8Array(10) : found[file]!);
    return slow ? undefined : response.end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    address: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

/** The embedded text model as a repository of the hub, with what such have beside it. */
export function spamRepository(): Readonly<Record<string, Uint8Array | string>> {
  const file = (name: string) => readFileSync(path.join(ZOO, name));
  return {
    'README.md': '# <script>alert(1)</script>',
    '.gitattributes': '',
    'config.json': file('config.json'),
    'tokenizer.json': file('tokenizer.json'),
    'tokenizer_config.json': file('tokenizer_config.json'),
    'onnx/model.onnx': file('onnx/model.onnx'),
    'onnx/model_quantized.onnx': 'not asked for',
    'pytorch_model.bin': 'not asked for',
  };
}
