/** A real browser for the tests: Debian's chromium, installed when missing. */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chromium } from 'playwright-core';
import type { Browser, Page } from 'playwright-core';

const PLACES = [
  process.env['CHROMIUM'] ?? '',
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
];

export function chromiumPath(): string {
  const find = (): string | undefined => PLACES.find((place) => place !== '' && existsSync(place));
  const found = find();
  if (found !== undefined) return found;
  execFileSync('apt-get', ['update', '-qq'], { stdio: 'ignore' });
  execFileSync('apt-get', ['install', '-y', '-qq', 'chromium'], { stdio: 'ignore' });
  const installed = find();
  if (installed === undefined) throw new Error('the tests of the studio need chromium: set CHROMIUM to its path');
  return installed;
}

/** Flags for a WebGPU adapter in software. */
export const SOFTWARE_WEBGPU = [
  '--enable-unsafe-webgpu',
  '--use-webgpu-adapter=swiftshader',
  '--enable-features=Vulkan',
] as const;

export function launch(flags: readonly string[] = []): Promise<Browser> {
  return chromium.launch({
    executablePath: chromiumPath(),
    args: ['--no-sandbox', '--disable-dev-shm-usage', ...flags],
  });
}

/**
 * Waits until a room is on the page and nothing of it is being computed. A page that was just opened is empty, and an
 * empty page has nothing that is busy: the room's first card comes first.
 */
export async function settled(page: Page): Promise<void> {
  await page.locator('main .card').first().waitFor();
  await page.waitForFunction(() => !document.querySelector('[aria-busy="true"], .skeleton'));
}
