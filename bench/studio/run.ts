/**
 * The studio in Chromium: how soon something is seen, how smoothly attention of 24 layers x 16 heads x 512 tokens is browsed,
 * and BertViz's HTML of the same attention beside it.
 *
 *     npm run bench:studio                      prints the tables and writes them into bench/README.md
 *     npm run bench:studio -- --quick           fewer rounds and a smaller model, prints only
 *
 * BertViz runs where ONNXRAY_BERTVIZ names a Python that has bench/studio/requirements.txt, and
 * ONNXRAY_BERTVIZ_JS a folder in which `npm install` put its three scripts; see bench/README.md.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { ExplainableModel, VERSIONS, analyseAttention, captureAttention } from 'onnxray';
import { exportSite, startStudio } from '../../src/server/index.ts';
import type { RunningStudio } from '../../src/server/index.ts';
import { renderAttention } from '../../src/views/index.ts';
import { table, writeBlock } from '../../scripts/blocks.ts';
import { launch } from '../../test/studio/browser.ts';
import { serveFolder } from '../../test/studio/file-server.ts';
import { GOAL_MS, framesWhile, pan, sweep, wheel } from './frames.ts';
import type { Frames } from './frames.ts';
import { writeBrowsed } from './model.ts';
import type { BrowsedSize } from './model.ts';

const { values: flags } = parseArgs({ options: { quick: { type: 'boolean', default: false } } });
const root = path.resolve(import.meta.dirname, '../..');
const zoo = path.join(root, 'zoo/text-spam');
const ROUNDS = flags.quick ? 2 : 7;
const STEPS = flags.quick ? 40 : 150;
const SIZE = flags.quick ? { layers: 6, heads: 16, tokens: 128 } : { layers: 24, heads: 16, tokens: 512 };
/** The largest attention whose BertViz page is opened; of larger ones only the size of the page is told. */
const MIDDLE = flags.quick ? { layers: 3, heads: 4, tokens: 64 } : { layers: 6, heads: 12, tokens: 128 };
const PICTURE_GOAL_S = 3;
const LONG = 180_000;
const MARKS = ['app', 'engine', 'room', 'picture', 'computed'] as const;
const seconds = (ms: number): string => (ms / 1000).toFixed(2);
const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(bytes < 1e7 ? 2 : 0);
const median = (numbers: readonly number[]): number => [...numbers].sort((a, b) => a - b)[numbers.length >> 1]!;

async function inContext<T>(browser: Browser, use: (page: Page, context: BrowserContext) => Promise<T>): Promise<T> {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, locale: 'en-US' });
  try {
    const page = await context.newPage();
    page.setDefaultTimeout(LONG);
    return await use(page, context);
  } finally {
    await context.close();
  }
}

type Marks = Readonly<Record<(typeof MARKS)[number], number>>;

/** Milliseconds from the start of the navigation to each mark of studio/src/frame/marks.ts. */
async function marksOf(page: Page, address: string): Promise<Marks> {
  await page.goto(address);
  await page.waitForFunction(() => performance.getEntriesByName('onnxray:computed').length > 0);
  const entries = await page.evaluate<[string, number][]>(
    'performance.getEntriesByType("mark").map(({ name, startTime }) => [name.replace("onnxray:", ""), startTime])',
  );
  return Object.fromEntries(entries) as unknown as Marks;
}

