/** The same page from a plain file server: models run in the browser, and nothing is asked of any server but files. */
import { createReadStream, existsSync, statSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ExplainableModel } from '../../src/attribution/index.ts';
import { serializeExplanation } from '../../src/explanation/index.ts';
import { exportSite } from '../../src/server/index.ts';
import { captureAttention } from '../../src/attention/index.ts';
import { launch } from './browser.ts';

const ROOT = path.resolve(import.meta.dirname, '../..');
const LONG = 90_000;
const TEXT = 'Claim your free prize money now, dear friend';
const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.svg': 'image/svg+xml',
  '.wasm': 'application/wasm',
  '.json': 'application/json',
};

let site: string;
let server: Server;
let browser: Browser;
let page: Page;
let address: string;
const asked: string[] = [];
const complaints: string[] = [];

beforeAll(async () => {
  site = await mkdtemp(path.join(tmpdir(), 'onnxray-site-'));
  await exportSite(path.join(site, 'under/a/path'));
  server = createServer((request, response) => {
    const file = path
      .join(site, decodeURIComponent(new URL(request.url!, 'http://localhost').pathname))
      .replace(/\/$/, '/index.html');
    asked.push(`${request.method} ${path.relative(site, file)}`);
    if (!existsSync(file) || !statSync(file).isFile()) {
      response.writeHead(404).end();
      return;
    }
    response.writeHead(200, { 'content-type': TYPES[path.extname(file)] ?? 'application/octet-stream' });
    createReadStream(file).pipe(response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  address = `http://127.0.0.1:${(server.address() as AddressInfo).port}/under/a/path/`;
  browser = await launch();
  page = await browser.newPage({ locale: 'en-US', acceptDownloads: true });
  page.setDefaultTimeout(LONG);
  page.on('pageerror', (error) => complaints.push(error.message));
}, LONG);
afterAll(async () => {
  await browser?.close();
  server?.close();
  if (site) await rm(site, { recursive: true, force: true });
});

describe('the studio as static files', () => {
  it('explains in the browser with the numbers Node gives', { timeout: LONG }, async () => {
    await page.goto(`${address}#/text?${new URLSearchParams({ text: TEXT, methods: 'input-x-gradient' }).toString()}`);
    const card = page.locator('[data-method="input-x-gradient"]');
    await card.locator('.tokens').waitFor();
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      card.getByRole('button', { name: 'JSON', exact: true }).click(),
    ]);
    const chunks: Buffer[] = [];
    for await (const chunk of await download.createReadStream()) chunks.push(chunk as Buffer);
    const here = JSON.parse(Buffer.concat(chunks).toString()) as Document;
    const model = await ExplainableModel.open(path.join(ROOT, 'zoo/text-spam'), { threads: 1 });
    const { explanation } = await model.explain({ text: TEXT }, { method: 'input-x-gradient' });
    const there = JSON.parse(serializeExplanation(explanation)) as Document;
    expect(here.runtime.provider).toBe('wasm');
    expect(here.tokens).toEqual(there.tokens);
    expect(Math.abs(here.value - there.value)).toBeLessThan(1e-4);
    const [ours, theirs] = [here.attributions['input_ids']!.data, there.attributions['input_ids']!.data];
    ours.forEach((score, i) => expect(Math.abs(score - theirs[i]!)).toBeLessThan(1e-4));
    const [first] = await captureAttention(model.host, (await model.encode({ text: TEXT })).tensors, { blocks: [0] });
    expect(first!.values['probabilities']!.dims[1]).toBe(12);
    await model.release();
  });

  it('reads attention there too, and asks for nothing but files', { timeout: LONG }, async () => {
    await page.getByRole('link', { name: 'Attention' }).click();
    await page.locator('.head-view canvas').waitFor();
    expect(asked.every((request) => request.startsWith('GET under/a/path/'))).toBe(true);
    expect(asked.some((request) => request.includes('/api/'))).toBe(false);
    expect(complaints).toEqual([]);
  });
});

interface Document {
  readonly tokens: string[];
  readonly value: number;
  readonly runtime: { readonly provider: string };
  readonly attributions: Readonly<Record<string, { readonly data: number[] }>>;
}
