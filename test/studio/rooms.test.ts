/** What every room owes: undo, an address, the keyboard, progress that can be stopped, both languages, both themes, a phone. */
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startStudio } from '../../src/server/index.ts';
import type { RunningStudio } from '../../src/server/index.ts';
import { seriousViolations } from './axe.ts';
import { launch, settled } from './browser.ts';

const LONG = 180_000;
const TEXT = 'Claim your free prize money now, dear friend';

interface Room {
  readonly id: string;
  readonly title: string;
  readonly chinese: string;
  /** What is cheap to look at. */
  readonly params: Readonly<Record<string, string>>;
  /** Something a person changes, and what it puts in the address. */
  readonly change: (page: Page) => Promise<unknown>;
  readonly changed: RegExp;
  /** What of it is asked of the server. */
  readonly asks: RegExp;
}

const ROOMS: readonly Room[] = [
  {
    id: 'text',
    title: 'Text',
    chinese: '文本',
    params: { methods: 'input-x-gradient' },
    change: (page) => page.getByRole('button', { name: 'Example 2' }).click(),
    changed: /text=/,
    asks: /\/explain$/,
  },
  {
    id: 'attention',
    title: 'Attention',
    chinese: '注意力',
    params: { text: TEXT },
    change: (page) => page.locator('.pair select').first().selectOption('2'),
    changed: /layer=2/,
    asks: /\/attention$/,
  },
  {
    id: 'images',
    title: 'Images',
    chinese: '图像',
    params: { maps: 'grad-cam' },
    change: (page) => page.getByRole('button', { name: 'coffee' }).click(),
    changed: /picture=pictures%2Fcoffee\.jpg/,
    asks: /\/explain$/,
  },
  {
    id: 'compare',
    title: 'Compare',
    chinese: '比较',
    params: { text: TEXT, text2: 'Meeting notes of the kernel group' },
    change: (page) => page.getByRole('button', { name: 'two models' }).click(),
    changed: /compare=models/,
    asks: /\/explain$/,
  },
  {
    id: 'models',
    title: 'Models',
    chinese: '模型',
    params: {},
    change: (page) => page.getByRole('button', { name: /^image-imagenet/ }).click(),
    changed: /model=image-imagenet/,
    asks: /\/inspection$/,
  },
];

let studio: RunningStudio;
let browser: Browser;
beforeAll(async () => {
  studio = await startStudio({ port: 0, runtime: { threads: 1 } });
  browser = await launch();
}, LONG);
afterAll(async () => {
  await browser?.close();
  await studio?.close();
});

async function newPage(options: BrowserContextOptions = {}): Promise<Page> {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, locale: 'en-US', ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(LONG);
  return page;
}

function addressOf({ id, params }: Room): string {
  const query = new URLSearchParams(params as Record<string, string>).toString();
  return `${studio.url}#/${id}${query === '' ? '' : `?${query}`}`;
}

/** What is shown once it no longer changes: answers come one after another, and the address a moment after the state. */
async function steady(page: Page): Promise<string> {
  let last = await shown(page);
  for (;;) {
    await page.waitForTimeout(600);
    await settled(page);
    const now = await shown(page);
    if (now === last) return now;
    last = now;
  }
}

/** What is shown of the main part, without what it takes to compute it. */
const shown = (page: Page): Promise<string> =>
  page.evaluate(() => document.querySelector('main')!.innerText.replaceAll(/\d+(\.\d+)? m?s\b/g, ''));

describe('the rooms', () => {
  it('are all in this table', { timeout: LONG }, async () => {
    const page = await newPage();
    await page.goto(studio.url);
    const links = page.getByRole('navigation', { name: 'Rooms' }).getByRole('link');
    await links.first().waitFor();
    expect(await links.allInnerTexts()).toEqual(ROOMS.map(({ title }) => title));
    await page.context().close();
  });
});

describe('the graph of a model', () => {
  it('is closed and opened by keyboard, undone, and part of the address', { timeout: LONG }, async () => {
    const page = await newPage();
    await page.goto(`${studio.url}#/models`);
    await settled(page);
    const boxes = () => page.locator('.graph g[role=button]').count();
    const before = await boxes();
    await page.getByRole('button', { name: 'Close all modules' }).press('Enter');
    await page.waitForFunction(() => location.hash.includes('open='));
    const closed = await boxes();
    // What follows faster is one step with it.
    await page.waitForTimeout(1300);
    expect(closed).toBeLessThan(before);
    await page.locator('.graph g.box-module').first().press('Enter');
    await page.waitForFunction((count) => document.querySelectorAll('.graph g[role=button]').length > count, closed);
    const opened = await boxes();
    const other = await newPage();
    await other.goto(page.url());
    await settled(other);
    expect(await other.locator('.graph g[role=button]').count()).toBe(opened);
    await page.getByRole('button', { name: 'Undo' }).click();
    await page.waitForFunction((count) => document.querySelectorAll('.graph g[role=button]').length === count, closed);
    await Promise.all([page.context().close(), other.context().close()]);
  });
});