/** First pictures of fresh visits, nothing cached in the browser. */
async function firstPictures(browser: Browser, site: string): Promise<string> {
  const rows: { readonly name: string; readonly rounds: Marks[] }[] = [];
  const visit = async (rounds: number, open: () => Promise<{ address: string; close(): unknown }>) => {
    const found: Marks[] = [];
    for (let round = 0; round < rounds; round++) {
      const { address, close } = await open();
      found.push(await inContext(browser, (page) => marksOf(page, address)));
      await close();
    }
    return found;
  };
  const fresh = async () => {
    const studio = await startStudio({ port: 0 });
    return { address: studio.url, close: () => studio.close() };
  };
  rows.push({ name: 'server, just started', rounds: await visit(ROUNDS, fresh) });
  const running = await startStudio({ port: 0 });
  const known = () => Promise.resolve({ address: running.url, close: () => undefined });
  await visit(1, known);
  rows.push({ name: 'server, running', rounds: await visit(ROUNDS, known) });
  await running.close();
  const files = await serveFolder(site);
  const statics = () => Promise.resolve({ address: files.address, close: () => undefined });
  rows.push({ name: 'static files, WASM', rounds: await visit(ROUNDS, statics) });
  files.close();
  return table(
    [
      'seconds from navigation to',
      'page runs',
      'engine lists models',
      'room loaded',
      `first picture (goal ${PICTURE_GOAL_S})`,
      'worst',
      'computed in this session',
    ],
    rows.map(({ name, rounds }) => {
      const at = (mark: (typeof MARKS)[number]): string => seconds(median(rounds.map((each) => each[mark])));
      const worst = seconds(Math.max(...rounds.map(({ picture }) => picture)));
      return [name, at('app'), at('engine'), at('room'), at('picture'), worst, at('computed')];
    }),
  );
}

interface Heap {
  readonly used: number;
  readonly buffers: number;
}

/** Bytes of the page's objects and of its array buffers after a collection. */
async function heapOf(page: Page): Promise<Heap> {
  const session = await page.context().newCDPSession(page);
  await session.send('HeapProfiler.collectGarbage');
  const usage: { usedSize: number; backingStorageSize?: number } = await session.send('Runtime.getHeapUsage');
  await session.detach();
  return { used: usage.usedSize, buffers: usage.backingStorageSize ?? 0 };
}

/** The Attention room of the large attention, by gestures; then its memory when all layers were looked at. */
async function browse(browser: Browser, studio: RunningStudio): Promise<string> {
  return inContext(browser, async (page) => {
    await page.goto(`${studio.url}#/attention`);
    await page.locator('.head-view canvas').waitFor();
    await settled(page);
    const before = await heapOf(page);
    const gestures: [string, Frames][] = [];
    const measure = async (name: string, move: () => Promise<void>): Promise<void> => {
      gestures.push([name, await framesWhile(page, move)]);
      await page.mouse.move(4, 4);
    };
    await measure('hover over all heads', () => sweep(page, '.model-view .stack', STEPS));
    await measure('scroll all heads', () => wheel(page, '.model-view', STEPS));
    await measure('hover over the head view', () => sweep(page, '.head-view', STEPS));
    await measure('scroll the head view', () => wheel(page, '.head-view', STEPS));
    await measure('hover over the matrix', () => sweep(page, '.matrix-view canvas', STEPS));
    for (let step = 0; step < 4; step++) await page.getByRole('button', { name: 'Closer' }).click();
    await measure('pan the matrix', () => pan(page, '.matrix-view canvas', STEPS));
    if ((await page.locator('.neuron canvas').count()) > 0)
      await measure('hover over the neuron view', () => sweep(page, '.neuron', STEPS));
    await page.getByRole('group', { name: 'Heads of this layer' }).getByRole('button', { name: 'all' }).click();
    await measure(`hover, ${SIZE.heads} heads together`, () => sweep(page, '.head-view', STEPS));
    for (let layer = 0; layer < SIZE.layers; layer++) {
      await page.locator('.pair select').first().selectOption(String(layer));
      await page.locator('.head-view canvas').waitFor();
    }
    await settled(page);
    const after = await heapOf(page);
    const whole = SIZE.layers * SIZE.heads * SIZE.tokens ** 2;
    return [
      table(
        ['gesture', 'frames', 'median, ms', 'worst, ms', `frames over ${GOAL_MS} ms (goal 0)`, 'longest task, ms'],
        gestures.map(([name, { count, median: middle, worst, late, longTask }]) => [
          name,
          String(count),
          middle.toFixed(1),
          worst.toFixed(1),
          String(late),
          longTask === 0 ? 'under 50' : longTask.toFixed(0),
        ]),
      ),
      '',
      table(
        ['the page’s memory', 'objects, MB', 'array buffers, MB'],
        [
          ['attention opened', megabytes(before.used), megabytes(before.buffers)],
          [`all ${SIZE.layers} layers looked at`, megabytes(after.used), megabytes(after.buffers)],
          ['the attention itself as float32', '', megabytes(whole * 4)],
        ],
      ),
    ].join('\n');
  });
}

