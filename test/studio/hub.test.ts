/** Models of the hub in the page: fetched by the server, or by the browser itself; a hub on this machine in place of the real one. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { exportSite, startStudio } from '../../src/server/index.ts';
import type { RunningStudio } from '../../src/server/index.ts';
import { SPAM, spamRepository, startHub } from '../fake-hub.ts';
import type { FakeHub } from '../fake-hub.ts';
import { launch } from './browser.ts';
import { serveFolder } from './file-server.ts';
import type { FileServer } from './file-server.ts';

const LONG = 180_000;
let hub: FakeHub;
let studio: RunningStudio;
let site: string;
let files: FileServer;
let browser: Browser;
beforeAll(async () => {
  hub = await startHub({ [SPAM]: spamRepository() });
  studio = await startStudio({ port: 0, hub: hub.address, runtime: { threads: 1 } });
  site = await mkdtemp(path.join(tmpdir(), 'onnxray-site-'));
  await exportSite(site, { hub: hub.address });
  files = await serveFolder(site);
  browser = await launch();
}, LONG);
afterAll(async () => {
  await browser?.close();
  await studio?.close();
  hub?.close();
  files?.close();
  if (site) await rm(site, { recursive: true, force: true });
});

async function openModels(address: string): Promise<Page> {
  const page = await browser.newPage({ locale: 'en-US' });
  page.setDefaultTimeout(LONG);
  await page.goto(`${address}#/models`);
  await page.locator('.graph svg').waitFor();
  return page;
}

async function fetchAndExplain(page: Page): Promise<void> {
  const before = hub.asked.length;
  const field = page.getByLabel('Or a model of the hub, by its name');
  await field.fill(SPAM);
  await page.getByText(`this name goes to ${new URL(hub.address).host}`).waitFor();
  // Typing asks nothing.
  expect(hub.asked.length).toBe(before);
  await field.press('Enter');
  await page.getByRole('heading', { name: SPAM }).waitFor();
  expect(hub.asked.slice(before).map(({ line }) => line)).toEqual([
    `GET /api/models/${SPAM}?blobs=true`,
    ...['onnx/model.onnx', 'config.json', 'tokenizer.json', 'tokenizer_config.json'].map(
      (file) => `GET /${SPAM}/resolve/0123456789abcdef/${file}`,
    ),
  ]);
  await page.getByRole('link', { name: 'Explain a text' }).click();
  const asked = hub.asked.length;
  await page.locator('textarea').fill('A secret text, free of charge');
  await page.locator('[data-t]', { hasText: 'secret' }).first().waitFor();
  expect(hub.asked.length).toBe(asked);
  expect(JSON.stringify(hub.asked)).not.toContain('secret');
}

describe('the Models room', () => {
  it(
    'has the server fetch a model of the hub by its name, and explains a text with it',
    { timeout: LONG },
    async () => {
      const page = await openModels(studio.url);
      await fetchAndExplain(page);
      await page.close();
    },
  );

  it('fetches it into the browser from a static site', { timeout: LONG }, async () => {
    const page = await openModels(files.address);
    await fetchAndExplain(page);
    await page.close();
  });

  it('says in one line what is wrong with a name', { timeout: LONG }, async () => {
    const page = await openModels(studio.url);
    for (const [name, message] of [
      ['<img src=x onerror=document.title=1>', 'that is no name on the hub'],
      ['not/there', 'has no public model or file of that name'],
    ] as const) {
      await page.getByLabel('Or a model of the hub, by its name').fill(name);
      await page.getByRole('button', { name: 'Fetch it' }).click();
      await page.locator('main > .notice', { hasText: message }).waitFor();
    }
    await page.close();
  });

  it('sends who runs models in the browser of a served page to the server', { timeout: LONG }, async () => {
    const wasm = await browser.newPage({ locale: 'en-US' });
    await wasm.goto(`${studio.url}#/models?engine=wasm`);
    await wasm.getByText('Models of the hub are fetched by the server').waitFor();
    await wasm.close();
  });
});
