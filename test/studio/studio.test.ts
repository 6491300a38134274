/** The real application in a real browser, with the local server. */
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { Browser, BrowserContext, Download, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readModel, writeModel } from '../../src/onnx/index.ts';
import { startStudio } from '../../src/server/index.ts';
import type { RunningStudio } from '../../src/server/index.ts';
import { seriousViolations } from './axe.ts';
import { launch, settled } from './browser.ts';

const ROOT = path.resolve(import.meta.dirname, '../..');
const LONG = 180_000;

let studio: RunningStudio;
let browser: Browser;
let context: BrowserContext;
let page: Page;
const complaints: string[] = [];

beforeAll(async () => {
  studio = await startStudio({ port: 0, runtime: { threads: 1 } });
  browser = await launch();
  context = await browser.newContext({
    viewport: { width: 1440, height: 900 },
    locale: 'en-US',
    acceptDownloads: true,
  });
  page = await context.newPage();
  page.setDefaultTimeout(LONG);
  page.on('console', (message) => {
    if (message.type() === 'error') complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(error.message));
}, LONG);
afterAll(async () => {
  await browser?.close();
  await studio?.close();
});

const TEXT = 'Claim your free prize money now, dear friend';

async function open(room: string, params: Record<string, string> = {}): Promise<void> {
  // A new address behind the # alone would not load the page anew.
  await page.goto('about:blank');
  await page.goto(`${studio.url}#/${room}?${new URLSearchParams(params).toString()}`);
}

const card = (method: string) => page.locator(`[data-method="${method}"]`);

/** Drops a file on the page as a person would. */
const drop = (name: string, type: string, bytes: Uint8Array): Promise<void> => dropAll([[name, type, bytes]]);

async function dropAll(files: readonly (readonly [name: string, type: string, bytes: Uint8Array])[]): Promise<void> {
  await page.evaluate(
    (given) => {
      const transfer = new DataTransfer();
      for (const [name, type, base64] of given) {
        const data = Uint8Array.from(atob(base64!), (char) => char.charCodeAt(0));
        transfer.items.add(new File([data], name!, { type: type! }));
      }
      for (const event of ['dragenter', 'dragover', 'drop'])
        dispatchEvent(new DragEvent(event, { dataTransfer: transfer, bubbles: true, cancelable: true }));
    },
    files.map(([name, type, bytes]) => [name, type, Buffer.from(bytes).toString('base64')]),
  );
}

describe('the Text room', () => {
  it(
    'explains an example as soon as it is opened, without any complaint of the browser',
    { timeout: LONG },
    async () => {
      await open('');
      await card('input-x-gradient').locator('.tokens').waitFor();
      await card('integrated-gradients').locator('.tokens').waitFor();
      await expect(page.title()).resolves.toBe('Text · onnxray');
      expect(await card('integrated-gradients').locator('.legend').innerText()).toContain('supports “spam”');
      expect(await card('integrated-gradients').locator('.verdict').innerText()).toContain('add up to the change');
      expect(complaints).toEqual([]);
      expect(await seriousViolations(page)).toEqual([]);
    },
  );

  it('explains another answer at a click, and takes it back with undo', { timeout: LONG }, async () => {
    await open('text', { text: TEXT, methods: 'input-x-gradient' });
    await settled(page);
    await page.getByRole('group', { name: 'Answers' }).getByRole('button', { name: /^ham/ }).click();
    await card('input-x-gradient').locator('.legend', { hasText: 'supports “ham”' }).waitFor();
    expect(page.url()).toContain('target=');
    await page.getByRole('button', { name: 'Undo' }).click();
    await card('input-x-gradient').locator('.legend', { hasText: 'supports “spam”' }).waitFor();
  });

  it('moves as the text is edited, and follows a picked token', { timeout: LONG }, async () => {
    await page.locator('textarea').fill('Meeting notes of the kernel group');
    await card('input-x-gradient').locator('[data-t]', { hasText: 'kernel' }).waitFor();
    await card('input-x-gradient').locator('[data-t]', { hasText: 'kernel' }).click();
    const picked = page.locator('.picked');
    await picked.waitFor();
    expect(await picked.innerText()).toMatch(/kernel[\s\S]*input-x-gradient/);
    await picked.getByRole('button', { name: 'Leave it out of the text' }).click();
    expect(await page.locator('textarea').inputValue()).toBe('Meeting notes of the  group');
  });

  it(
    'goes on to the next method when one fails, and asks the failed one again at a click',
    { timeout: LONG },
    async () => {
      let broken = true;
      await page.route('**/explain', (route) =>
        broken && route.request().postData()?.includes('"input-x-gradient"')
          ? route.fulfill({ status: 400, json: { error: 'out of luck' } })
          : route.continue(),
      );
      try {
        await open('text', { text: TEXT, methods: 'input-x-gradient,integrated-gradients' });
        await card('integrated-gradients').locator('.tokens').waitFor();
        const retry = card('input-x-gradient').getByRole('alert').getByRole('button', { name: 'Try again' });
        await retry.waitFor();
        broken = false;
        await retry.click();
        await card('input-x-gradient').locator('.tokens').waitFor();
        expect(await card('input-x-gradient').getByRole('alert').count()).toBe(0);
      } finally {
        await page.unroute('**/explain');
        // The browser itself writes down the refused request.
        complaints.splice(0, complaints.length, ...complaints.filter((each) => !each.includes('status of 400')));
      }
    },
  );

  it('opens with settings and an address that make no sense', { timeout: LONG }, async () => {
    await open('text');
    await page.evaluate(() => localStorage.setItem('onnxray.language', 'xx'));
    try {
      await open('text', { text: TEXT, methods: 'input-x-gradient,zzz,input-x-gradient' });
      await card('input-x-gradient').locator('.tokens').waitFor();
      expect(await card('input-x-gradient').count()).toBe(1);
      await open('compare', { text: TEXT, compare: 'zzz' });
      await settled(page);
      expect(await page.locator('textarea').count()).toBe(2);
    } finally {
      await page.evaluate(() => localStorage.clear());
    }
  });

  it('shows a hostile text as text', { timeout: LONG }, async () => {
    const hostile = '<img src=x onerror="document.title=1"><script>document.title=2</script> \u202efree';
    await open('text', { text: hostile, methods: 'input-x-gradient' });
    await card('input-x-gradient').locator('.tokens').waitFor();
    expect(await page.locator('.tokens img, .tokens script').count()).toBe(0);
    expect(await card('input-x-gradient').locator('.tokens').innerText()).toContain('<script>');
    await expect(page.title()).resolves.toBe('Text · onnxray');
  });

  it('exports SVG, PNG, JSON and a page that needs no other file', { timeout: LONG }, async () => {
    await open('text', { text: TEXT, methods: 'input-x-gradient' });
    await settled(page);
    const saved = async (kind: string): Promise<Buffer> => {
      const [download] = await Promise.all([
        page.waitForEvent('download') as Promise<Download>,
        card('input-x-gradient').getByRole('button', { name: kind, exact: true }).click(),
      ]);
      expect(download.suggestedFilename()).toBe(`input-x-gradient-spam.${kind.toLowerCase()}`);
      return readFile(await download.path());
    };
    expect((await saved('SVG')).toString()).toMatch(/^<svg[^]*<\/svg>\s*$/);
    expect([...(await saved('PNG')).subarray(1, 4)]).toEqual([...Buffer.from('PNG')]);
    const json = JSON.parse((await saved('JSON')).toString()) as { method: string; tokens: string[] };
    expect(json.method).toBe('input-x-gradient');
    expect(json.tokens).toContain('prize');
    const html = (await saved('HTML')).toString();
    expect(html).toMatch(/^<!doctype html>/i);
    expect(html).not.toMatch(/(?:src|href)="https?:/);
  });

  it('shows what takes long with its progress, and stops it when asked', { timeout: LONG }, async () => {
    await open('text', { text: TEXT, methods: 'shapley-sampling' });
    await page.locator('.job', { hasText: 'shapley-sampling' }).waitFor();
    await page.locator('.job').getByRole('button', { name: 'Cancel' }).click();
    await card('shapley-sampling').getByText('Cancelled.').waitFor();
    expect(await page.locator('.job').count()).toBe(0);
  });
});

describe('the Attention room', () => {
  it('opens heads from the overview, and marks a hovered token in all of them', { timeout: LONG }, async () => {
    await open('attention', { text: TEXT });
    await settled(page);
    await page.locator('.head-view canvas').waitFor();
    const overview = page.getByRole('application', { name: /4 layers of up to 12 heads/ });
    const box = (await overview.boundingBox())!;
    await page.mouse.click(box.x + box.width * 0.6, box.y + box.height * 0.6);
    await page.waitForFunction(() => location.hash.includes('layer=2'));
    await page.waitForFunction(() => document.querySelector('.head-view canvas') !== null);
    const drawn = () => overview.evaluate((canvas) => (canvas as HTMLCanvasElement).toDataURL().length);
    await page.locator('.head-view').scrollIntoViewIfNeeded();
    const head = (await page.locator('.head-view').boundingBox())!;
    await page.mouse.move(5, 5);
    await page.waitForTimeout(100);
    const before = await drawn();
    await page.mouse.move(head.x + 60, head.y + 60);
    await page.locator('.top-keys', { hasText: 'attends most to' }).waitFor();
    expect(await drawn()).toBeGreaterThan(before);
    expect(complaints).toEqual([]);
    expect(await seriousViolations(page)).toEqual([]);
  });

  it('shows measures, several heads, the mean and rollout', { timeout: LONG }, async () => {
    await page.getByLabel('Tiles show').selectOption('entropy');
    await page.getByRole('group', { name: 'Heads of this layer' }).getByRole('button', { name: 'all' }).click();
    await page.getByRole('button', { name: 'rollout through all layers' }).click();
    await page.getByRole('heading', { name: 'Matrix: rollout through all layers' }).waitFor();
    await page.locator('.matrix-view canvas').waitFor();
    expect(complaints).toEqual([]);
  });

  it('is walked through by arrow keys in the matrix, cell by cell, closer and back', { timeout: LONG }, async () => {
    await open('attention', { text: TEXT });
    await settled(page);
    const matrix = page.locator('.matrix-view canvas');
    await matrix.waitFor();
    const readout = page.locator('.matrix-view .readout');
    const says = (words: string | RegExp) => readout.filter({ hasText: words }).waitFor();
    await matrix.focus();
    await page.keyboard.press('ArrowDown');
    await says(/^\[CLS\] → \[CLS\] +[\d.]+%$/);
    await page.keyboard.press('ArrowRight');
    await says(/^\[CLS\] → claim +[\d.]+%$/i);
    await page.keyboard.press('ArrowDown');
    await says(/^claim → claim +[\d.]+%$/i);
    // It ends at the edge.
    for (let step = 0; step < 40; step++) await page.keyboard.press('ArrowRight');
    await says(/^claim → \[SEP\] +[\d.]+%$/i);
    const drawn = () => matrix.evaluate((canvas) => (canvas as HTMLCanvasElement).toDataURL());
    const whole = await drawn();
    await page.keyboard.press('+');
    await expect.poll(drawn).not.toBe(whole);
    await page.keyboard.press('-');
    await expect.poll(drawn).toBe(whole);
    await page.keyboard.press('Tab');
    await says(/^\s*$/);
  });

  it('shows the neuron view of the hovered token, the map of the heads, and flow', { timeout: LONG }, async () => {
    await open('attention', { text: TEXT });
    await settled(page);
    const neuron = page.locator('.neuron canvas');
    await neuron.waitFor();
    const drawn = () => neuron.evaluate((canvas) => (canvas as HTMLCanvasElement).toDataURL());
    await page.locator('.head-view').first().scrollIntoViewIfNeeded();
    const before = await drawn();
    const head = (await page.locator('.head-view').first().boundingBox())!;
    await page.mouse.move(head.x + 60, head.y + 70);
    await page.waitForTimeout(150);
    expect(await drawn()).not.toBe(before);
    await page.mouse.click(head.x + 60, head.y + 70);
    await page.waitForFunction(() => location.hash.includes('token=3'));
    await page.getByRole('button', { name: 'flow through all layers' }).click();
    await settled(page);
    await page.getByRole('heading', { name: 'Matrix: flow through all layers' }).waitFor();
    await page.getByRole('button', { name: 'Head map' }).click();
    await page.getByRole('group', { name: '48 heads on a plane' }).waitFor();
    await page
      .getByRole('button', { name: /^L3-7,/ })
      .locator('circle')
      .click();
    await page.waitForFunction(() => location.hash.includes('layer=3') && location.hash.includes('head=7'));
    await page.getByRole('combobox', { name: /^Colour/ }).selectOption('entropy');
    expect(complaints).toEqual([]);
    expect(await seriousViolations(page)).toEqual([]);
  });

  it('patches from one text into another, and exports what it found', { timeout: LONG }, async () => {
    await open('attention', { text: TEXT, panel: 'patching' });
    await page.getByText('Both texts are the same').waitFor();
    await page.getByLabel('The other text').fill('Claim your own prize money now, dear friend');
    const map = page.getByRole('application', { name: '4 layers x 11 places' });
    await map.waitFor();
    await map.focus();
    await page.keyboard.press('ArrowRight');
    await page.locator('.patch-map .readout', { hasText: 'L0' }).waitFor();
    const [download] = await Promise.all([
      page.waitForEvent('download') as Promise<Download>,
      page
        .getByRole('group', { name: 'Export: patching-stream' })
        .getByRole('button', { name: 'JSON', exact: true })
        .click(),
    ]);
    const found = JSON.parse((await readFile(await download.path())).toString()) as { command: string };
    expect(found.command).toBe('patch');
    await page.getByRole('button', { name: 'heads', exact: true }).click();
    await page.getByRole('application', { name: '4 layers x 12 places' }).waitFor();
    await page.getByLabel('The other text').fill('too short');
    await page.getByText('the two inputs differ in length').waitFor();
    expect(await seriousViolations(page)).toEqual([]);
  });
});

describe('the Images room', () => {
  it('takes a dropped picture, and says what a box drawn on it holds', { timeout: LONG }, async () => {
    await open('images', { maps: 'saliency' });
    await page.locator('.thumbs').waitFor();
    await drop('coffee.jpg', 'image/jpeg', readFileSync(path.join(ROOT, 'zoo/photographs/coffee.jpg')));
    await page.waitForFunction(() => location.hash.includes('picture=dropped'));
    await card('saliency').locator('.box-area').waitFor();
    await settled(page);
    const area = (await card('saliency').locator('.box-area').boundingBox())!;
    await page.mouse.move(area.x + area.width * 0.3, area.y + area.height * 0.3);
    await page.mouse.down();
    await page.mouse.move(area.x + area.width * 0.7, area.y + area.height * 0.7, { steps: 4 });
    await page.mouse.up();
    await card('saliency')
      .getByText(/^In the box: .*% of all/)
      .waitFor();
    expect(page.url()).toMatch(/box=0\.\d+/);
    expect(complaints).toEqual([]);
    expect(await seriousViolations(page)).toEqual([]);
  });

  it('has its box moved and sized by keyboard alone', { timeout: LONG }, async () => {
    await open('images', { maps: 'grad-cam' });
    await settled(page);
    const area = card('grad-cam').locator('.box-area');
    await area.focus();
    const pressed = async (key: string, address: string): Promise<void> => {
      await page.keyboard.press(key);
      await page.waitForFunction((box) => decodeURIComponent(location.hash).includes(`box=${box}`), address);
    };
    await pressed('Enter', '0.350,0.350,0.650,0.650');
    await pressed('ArrowRight', '0.370,0.350,0.670,0.650');
    await pressed('Shift+ArrowRight', '0.370,0.350,0.690,0.650');
    await pressed('Shift+ArrowUp', '0.370,0.350,0.690,0.630');
    await card('grad-cam')
      .getByText(/^In the box: .*% of all/)
      .waitFor();
    await page.keyboard.press('Escape');
    await page.waitForFunction(() => !location.hash.includes('box='));
  });

  it('is where a picture goes that is dropped while texts are compared', { timeout: LONG }, async () => {
    await open('compare', { text: TEXT });
    await page.locator('textarea').first().waitFor();
    await drop('coffee.jpg', 'image/jpeg', readFileSync(path.join(ROOT, 'zoo/photographs/coffee.jpg')));
    await page.waitForFunction(() => location.hash.startsWith('#/images?'));
  });
});

describe('a model that compares pictures with texts', () => {
  it('is explained for a picture and the text beside it, in pixels and words', { timeout: LONG }, async () => {
    await open('models');
    await page.locator('.graph svg').waitFor();
    const folder = path.join(ROOT, 'test/vision/clip');
    await dropAll(
      ['model.onnx', 'config.json', 'preprocessor_config.json', 'tokenizer.json', 'tokenizer_config.json'].map(
        (name) => [name, '', readFileSync(path.join(folder, name))] as const,
      ),
    );
    await page.getByRole('link', { name: 'Explain a picture' }).click();
    await page.getByRole('button', { name: 'coffee' }).click();
    const text = page.getByLabel('The text it is compared with');
    await text.fill('a photo of a dog');
    await page.waitForFunction(() => location.hash.includes('with=a+photo+of+a+dog'));
    const card = page.locator('[data-method="saliency"]');
    await card.getByRole('img', { name: 'saliency for “a photo of a dog”' }).waitFor();
    await settled(page);
    expect(await card.locator('.tokens').innerText()).toMatch(/photo of a dog/);
    expect(complaints).toEqual([]);
    expect(await seriousViolations(page)).toEqual([]);
  });
});

describe('the Models room', () => {
  it('opens a dropped model, and shows hostile names and metadata as text', { timeout: LONG }, async () => {
    await open('models');
    await page.locator('.graph svg').waitFor();
    expect(await seriousViolations(page)).toEqual([]);
    const hostile = '<img src=x onerror=document.title=3>';
    const model = readModel(readFileSync(path.join(ROOT, 'test/attention/fixtures/distilbert-eager.onnx')));
    const nodes = model.graph.nodes.map((node, i) => (i === 0 ? { ...node, name: `/${hostile}/${hostile}` } : node));
    const bytes = writeModel({ ...model, producer: hostile, graph: { ...model.graph, nodes } });
    await drop(`${hostile}.onnx`, '', bytes);
    await page.locator('.facts dd', { hasText: hostile }).waitFor();
    expect(await page.locator('main h2').first().innerText()).toBe(`${hostile}.onnx`);
    expect(await page.locator('main img').count()).toBe(0);
    await expect(page.title()).resolves.toBe('Models · onnxray');
    await page.locator('.graph g[role=button]').nth(2).click();
    const exports = page.getByRole('group', { name: 'Export: graph-' });
    const exported = async (kind: string) => {
      const [download] = await Promise.all([
        page.waitForEvent('download') as Promise<Download>,
        exports.getByRole('button', { name: kind, exact: true }).click(),
      ]);
      expect(download.suggestedFilename()).toMatch(/^graph-[\p{L}\p{N}._-]+$/u);
      return readFile(await download.path());
    };
    expect([...(await exported('PNG')).subarray(1, 4)]).toEqual([...Buffer.from('PNG')]);
    for (const kind of ['SVG', 'HTML']) {
      const text = (await exported(kind)).toString();
      expect(text).toContain('&lt;img');
      expect(text).not.toMatch(/<img|<script>|class=/);
    }
    const graph = JSON.parse((await exported('JSON')).toString()) as { model: string; nodes: { path: string }[] };
    expect(graph.model).toBe(`${hostile}.onnx`);
    expect(graph.nodes.length).toBeGreaterThan(10);
    expect(complaints).toEqual([]);
  });

  it(
    'opens a dropped folder with the files two levels deep, and leaves aside what is no part of a model',
    { timeout: LONG },
    async () => {
      await open('models');
      await page.locator('.graph svg').waitFor();
      const model = readFileSync(path.join(ROOT, 'test/attention/fixtures/distilbert-eager.onnx'));
      const tokenizer = readFileSync(path.join(ROOT, 'zoo/text-spam/tokenizer.json'));
      const files = { 'config.json': Buffer.from('{}'), 'tokenizer.json': tokenizer, 'onnx/model.onnx': model };
      const contents = Object.entries(files).map(([name, bytes]) => [name, bytes.toString('base64')] as const);
      await page.evaluate(
        ([contents]) => {
          const file = (name: string, base64: string) => {
            const data = Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
            return {
              isFile: true,
              isDirectory: false,
              name,
              file: (done: (file: File) => void) => done(new File([data], name)),
            };
          };
          // Browsers hand out entries in parts: the reader is asked until it gives none.
          const folder = (name: string, children: readonly object[]) => ({
            isFile: false,
            isDirectory: true,
            name,
            createReader: () => {
              let at = 0;
              return {
                readEntries: (done: (entries: readonly object[]) => void) => done(children.slice(at, (at += 2))),
              };
            },
          });
          const inner = contents.filter(([name]) => name.startsWith('onnx/'));
          const outer = contents.filter(([name]) => !name.includes('/'));
          const root = folder('my-model', [
            file('README.md', btoa('# <img src=x>')),
            file('.gitattributes', ''),
            ...outer.map(([name, data]) => file(name, data)),
            folder(
              'onnx',
              inner.map(([name, data]) => file(name.slice(5), data)),
            ),
          ]);
          const transfer = { types: ['Files'], files: [], items: [{ webkitGetAsEntry: () => root }] };
          const event = new Event('drop', { bubbles: true, cancelable: true });
          Object.defineProperty(event, 'dataTransfer', { value: transfer });
          dispatchEvent(event);
        },
        [contents] as const,
      );
      await page.locator('.model-list button', { hasText: 'model.onnx' }).last().waitFor();
      await page.locator('.facts dd', { hasText: 'text classification' }).waitFor();
      // The tokenizer came along.
      await page.getByRole('link', { name: 'Explain a text' }).waitFor();
      expect(complaints).toEqual([]);
    },
  );

  it('forgets a dropped model when asked, here and on the server', { timeout: LONG }, async () => {
    await open('models');
    await page.locator('.graph svg').waitFor();
    const dropped = page.getByRole('button', { name: 'Remove passing.onnx' });
    await drop('passing.onnx', '', readFileSync(path.join(ROOT, 'test/attention/fixtures/distilbert-eager.onnx')));
    await page.getByRole('heading', { name: 'passing.onnx' }).waitFor();
    expect(await page.getByRole('button', { name: 'Remove text-spam' }).count()).toBe(0);
    const [asked] = await Promise.all([
      page.waitForRequest((request) => request.method() === 'DELETE'),
      dropped.first().click(),
    ]);
    expect(asked.url()).toMatch(/\/api\/models\/[\w-]+$/);
    await dropped.waitFor({ state: 'detached' });
    await page.getByRole('heading', { name: 'passing.onnx' }).waitFor({ state: 'detached' });
    const { models } = (await (await fetch(`${studio.url}api/studio`)).json()) as { models: { name: string }[] };
    expect(models.map(({ name }) => name)).not.toContain('passing.onnx');
    expect(complaints).toEqual([]);
  });

  it('gives back at once what has come of a model that was cancelled on its way', { timeout: LONG }, async () => {
    await page.route(/\/api\/uploads\/[^/]+\/slow/, () => undefined);
    try {
      await drop('slow.onnx', '', new Uint8Array(1000));
      const cancel = page.locator('.job').getByRole('button', { name: 'Cancel' });
      await cancel.waitFor();
      const [asked] = await Promise.all([
        page.waitForRequest((request) => request.method() === 'DELETE'),
        cancel.click(),
      ]);
      expect(asked.url()).toMatch(/\/api\/uploads\/[\w-]+$/);
      await page.locator('main > .notice', { hasText: 'Cancelled.' }).waitFor();
    } finally {
      await page.unrouteAll({ behavior: 'ignoreErrors' });
    }
  });

  it('says in one sentence what is wrong with a file that is no model', { timeout: LONG }, async () => {
    await drop('broken.onnx', '', new TextEncoder().encode('not a model'));
    const notice = page.locator('main > .notice');
    await notice.waitFor();
    expect(await notice.innerText()).toMatch(/onnx/i);
    await page.getByRole('button', { name: '切换到中文' }).click();
    await page.locator('main > .notice', { hasText: '不是 ONNX 模型：文件被截断、已损坏或是其他格式' }).waitFor();
    await page.getByRole('button', { name: 'Switch to English' }).click();
    // The server's refusal is a failed request in the browser's console, and nothing else.
    expect(complaints.splice(0).every((text) => text.includes('422'))).toBe(true);
  });
});

describe('the Compare room', () => {
  it('puts two pictures on one scale, and takes one that is dropped as the second', { timeout: LONG }, async () => {
    await open('compare', { model: 'image-imagenet', target: '281' });
    await page.getByRole('button', { name: 'two pictures' }).waitFor();
    await page.locator('.picture-map').nth(1).waitFor();
    await settled(page);
    expect(await page.locator('.picture-map').count()).toBe(2);
    const ticks = () => page.locator('.legend .ticks').allInnerTexts();
    const [first, second] = await ticks();
    expect(first).toBe(second);
    await drop('rocket.jpg', 'image/jpeg', readFileSync(path.join(ROOT, 'zoo/photographs/rocket.jpg')));
    await page.waitForFunction(() => /#\/compare\?.*picture2=dropped/.test(location.hash));
    await expect.poll(ticks, { timeout: LONG }).not.toContain(first);
    await settled(page);
    const [third, fourth] = await ticks();
    expect(third).toBe(fourth);
    // What only ranks the places of one picture is no measure of the other's.
    await page.getByRole('combobox', { name: /^Method/ }).selectOption('grad-cam');
    await page.getByText('each has a scale of its own').nth(1).waitFor();
    expect(complaints).toEqual([]);
    expect(await seriousViolations(page)).toEqual([]);
  });

  it('puts one picture by two models on one scale', { timeout: LONG }, async () => {
    await open('models');
    await page.locator('.graph svg').waitFor();
    const folder = path.join(ROOT, 'zoo/vit-emoji');
    await dropAll(
      ['onnx/model.onnx', 'config.json', 'preprocessor_config.json'].map(
        (name) =>
          [
            path.basename(name).replace('model.onnx', 'vit-emoji.onnx'),
            '',
            readFileSync(path.join(folder, name)),
          ] as const,
      ),
    );
    await page.getByRole('heading', { name: 'vit-emoji.onnx' }).waitFor();
    await page.getByRole('link', { name: 'Compare' }).click();
    await page.getByRole('button', { name: 'two models' }).click();
    await page.getByRole('combobox', { name: /^Second model/ }).selectOption('image-imagenet');
    await page.waitForFunction(() => location.hash.includes('model2=image-imagenet'));
    await page.locator('.picture-map').nth(1).waitFor();
    await settled(page);
    const [first, second] = await page.locator('.legend .ticks').allInnerTexts();
    expect(first).toBe(second);
    expect(complaints).toEqual([]);
  });

  it('puts two texts on one scale, with their largest differences', { timeout: LONG }, async () => {
    await open('compare', { text: TEXT, text2: 'Claim your meeting room now, dear friend', target: '1' });
    await settled(page);
    await page.getByRole('table', { name: 'Largest differences' }).waitFor();
    const ticks = await page.locator('.legend .ticks').allInnerTexts();
    expect(ticks[0]).toBe(ticks[1]);
    expect(await page.getByRole('table', { name: 'Largest differences' }).innerText()).toMatch(
      /\(only (first|second)\)/,
    );
    const exported = async (kind: string) => {
      const [download] = await Promise.all([
        page.waitForEvent('download') as Promise<Download>,
        page
          .getByRole('group', { name: 'Export: differences' })
          .getByRole('button', { name: kind, exact: true })
          .click(),
      ]);
      return readFile(await download.path());
    };
    expect((await exported('SVG')).toString()).toMatch(/^<svg[^]*\(only second\)[^]*<\/svg>$/);
    expect([...(await exported('PNG')).subarray(1, 4)]).toEqual([...Buffer.from('PNG')]);
    expect((await exported('HTML')).toString()).toMatch(/^<!doctype html>/);
    const { rows } = JSON.parse((await exported('JSON')).toString()) as { rows: { label: string; score: number }[] };
    expect(rows.length).toBeGreaterThan(3);
    expect(Math.abs(rows[0]!.score)).toBeGreaterThanOrEqual(Math.abs(rows[1]!.score));
    expect(await seriousViolations(page)).toEqual([]);
  });
});

describe('the frame', () => {
  it('speaks Chinese at a click, and from the start to who reads Chinese', { timeout: LONG }, async () => {
    await open('models');
    await page.getByRole('button', { name: '切换到中文' }).click();
    await page.getByRole('link', { name: '注意力' }).first().waitFor();
    expect(await page.locator('html').getAttribute('lang')).toBe('zh-CN');
    await page.getByRole('button', { name: 'Switch to English' }).click();
    const chinese = await browser.newContext({ locale: 'zh-CN', colorScheme: 'dark' });
    const other = await chinese.newPage();
    await other.goto(studio.url);
    await other.getByRole('link', { name: '文本' }).waitFor();
    expect(await other.locator('html').getAttribute('data-theme')).toBe('dark');
    await chinese.close();
  });

  it('keeps contrast in the dark and fits a phone', { timeout: LONG }, async () => {
    await page.setViewportSize({ width: 390, height: 844 });
    try {
      for (const room of ['text', 'attention', 'compare', 'models']) {
        await open(room, { text: TEXT, methods: 'input-x-gradient' });
        if (room === 'text') await page.getByRole('button', { name: 'Switch to dark colours' }).click();
        await settled(page);
        const [content, screen] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
        expect(content).toBeLessThanOrEqual(screen!);
        expect(await seriousViolations(page)).toEqual([]);
      }
    } finally {
      await page.getByRole('button', { name: 'Switch to light colours' }).click();
      await page.setViewportSize({ width: 1440, height: 900 });
    }
  });
});
