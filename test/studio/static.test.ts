/** The same page from a plain file server: models run in the browser, and nothing is asked of any server but files. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ExplainableModel } from '../../src/attribution/index.ts';
import { serializeExplanation } from '../../src/explanation/index.ts';
import { exportSite } from '../../src/server/index.ts';
import { SOFTWARE_WEBGPU, launch } from './browser.ts';
import { serveFolder } from './file-server.ts';
import type { FileServer } from './file-server.ts';

const ROOT = path.resolve(import.meta.dirname, '../..');
const LONG = 180_000;
const TEXT = 'Claim your free prize money now, dear friend';
let site: string;
let server: FileServer;
let browser: Browser;
let page: Page;
let address: string;
const complaints: string[] = [];

beforeAll(async () => {
  site = await mkdtemp(path.join(tmpdir(), 'onnxray-site-'));
  await exportSite(path.join(site, 'under/a/path'));
  server = await serveFolder(site);
  address = `${server.address}under/a/path/`;
  browser = await launch();
  page = await browser.newPage({ locale: 'en-US', acceptDownloads: true });
  page.setDefaultTimeout(LONG);
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('console', (said) => {
    if (said.text().includes('Content Security Policy')) complaints.push(said.text());
  });
}, LONG);
afterAll(async () => {
  await browser?.close();
  server?.close();
  if (site) await rm(site, { recursive: true, force: true });
});

/** What the card's JSON button saves. */
async function saved(from: Page, method: string): Promise<Document> {
  const [download] = await Promise.all([
    from.waitForEvent('download'),
    from.locator(`[data-method="${method}"]`).getByRole('button', { name: 'JSON', exact: true }).click(),
  ]);
  const chunks: Buffer[] = [];
  for await (const chunk of await download.createReadStream()) chunks.push(chunk as Buffer);
  return JSON.parse(Buffer.concat(chunks).toString()) as Document;
}

async function inNode(text: string): Promise<Document> {
  const model = await ExplainableModel.open(path.join(ROOT, 'zoo/text-spam'), { threads: 1 });
  const { explanation } = await model.explain({ text }, { method: 'input-x-gradient' });
  await model.release();
  return JSON.parse(serializeExplanation(explanation)) as Document;
}

/** The same tokens, value and scores, each to 1e-4. */
function expectSame(here: Document, there: Document): void {
  expect(here.tokens).toEqual(there.tokens);
  expect(Math.abs(here.value - there.value)).toBeLessThan(1e-4);
  const [ours, theirs] = [here.attributions['input_ids']!.data, there.attributions['input_ids']!.data];
  expect(ours).toHaveLength(theirs.length);
  ours.forEach((score, i) => expect(Math.abs(score - theirs[i]!)).toBeLessThan(1e-4));
}

describe('the studio as static files', () => {
  it('shows the first picture from the export, says so, and puts its own in its place', { timeout: LONG }, async () => {
    // Without the model nothing can be computed here: what is seen then was carried along.
    const blocked = await browser.newContext({ locale: 'en-US' });
    await blocked.route(/\.onnx$/, (route) => route.abort());
    const early = await blocked.newPage();
    await early.goto(address);
    await early.locator('[data-method="input-x-gradient"] .tokens').waitFor();
    await early.getByText('cannot load').first().waitFor();
    await blocked.close();
    await page.goto(address);
    const card = page.locator('[data-method="input-x-gradient"]');
    await card.locator('.early').waitFor();
    const carried = await saved(page, 'input-x-gradient');
    expect(carried.runtime.provider).toBe('cpu');
    await card.locator('.early').waitFor({ state: 'detached' });
    const own = await saved(page, 'input-x-gradient');
    expect(own.runtime.provider).toBe('wasm');
    expectSame(own, carried);
  });

  it('explains in the browser with the numbers Node gives', { timeout: LONG }, async () => {
    await page.goto('about:blank');
    await page.goto(`${address}#/text?${new URLSearchParams({ text: TEXT, methods: 'input-x-gradient' }).toString()}`);
    await page.locator('[data-method="input-x-gradient"] .tokens').waitFor();
    const here = await saved(page, 'input-x-gradient');
    expect(here.runtime.provider).toBe('wasm');
    expectSame(here, await inNode(TEXT));
  });

  it('switches to WebGPU in its frame, with the same numbers', { timeout: 2 * LONG }, async () => {
    const able = await launch(SOFTWARE_WEBGPU);
    try {
      const other = await able.newPage({ locale: 'en-US', acceptDownloads: true });
      other.setDefaultTimeout(2 * LONG);
      await other.goto(`${address}#/models`);
      await other.getByLabel('Models run').selectOption('webgpu');
      await other.waitForFunction(() => location.hash.includes('engine=webgpu'));
      const asked = { text: TEXT, methods: 'input-x-gradient', engine: 'webgpu' };
      await other.goto(`${address}#/text?${new URLSearchParams(asked).toString()}`);
      await other.locator('[data-method="input-x-gradient"] .tokens').waitFor();
      const here = await saved(other, 'input-x-gradient');
      expect(here.runtime.provider).toBe('webgpu');
      expectSame(here, await inNode(TEXT));
    } finally {
      await able.close();
    }
  });

  it('runs no script that is not its own, by a policy in the page itself', { timeout: LONG }, async () => {
    const other = await browser.newPage();
    await other.goto(address);
    const policy = await other.locator('meta[http-equiv="Content-Security-Policy"]').getAttribute('content');
    expect(policy).toContain("default-src 'none'; script-src 'self' 'wasm-unsafe-eval'");
    const ran = await other.evaluate(() => {
      const script = document.createElement('script');
      script.textContent = 'window.injected = true';
      document.body.append(script);
      return 'injected' in window;
    });
    expect(ran).toBe(false);
    await other.close();
  });

  it('reads attention there too, and asks for nothing but files', { timeout: LONG }, async () => {
    await page.getByRole('link', { name: 'Attention' }).click();
    await page.locator('.head-view canvas').waitFor();
    expect(server.asked.every((request) => request.startsWith('GET under/a/path/'))).toBe(true);
    expect(server.asked.some((request) => request.includes('/api/'))).toBe(false);
    expect(complaints).toEqual([]);
  });
});

interface Document {
  readonly tokens: string[];
  readonly value: number;
  readonly runtime: { readonly provider: string };
  readonly attributions: Readonly<Record<string, { readonly data: number[] }>>;
}