async function settled(page: Page): Promise<void> {
  await page.waitForFunction(() => !document.querySelector('[aria-busy="true"], .skeleton'));
}

/** Milliseconds until something of `selector` is in the page and a frame later; undefined when it does not come. */
async function drawnAfter(page: Page, address: string, selector: string): Promise<number | undefined> {
  await page.addInitScript(`{
    const look = () => {
      if (document.querySelector(${JSON.stringify(selector)}) === null) return requestAnimationFrame(look);
      requestAnimationFrame((now) => { globalThis.onnxrayDrawn = now; });
    };
    requestAnimationFrame(look);
  }`);
  try {
    await page.goto(address, { timeout: LONG });
    await page.waitForFunction(() => 'onnxrayDrawn' in globalThis, undefined, { timeout: LONG });
    return await page.evaluate<number>('globalThis.onnxrayDrawn');
  } catch {
    return undefined;
  }
}

interface Peer {
  readonly name: string;
  readonly bytes: number | undefined;
  readonly drawn: number | typeof NOT_OPENED | undefined;
}

const NOT_OPENED = 'not opened';

/** The same attention as a studio page, as our HTML and as BertViz's, whose page is opened where `opened`. */
async function beside(
  browser: Browser,
  folder: string,
  model: string,
  name: string,
  studio: RunningStudio,
  id: string,
  opened: boolean,
): Promise<string[][]> {
  const open = await ExplainableModel.open(model);
  const peers: Peer[] = [];
  const { text } = (JSON.parse(readFileSync(path.join(model, 'examples.json'), 'utf8')) as { text: string }[])[0]!;
  const encoded = await open.encode({ text });
  const tokens = encoded.kind === 'text' ? encoded.encoding.tokens : [];
  const files = await serveFolder(folder);
  try {
    peers.push({
      name: 'studio, Attention room',
      bytes: undefined,
      drawn: await inContext(browser, (page) =>
        drawnAfter(page, `${studio.url}#/attention?model=${encodeURIComponent(id)}`, '.head-view canvas'),
      ),
    });
    const html = path.join(folder, 'onnxray.html');
    try {
      const result = await analyseAttention(open.host, {
        inputs: encoded.tensors,
        text: { tokens, ids: [], special: tokens.map(() => false) },
      });
      writeFileSync(html, await renderAttention(result, { format: 'html' }));
      const drawn = await inContext(browser, (page) =>
        drawnAfter(page, `${files.address}onnxray.html`, 'svg image, svg rect'),
      );
      peers.push({ name: 'onnxray attention --out x.html', bytes: statSync(html).size, drawn });
    } catch (error) {
      console.log(`our HTML: ${(error as Error).message}`);
    }
    const [python, scripts] = [process.env['ONNXRAY_BERTVIZ'], process.env['ONNXRAY_BERTVIZ_JS']];
    if (python !== undefined && scripts !== undefined) {
      const captured = await captureAttention(open.host, encoded.tensors);
      const [first] = captured;
      const dims = [captured.length, ...first!.values['probabilities']!.dims.slice(1)];
      const numbers = Buffer.concat(
        captured.map(({ values }) => Buffer.from(Float32Array.from(values['probabilities']!.data).buffer)),
      );
      writeFileSync(path.join(folder, 'attention.bin'), numbers);
      writeFileSync(path.join(folder, 'attention.json'), JSON.stringify({ tokens, dims, file: 'attention.bin' }));
      const script = (...args: string[]): string =>
        execFileSync(python, [path.join(import.meta.dirname, 'write_bertviz.py'), ...args], { encoding: 'utf8' });
      const given = path.join(folder, 'attention.json');
      const sizes = opened ? undefined : (JSON.parse(script('size', given)) as Record<string, number>);
      for (const view of ['head', 'model'] as const) {
        const peer = `BertViz ${view}_view`;
        if (sizes !== undefined) {
          peers.push({ name: peer, bytes: sizes[view], drawn: NOT_OPENED });
          continue;
        }
        const out = path.join(folder, `bertviz-${view}.html`);
        script(view, given, out);
        const drawn = await inContext(browser, async (page, context) => {
          await serveScripts(context, scripts);
          return drawnAfter(page, `${files.address}bertviz-${view}.html`, 'svg text, svg line');
        });
        peers.push({ name: peer, bytes: statSync(out).size, drawn });
        rmSync(out);
      }
    }
  } finally {
    files.close();
    await open.release();
  }
  return peers.map(({ name: peer, bytes, drawn }) => [
    name,
    peer,
    bytes === undefined ? 'no file' : megabytes(bytes),
    typeof drawn === 'string' ? drawn : drawn === undefined ? `not within ${LONG / 1000}` : seconds(drawn),
  ]);
}

