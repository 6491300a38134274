/** Writes the pictures of the studio in docs/images, at the widths of a desk and of a phone. */
import path from 'node:path';
import { startStudio } from '../src/server/index.ts';
import { launch } from '../test/studio/browser.ts';

const IMAGES = path.resolve(import.meta.dirname, '../docs/images');
/** Each room, and what is there when it has something to show. */
const ROOMS = {
  text: '.tokens',
  attention: '.head-view canvas',
  images: '.card',
  compare: '.card',
  models: 'main',
} as const;

const studio = await startStudio({ port: 0 });
const browser = await launch();
try {
  for (const width of [1440, 390]) {
    const page = await browser.newPage({ viewport: { width, height: width > 500 ? 1000 : 844 }, locale: 'en-US' });
    for (const [room, shown] of Object.entries(ROOMS)) {
      await page.goto('about:blank');
      await page.goto(`${studio.url}#/${room}`);
      await page.waitForSelector(shown, { timeout: 120_000 });
      await page.waitForFunction(() => !document.querySelector('[aria-busy="true"], .skeleton'), undefined, {
        timeout: 120_000,
      });
      await page.waitForTimeout(800);
      await page.screenshot({ path: path.join(IMAGES, `studio-${room}-${width}.png`) });
    }
    await page.close();
  }
} finally {
  await browser.close();
  await studio.close();
}
