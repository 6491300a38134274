/** Chromium with a WebGPU adapter in software, and a page of this package in it. */
import { execFileSync } from 'node:child_process';
import { createReadStream, existsSync, statSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { build } from 'esbuild';
import { chromium } from 'playwright-core';
import type { Page } from 'playwright-core';

const root = path.resolve(import.meta.dirname, '../..');
const PLACES = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

/** Debian's Chromium; installed when it is missing and this may install it. */
export function findChromium(): string {
  const given = process.env['CHROMIUM'];
  if (given !== undefined) return given;
  const found = PLACES.find((file) => existsSync(file));
  if (found !== undefined) return found;
  try {
    execFileSync('apt-get', ['install', '-y', '--no-install-recommends', 'chromium'], { stdio: 'ignore' });
  } catch (error) {
    throw new Error('these tests need Chromium: install it (apt-get install chromium) or set CHROMIUM to its path', {
      cause: error,
    });
  }
  return PLACES[0]!;
}

/** Where onnxruntime in Node finds Chromium's software adapter for Vulkan. */
export function softwareVulkan(): Record<string, string> {
  findChromium();
  return {
    VK_ICD_FILENAMES: '/usr/lib/chromium/vk_swiftshader_icd.json',
    LD_LIBRARY_PATH: '/usr/lib/chromium',
  };
}

export interface OpenBrowser {
  /** Cross-origin isolated, so that WASM may have threads. */
  readonly isolated: Page;
  /** From a server that sends no such headers. */
  readonly plain: Page;
  close(): Promise<void>;
}

const TYPES: Readonly<Record<string, string>> = {
  '.js': 'text/javascript',
  '.mjs': 'text/javascript',
  '.json': 'application/json',
  '.wasm': 'application/wasm',
  '.jpg': 'image/jpeg',
};

/** Pages with the package as /app/onnxray.js and test/backends/page.ts beside it, /zoo/, and onnxruntime-web's files as /ort/. */
export async function openBrowser(): Promise<OpenBrowser> {
  const folder = await mkdtemp(path.join(tmpdir(), 'onnxray-page-'));
  await build({
    absWorkingDir: root,
    entryPoints: {
      onnxray: 'src/browser.ts',
      worker: 'src/runtime/web-worker.ts',
      page: 'test/backends/page.ts',
    },
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'browser',
    outdir: folder,
    logLevel: 'error',
  });
  const places: Readonly<Record<string, string>> = {
    '/app/': folder,
    '/zoo/': path.join(root, 'zoo'),
    '/ort/': path.join(root, 'node_modules/onnxruntime-web/dist'),
  };
  const isolation = { 'Cross-Origin-Opener-Policy': 'same-origin', 'Cross-Origin-Embedder-Policy': 'require-corp' };
  const server = createServer(({ url = '/' }, response) => {
    const address = decodeURIComponent(url.split('?')[0]!);
    const headers: Record<string, string> = address === '/plain' ? {} : isolation;
    if (address === '/' || address === '/plain') {
      response.writeHead(200, { ...headers, 'Content-Type': 'text/html' }).end('<!doctype html><title>onnxray</title>');
      return;
    }
    const place = Object.keys(places).find((prefix) => address.startsWith(prefix));
    const file = place === undefined ? '' : path.join(places[place]!, path.normalize(address.slice(place.length)));
    if (!existsSync(file) || !statSync(file).isFile()) {
      response.writeHead(404, headers).end();
      return;
    }
    const type = TYPES[path.extname(file)] ?? 'application/octet-stream';
    response.writeHead(200, { ...headers, 'Content-Type': type });
    createReadStream(file).pipe(response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const browser = await chromium.launch({
    executablePath: findChromium(),
    args: ['--no-sandbox', '--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader', '--enable-features=Vulkan'],
  });
  const open = async (address: string): Promise<Page> => {
    const page = await browser.newPage();
    await page.goto(`http://localhost:${(server.address() as AddressInfo).port}${address}`);
    return page;
  };
  return {
    isolated: await open('/'),
    plain: await open('/plain'),
    async close() {
      await browser.close();
      server.close();
      server.closeAllConnections();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
