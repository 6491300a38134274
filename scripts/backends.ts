/**
 * Runs every case of every gradient rule, and one gradient of every committed model, on the back ends, and writes the tables of
 * docs/backends.md. With names of back ends, `rules` or `models` (`npm run backends -- models "WebGPU in Node" zoo/`)
 * only those are run, of the models those with such an address, and the other rows stay as they are.
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { VERSIONS } from '../src/runtime/index.ts';
import { lowerForWebGpu } from '../src/onnx/index.ts';
import type { Outcome, Program } from '../test/backends/cases.ts';
import { ALL, BOUND, EXCEPTIONS, prepareCase, worstError } from '../test/backends/cases.ts';
import { openBrowser } from '../test/backends/chromium.ts';
import { runInPage, runNatively } from '../test/backends/run.ts';
import { measureModels } from './backends-models.ts';
import type { ModelsBackEnd } from './backends-models.ts';
import { table, writeBlock } from './blocks.ts';

const given = process.argv.slice(2);
const PARTS: ReadonlySet<string> = new Set(['rules', 'models']);
const parts = given.filter((each) => PARTS.has(each));
const places = given.filter((each) => each.includes('/'));
const chosen = given.filter((each) => !PARTS.has(each) && !places.includes(each));
const has = (part: string) => parts.length === 0 || parts.includes(part);

const prepared: Awaited<ReturnType<typeof prepareCase>>[] = [];
if (has('rules')) for (const c of ALL) prepared.push(await prepareCase(c, 2));
const plain = prepared.map((each) => each.plain);
const webgpu = prepared.map((each) => each.webgpu);
console.log(`${prepared.length} programs of rules`);

const browser = await openBrowser();
const backends: readonly (ModelsBackEnd & {
  readonly provider: 'wasm' | 'webgpu';
  readonly programs: readonly Program[];
})[] = [
  {
    name: 'WASM in Chromium',
    provider: 'wasm',
    programs: plain,
    run: (programs) => runInPage(browser.plain, 'wasm', programs),
    lower: (model) => model,
  },
  {
    name: 'WebGPU in Chromium',
    provider: 'webgpu',
    programs: webgpu,
    run: (programs) => runInPage(browser.isolated, 'webgpu', programs),
    lower: lowerForWebGpu,
  },
  { name: 'WebGPU in Node', provider: 'webgpu', programs: webgpu, run: runNatively, lower: lowerForWebGpu },
];

/** A row of the table, and why programs do not agree. */
interface Result {
  readonly row: readonly string[];
  readonly notes: readonly string[];
}

async function measure({ name, provider, run, programs }: (typeof backends)[number]): Promise<Result> {
  const started = performance.now();
  const outcomes = await run(programs);
  const errors = outcomes.map((outcome, at) =>
    typeof outcome === 'string' ? Infinity : worstError(prepared[at]!.expected, outcome),
  );
  const agreed = errors.filter((error) => error <= BOUND);
  const worst = Math.max(...agreed);
  const where = prepared[errors.indexOf(worst)]!.plain.name;
  const apart = errors.flatMap((error, at) => (error <= BOUND ? [] : [at]));
  const row = [
    name,
    `${agreed.length} of ${errors.length}`,
    `${worst.toExponential(1)} (${where})`,
    String(apart.length),
  ];
  const notes = apart.map((at) => note(name, provider, prepared[at]!.plain, outcomes[at]!, errors[at]!));
  console.log(...row, `${((performance.now() - started) / 1000).toFixed(0)} s`, ...notes);
  return { row, notes };
}

const asked = backends.filter(({ name }) => chosen.length === 0 || chosen.includes(name));
// Most of the time goes into compiling shaders, in processes of their own.
if (has('rules')) for (const done of asked.map(measure)) write(await done);
if (has('models')) await Promise.all(asked.map((each) => measureModels(each, places)));
await browser.close();

/** Why a case does not agree: a known exception, or something to look into. */
function note(backend: string, provider: string, { name }: Program, outcome: Outcome, error: number): string {
  const known = EXCEPTIONS.find((each) => each.provider === provider && each.name.test(name));
  if (known !== undefined) return `- ${name}, ${backend}: ${known.reason}.`;
  process.exitCode = 1;
  return `- ${name}, ${backend}: NOT EXPLAINED (${typeof outcome === 'string' ? outcome : `error ${error.toExponential(1)}`}).`;
}

/** Puts a back end's row and notes in the place of those it had. */
function write({ row, notes }: Result): void {
  const file = path.resolve(import.meta.dirname, '../docs/backends.md');
  const lines = /<!-- begin:agreement -->([\s\S]*)<!-- end:agreement -->/
    .exec(readFileSync(file, 'utf8'))![1]!
    .split('\n');
  const own = new Map(
    lines
      .filter((line) => line.startsWith('| '))
      .map((line) => line.slice(2, -2).split(' | '))
      .map((cells) => [cells[0]!, cells]),
  );
  own.set(row[0]!, [...row]);
  const others = lines.filter((line) => line.startsWith('- ') && !line.includes(`, ${row[0]!}:`));
  const header = ['back end', 'programs that agree', 'largest error', 'exceptions'];
  writeBlock(
    file,
    'agreement',
    [
      table(
        header,
        backends.flatMap(({ name }) => (own.has(name) ? [own.get(name)!] : [])),
      ),
      ...others,
      ...notes,
      `onnxruntime ${VERSIONS['onnxruntime']}, ${new Date().toISOString().slice(0, 10)}; WebGPU on SwiftShader, a graphics card in software.`,
    ].join('\n\n'),
  );
}