describe('the map of heads', () => {
  it('is walked through by arrow keys', { timeout: LONG }, async () => {
    const page = await newPage();
    await page.goto(`${studio.url}#/attention?${new URLSearchParams({ text: TEXT, panel: 'map' }).toString()}`);
    await settled(page);
    const head = page.getByRole('button', { name: /^L0-0,/ });
    await head.waitFor();
    await page.getByRole('combobox', { name: /^Colour/ }).focus();
    for (let step = 0; step < 6; step++) {
      await page.keyboard.press('Tab');
      if (await head.evaluate((element) => element === document.activeElement)) break;
    }
    await page.keyboard.press('ArrowRight');
    await page.keyboard.press('Enter');
    await page.waitForFunction(() => location.hash.includes('head=1'));
    await page.context().close();
  });
});

describe.each(ROOMS)('the $title room', (room) => {
  it(
    'keeps its state in the address: undone, redone and opened again by keyboard and link',
    { timeout: LONG },
    async () => {
      const page = await newPage();
      await page.goto(addressOf(room));
      await settled(page);
      expect(await page.title()).toBe(`${room.title} · onnxray`);
      const [before, first] = [page.url(), await steady(page)];
      expect(before).not.toMatch(room.changed);
      await room.change(page);
      await page.waitForFunction((pattern) => new RegExp(pattern).test(location.hash), room.changed.source);
      await settled(page);
      const [after, second] = [page.url(), await steady(page)];
      expect(second).not.toBe(first);
      await page.locator('main').focus();
      await page.keyboard.press('Control+z');
      await page.waitForFunction((address) => location.href === address, before);
      await settled(page);
      await expect.poll(() => shown(page), { timeout: 60_000 }).toBe(first);
      await page.keyboard.press('Control+Shift+z');
      await page.waitForFunction((address) => location.href === address, after);
      const other = await newPage();
      await other.goto(after);
      await settled(other);
      await expect.poll(() => shown(other), { timeout: 60_000 }).toBe(second);
      await Promise.all([page.context().close(), other.context().close()]);
    },
  );

  it('is reached by keyboard, every part of it, and shows where the focus is', { timeout: LONG }, async () => {
    const page = await newPage();
    await page.goto(addressOf(room));
    await settled(page);
    const names = await page.evaluate(() => {
      const wanted = [
        ...document.querySelectorAll<HTMLElement | SVGElement>(
          'a[href], button:not(:disabled), input:not(:disabled), select, textarea, summary, [tabindex="0"]',
        ),
      ].filter((element) => element.checkVisibility({ visibilityProperty: true }));
      wanted.forEach((element, at) => element.setAttribute('data-wanted', String(at)));
      return wanted.map((element) => element.outerHTML.slice(0, 120));
    });
    await page.evaluate(() => (document.activeElement as HTMLElement | null)?.blur());
    const reached = new Set<string>();
    const unmarked: string[] = [];
    for (let step = 0; step < names.length + 20; step++) {
      await page.keyboard.press('Tab');
      const { at, marked } = await page.evaluate(() => {
        const focused = document.activeElement!;
        // A label stands for the file field it hides, a box for its group in a drawing.
        const seen = [focused, focused.closest('label'), ...focused.querySelectorAll('rect, circle')];
        const style = (element: Element) => getComputedStyle(element);
        const ring = seen.some((each) => each !== null && style(each).outlineStyle !== 'none');
        const drawn = seen.some((each) => each instanceof SVGElement && parseFloat(style(each).strokeWidth) >= 2);
        return { at: focused.getAttribute('data-wanted'), marked: ring || drawn };
      });
      if (at === null) continue;
      reached.add(at);
      if (!marked) unmarked.push(names[Number(at)]!);
    }
    expect(names.filter((_, at) => !reached.has(String(at)))).toEqual([]);
    expect(unmarked).toEqual([]);
    await page.context().close();
  });

  it('shows what takes more than half a second, and stops it when asked', { timeout: LONG }, async () => {
    const page = await newPage();
    await page.route(room.asks, async (route) => {
      await new Promise((next) => setTimeout(next, 20_000));
      await route.continue().catch(() => undefined);
    });
    await page.goto(addressOf(room));
    const job = page.locator('.job').first();
    await job.waitFor();
    expect(await job.getByRole('progressbar').count()).toBe(1);
    while ((await page.locator('.job').count()) > 0) {
      await page.locator('.job').getByRole('button', { name: 'Cancel' }).first().click();
      await page.waitForTimeout(50);
    }
    await page.getByText('Cancelled.').first().waitFor();
    await page.context().close();
  });

  it.each([
    ['in English, light', { locale: 'en-US', colorScheme: 'light' }],
    ['in Chinese, dark', { locale: 'zh-CN', colorScheme: 'dark' }],
  ] as const)('has no serious violation and fits desk and phone, %s', { timeout: LONG }, async (_, look) => {
    const page = await newPage(look);
    await page.goto(addressOf(room));
    await settled(page);
    expect(await page.title()).toBe(`${look.locale === 'zh-CN' ? room.chinese : room.title} · onnxray`);
    expect(await page.locator('html').getAttribute('data-theme')).toBe(look.colorScheme);
    for (const width of [1440, 390]) {
      await page.setViewportSize({ width, height: 844 });
      await page.waitForTimeout(200);
      expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(width);
      expect(await seriousViolations(page)).toEqual([]);
    }
    await page.context().close();
  });
});
