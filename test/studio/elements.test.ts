/** The web components in a page of somebody else's. */
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import { readFileSync, statSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { launch } from './browser.ts';

const ROOT = path.resolve(import.meta.dirname, '../..');
const HOSTILE = '<img src=x onerror=document.title=1>';

const explanation = {
  method: 'input-x-gradient',
  options: {},
  model: { path: 'model.onnx', sha256: '0' },
  output: 'logits',
  target: { label: HOSTILE, indices: [0] },
  value: 1,
  baselineValue: null,
  convergenceDelta: null,
  attributions: { ids: { dims: [1, 3], data: [0.5, -0.25, 0.1] } },
  tokens: ['good', HOSTILE, 'end'],
  warnings: [],
  runtime: { provider: 'cpu', threads: 1, ms: 1, passes: 1, versions: {} },
};
const attention = {
  tokens: ['a', HOSTILE],
  blocks: [
    { layer: 0, kind: 'encoder', probabilities: { dims: [1, 2, 2, 2], data: [0.5, 0.5, 1, 0, 0.25, 0.75, 0, 1] } },
  ],
};

let server: Server;
let browser: Browser;
let page: Page;
let address: string;
beforeAll(async () => {
  server = createServer((request, response) => {
    const name = /^\/((?:elements|widget)\.js)$/.exec(request.url!)?.[1];
    response.writeHead(200, { 'content-type': name ? 'text/javascript' : 'text/html; charset=utf-8' });
    const data = JSON.stringify(attention).replaceAll('<', '\\u003c');
    response.end(
      name
        ? readFileSync(path.join(ROOT, 'dist/elements', name))
        : `<!doctype html><html lang="en"><title>page</title><script type="module" src="/elements.js"></script>
           <onnxray-text id="text"></onnxray-text>
           <onnxray-attention id="attention"><script type="application/json">${data}</script></onnxray-attention>
           <div id="cell"></div>`,
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  address = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  browser = await launch();
  page = await browser.newPage({ locale: 'en-US' });
  await page.goto(address);
}, 60_000);
afterAll(async () => {
  await browser?.close();
  server?.close();
});

describe('the web components', () => {
  it('draw an explanation given as an object or as JSON, tokens as text whatever they hold', async () => {
    for (const data of [explanation, JSON.stringify(explanation)]) {
      await page.locator('#text').evaluate((element, data) => {
        (element as HTMLElement & { data: unknown }).data = data;
      }, data);
      await page.locator('#text .tokens').waitFor();
      expect(await page.locator('#text .tokens').innerText()).toContain(HOSTILE);
      expect(await page.locator('#text img').count()).toBe(0);
    }
    expect(await page.title()).toBe('page');
  });

  it('draw attention from the JSON inside them', async () => {
    await page.locator('#attention .head-view canvas').waitFor();
    expect(await page.locator('#attention').getByRole('application').first().getAttribute('aria-label')).toMatch(
      /1 layers of up to 2 heads/,
    );
    expect(await page.title()).toBe('page');
  });

  it('say what is missing in data that is not an explanation', async () => {
    await page.locator('#text').evaluate((element) => {
      (element as HTMLElement & { data: unknown }).data = { method: 'saliency' };
    });
    await page.locator('#text [role=alert]', { hasText: 'the field "options" is missing' }).waitFor();
  });

  it('are shown by a notebook through anywidget, and follow its data', async () => {
    // As a script of the page: a function would be rewritten by the test runner, imports included.
    const text = await page.evaluate(`(async () => {
      const { default: widget } = await import('/widget.js');
      const el = document.querySelector('#cell');
      const values = ${JSON.stringify({ kind: 'text', data: JSON.stringify(explanation), picture: '' })};
      const listeners = {};
      const model = { get: (name) => values[name], on: (event, listener) => (listeners[event] = listener), off() {} };
      widget.render({ model, el });
      const shown = () => el.querySelector('onnxray-text').shadowRoot.textContent;
      const before = shown();
      values.data = values.data.replaceAll('good', 'better');
      listeners['change:data']();
      return before.includes('good') + ' ' + shown().includes('better');
    })()`);
    expect(text).toBe('true true');
  });

  it('are one small file each', () => {
    for (const name of ['elements.js', 'widget.js'])
      expect(statSync(path.join(ROOT, 'dist/elements', name)).size).toBeLessThan(150_000);
  });
});