/** What BertViz's page loads from a CDN, from this machine. */
async function serveScripts(context: BrowserContext, folder: string): Promise<void> {
  const files: readonly [RegExp, string][] = [
    [/require/, 'requirejs/require.js'],
    [/\/d3\//, 'd3/dist/d3.min.js'],
    [/jquery/, 'jquery/dist/jquery.min.js'],
  ];
  await context.route(/^https:/, async (route) => {
    const file = files.find(([pattern]) => pattern.test(route.request().url()))?.[1];
    if (file === undefined) return route.abort();
    return route.fulfill({ path: path.join(folder, 'node_modules', file), contentType: 'text/javascript' });
  });
}

const folder = mkdtempSync(path.join(tmpdir(), 'onnxray-bench-studio-'));
const browser = await launch();
try {
  const site = path.join(folder, 'site');
  await exportSite(site);
  const pictures = await firstPictures(browser, site);
  console.log(pictures, '\n');
  const model = path.join(folder, 'browsed');
  writeBrowsed(model, zoo, SIZE);
  const middle = path.join(folder, 'middle');
  writeBrowsed(middle, zoo, MIDDLE);
  const studio = await startStudio({ port: 0, models: [model, middle] });
  let frames: string;
  let peers: string;
  try {
    frames = await browse(browser, studio);
    console.log(frames, '\n');
    const listed = (await (await fetch(new URL('api/studio', studio.url))).json()) as { models: { id: string }[] };
    const [browsed, between] = listed.models.map(({ id }) => id) as [string, string];
    const named = ({ layers, heads, tokens }: BrowsedSize): string =>
      `${layers} layers x ${heads} heads x ${tokens} tokens`;
    peers = table(
      ['attention', 'shown by', 'file, MB', 'drawn after, s'],
      [
        ...(await beside(browser, folder, zoo, 'zoo/text-spam, its first example', studio, 'text-spam', true)),
        ...(await beside(browser, folder, middle, named(MIDDLE), studio, between, true)),
        ...(await beside(browser, folder, model, named(SIZE), studio, browsed, false)),
      ],
    );
    console.log(peers);
  } finally {
    await studio.close();
  }
  if (!flags.quick) {
    const about = `Chromium ${browser.version()}, headless, drawn in software; onnxruntime-node ${VERSIONS['onnxruntime'] ?? ''}; medians of ${ROUNDS} visits with an empty cache, ${new Date().toISOString().slice(0, 10)}.`;
    writeBlock(path.join(root, 'bench/README.md'), 'studio', [about, pictures, frames, peers].join('\n\n'));
  }
} finally {
  await browser.close();
  rmSync(folder, { recursive: true, force: true });
}
