/** Grad-CAM over a camera: Chromium's own test picture in place of a person's face. */
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startStudio } from '../../src/server/index.ts';
import type { RunningStudio } from '../../src/server/index.ts';
import { launch } from './browser.ts';

const LONG = 180_000;
let studio: RunningStudio;
let browser: Browser;
beforeAll(async () => {
  studio = await startStudio({ port: 0, runtime: { threads: 1 } });
  browser = await launch(['--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream']);
}, LONG);
afterAll(async () => {
  await browser?.close();
  await studio?.close();
});

async function openImages(of: Browser): Promise<Page> {
  const page = await of.newPage({ locale: 'en-US' });
  page.setDefaultTimeout(LONG);
  await page.goto(`${studio.url}#/images?maps=grad-cam`);
  await page.locator('[data-method="grad-cam"] canvas').waitFor();
  return page;
}

describe('the live camera', () => {
  it(
    'shows Grad-CAM of one frame after another, never two at once, until it is stopped',
    { timeout: LONG },
    async () => {
      const page = await openImages(browser);
      let [asked, running, most] = [0, 0, 0];
      page.on('request', (request) => {
        if (!request.url().endsWith('/explain')) return;
        asked++;
        most = Math.max(most, ++running);
      });
      const ended = (request: { url(): string }): void => {
        if (request.url().endsWith('/explain')) running--;
      };
      page.on('requestfinished', ended);
      page.on('requestfailed', ended);
      await page.getByRole('button', { name: 'Live camera' }).click();
      const canvas = page.locator('.live canvas');
      await canvas.waitFor();
      const drawn = () => canvas.evaluate((element) => (element as HTMLCanvasElement).toDataURL());
      const first = await drawn();
      await page.waitForFunction(
        (before) => document.querySelector<HTMLCanvasElement>('.live canvas')!.toDataURL() !== before,
        first,
      );
      expect(await page.locator('.live .readout').innerText()).toMatch(/\d% · \d+ ms a frame/);
      // The test picture moves: its frames differ, and each was asked for by itself.
      expect(asked).toBeGreaterThan(1);
      expect(most).toBe(1);
      expect(page.url()).not.toContain('camera');
      await page.getByRole('button', { name: 'Keep this picture' }).click();
      await page.waitForFunction(() => location.hash.includes('picture=dropped'));
      await page.getByRole('button', { name: 'Stop the camera' }).click();
      await page.locator('.live').waitFor({ state: 'detached' });
      await page.locator('[data-method="grad-cam"][aria-busy="false"] canvas').waitFor();
      const after = asked;
      await page.waitForTimeout(500);
      expect(asked).toBe(after);
      await page.close();
    },
  );

  it('says in one line what to do when the camera is refused', { timeout: LONG }, async () => {
    const strict = await launch(['--use-fake-device-for-media-stream']);
    try {
      const page = await openImages(strict);
      await page.getByRole('button', { name: 'Live camera' }).click();
      await page
        .getByRole('alert')
        .getByText('The camera was refused: allow it for this page in the browser')
        .waitFor();
      expect(await page.locator('.live .skeleton').count()).toBe(0);
    } finally {
      await strict.close();
    }
  });
});
