/** How long frames take while somebody moves the pointer: measured in the page, moved from outside. */
import type { Page } from 'playwright-core';

/** A frame later than this is one that people feel. */
export const GOAL_MS = 50;

export interface Frames {
  readonly count: number;
  readonly median: number;
  readonly worst: number;
  /** Frames over the goal. */
  readonly late: number;
  /** Longest task of the page's thread, ms; 0 when none took 50 ms. */
  readonly longTask: number;
}

/** Times between frames, and long tasks, while `move` goes on. */
export async function framesWhile(page: Page, move: () => Promise<void>): Promise<Frames> {
  await page.evaluate(RECORD);
  await move();
  const { frames, tasks } = await page.evaluate<{ frames: number[]; tasks: number[] }>('globalThis.onnxrayFrames()');
  const sorted = [...frames].sort((a, b) => a - b);
  return {
    count: frames.length,
    median: sorted[Math.floor(sorted.length / 2)] ?? 0,
    worst: sorted.at(-1) ?? 0,
    late: frames.filter((each) => each > GOAL_MS).length,
    longTask: Math.max(0, ...tasks),
  };
}

/** As text: functions would be rewritten by what runs this script. */
const RECORD = `{
  const frames = [];
  const tasks = [];
  let last = performance.now();
  let on = true;
  const observer = new PerformanceObserver((list) => { for (const entry of list.getEntries()) tasks.push(entry.duration); });
  observer.observe({ type: 'longtask' });
  const tick = (now) => {
    frames.push(now - last);
    last = now;
    if (on) requestAnimationFrame(tick);
  };
  requestAnimationFrame((now) => { last = now; requestAnimationFrame(tick); });
  globalThis.onnxrayFrames = () => {
    on = false;
    observer.disconnect();
    return { frames, tasks };
  };
}`;

/** Moves the pointer over an element in zigzag, `steps` times, a little over a frame apart. */
export async function sweep(page: Page, selector: string, steps: number): Promise<void> {
  await page.locator(selector).first().scrollIntoViewIfNeeded();
  const box = (await page.locator(selector).first().boundingBox())!;
  const height = Math.min(box.height, (page.viewportSize()?.height ?? 900) - Math.max(0, box.y) - 8);
  for (let step = 0; step < steps; step++) {
    const down = step / steps;
    const across = 0.5 + 0.45 * Math.sin(step / 9);
    await page.mouse.move(box.x + box.width * across, box.y + height * (0.02 + 0.96 * down));
    await page.waitForTimeout(8);
  }
}

/** Drags within an element, to and fro. */
export async function pan(page: Page, selector: string, steps: number): Promise<void> {
  const box = (await page.locator(selector).first().boundingBox())!;
  const [x, y] = [box.x + box.width * 0.6, box.y + box.height * 0.5];
  await page.mouse.move(x, y);
  await page.mouse.down();
  for (let step = 0; step < steps; step++) {
    await page.mouse.move(x + 140 * Math.sin(step / 12), y + 140 * Math.sin(step / 17));
    await page.waitForTimeout(8);
  }
  await page.mouse.up();
}

/** Turns the wheel over an element, down and up again. */
export async function wheel(page: Page, selector: string, steps: number): Promise<void> {
  await page.locator(selector).first().scrollIntoViewIfNeeded();
  const box = (await page.locator(selector).first().boundingBox())!;
  await page.mouse.move(box.x + box.width / 2, box.y + Math.min(box.height, 500) / 2);
  for (let step = 0; step < steps; step++) {
    await page.mouse.wheel(0, step < steps * 0.6 ? 90 : -120);
    await page.waitForTimeout(8);
  }
}
