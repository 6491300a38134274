/** Programs on the back ends: in a page of Chromium, and in a process of Node that has a software adapter. */
import { fork } from 'node:child_process';
import path from 'node:path';
import type { Page } from 'playwright-core';
import type { Outcome, Program } from './cases.ts';
import { softwareVulkan } from './chromium.ts';
import type { WireOutcome } from './wire.ts';
import { packProgram, unpackOutcome } from './wire.ts';

/** How many programs a call takes: a page that ends takes no more than these with it. */
const CHUNK = 40;

/** What test/backends/page.ts exports; only types are imported from it. */
type PageFunctions = typeof import('./page.ts');

/** Calls a function of test/backends/page.ts in a page. As text, since what builds the tests rewrites dynamic imports. */
export function callPage<Name extends keyof PageFunctions>(
  page: Page,
  name: Name,
  ...given: Parameters<PageFunctions[Name]>
): Promise<Awaited<ReturnType<PageFunctions[Name]>>> {
  return page.evaluate(`import('/app/page.js').then((page) => page.${name}(...${JSON.stringify(given)}))`);
}

export async function runInPage(
  page: Page,
  provider: 'wasm' | 'webgpu',
  programs: readonly Program[],
): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  for (let at = 0; at < programs.length; at += CHUNK) {
    const part = programs.slice(at, at + CHUNK).map(packProgram);
    const results = await callPage(page, 'runPrograms', part, provider);
    outcomes.push(...results.map(unpackOutcome));
  }
  return outcomes;
}

/** On onnxruntime-node's WebGPU provider, in a process that finds Chromium's software adapter. */
export function runNatively(programs: readonly Program[]): Promise<Outcome[]> {
  const script = path.join(import.meta.dirname, 'native-child.ts');
  const child = fork(script, { execArgv: ['--import', 'tsx'], env: { ...process.env, ...softwareVulkan() } });
  const outcomes: Outcome[] = [];
  return new Promise((resolve, reject) => {
    child.on('message', (outcome: WireOutcome) => {
      outcomes.push(unpackOutcome(outcome));
      if (outcomes.length === programs.length) child.disconnect();
    });
    child.on('error', reject);
    child.on('exit', (code, signal) => {
      // What it could not tell any more.
      while (outcomes.length < programs.length) outcomes.push(`the process ended (${signal ?? code})`);
      resolve(outcomes);
    });
    for (const program of programs) child.send(packProgram(program));
  });
}
