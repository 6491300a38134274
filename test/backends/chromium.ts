/** Chromium with a WebGPU adapter in software, and a page of this package in it. */
import { execFileSync } from 'node:child_process';
import { createReadStream, existsSync, statSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { chromium } from 'playwright-core';
import type { Page } from 'playwright-core';
import { ORT_FOLDER, bundleForBrowser } from '../../scripts/browser-bundle.ts';

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

const isFile = (file: string): boolean => existsSync(file) && statSync(file).isFile();

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

/** Pages with the package's own bundle as /app/onnxray.js, test/backends/page.ts beside it, /zoo/ and /test/. */
export async function openBrowser(): Promise<OpenBrowser> {
  const folder = await mkdtemp(path.join(tmpdir(), 'onnxray-page-'));
  await bundleForBrowser(folder, { page: 'test/backends/page.ts' });
  /** Folders by the start of the address; onnxruntime-web's files lie beside our scripts, as in the package. */
  const places: Readonly<Record<string, readonly string[]>> = {
    '/app/': [folder, ORT_FOLDER],
    '/zoo/': [path.join(root, 'zoo')],
    '/test/': [path.join(root, 'test')],
  };
  const isolation = { 'Cross-Origin-Opener-Policy': 'same-origin', 'Cross-Origin-Embedder-Policy': 'require-corp' };
  const server = createServer(({ url = '/' }, response) => {
    const address = decodeURIComponent(url.split('?')[0]!);
    const headers: Record<string, string> = address === '/plain' ? {} : isolation;
    if (address === '/' || address === '/plain') {
      response.writeHead(200, { ...headers, 'Content-Type': 'text/html' }).end('<!doctype html><title>onnxray</title>');
      return;
    }
    const place = Object.keys(places).find((prefix) => address.startsWith(prefix)) ?? '';
    const rest = path.normalize(address.slice(place.length));
    const file = places[place]?.map((each) => path.join(each, rest)).find((each) => isFile(each));
    if (file === undefined) {
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
