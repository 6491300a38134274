/** One gradient of every committed model on the back ends, for the table of docs/backends.md. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { Agreement, CommittedGradient, Runner } from '../test/backends/committed.ts';
import { COMMITTED, WITHOUT_KERNELS, agrees, committedGradient, compareCommitted } from '../test/backends/committed.ts';
import type { Model } from '../src/onnx/index.ts';
import { BOUND } from '../test/backends/cases.ts';
import { table, writeBlock } from './blocks.ts';

const FILE = path.resolve(import.meta.dirname, '../docs/backends.md');
const NAMES = ['WASM in Chromium', 'WebGPU in Chromium', 'WebGPU in Node'] as const;
/** Models that go to a back end together; the table is written after each. */
const TOGETHER = 12;

export interface ModelsBackEnd {
  readonly name: string;
  readonly run: Runner;
  readonly lower: (model: Model) => Model;
}

/** Measures the models whose addresses contain one of `places`; all unless there are some. */
export async function measureModels({ name, run, lower }: ModelsBackEnd, places: readonly string[]): Promise<void> {
  const files = COMMITTED.filter(
    (file) => !WITHOUT_KERNELS.includes(file) && (places.length === 0 || places.some((place) => file.includes(place))),
  );
  const all: Agreement[] = [];
  for (let at = 0; at < files.length; at += TOGETHER) {
    const gradients: CommittedGradient[] = [];
    for (const file of files.slice(at, at + TOGETHER)) gradients.push(await committedGradient(file));
    const agreements = await compareCommitted(gradients, run, lower);
    for (const agreement of agreements) {
      console.log(name, agreement.file, cell(agreement), agreement.refused?.slice(0, 160) ?? '');
      if (!agrees(agreement) && agreement.known === undefined) process.exitCode = 1;
    }
    all.push(...agreements);
    write(name, all);
  }
}

/** Beside errors of models with numbers of 11 bits in between. */
const IN_HALVES = ' (float16)';

function cell(agreement: Agreement): string {
  const { error, bound, decided, known } = agreement;
  if (known !== undefined) return known;
  if (!agrees(agreement)) return `NOT EXPLAINED: ${error.toExponential(1)}`;
  if (decided === undefined) return `${error.toExponential(1)}${bound > BOUND ? IN_HALVES : ''}`;
  const { flipped, all } = decided;
  return `${error.toExponential(1)}; ${flipped} of ${all} decided otherwise, without that ${decided.error.toExponential(1)}`;
}

/** Puts a back end's column in the place of the one it had. */
function write(name: string, agreements: readonly Agreement[]): void {
  const cells = new Map(readRows().map((row) => [row[0]!, row.slice(1)]));
  const column = NAMES.findIndex((each) => each === name);
  for (const agreement of agreements) {
    const row = cells.get(agreement.file) ?? NAMES.map(() => '');
    cells.set(
      agreement.file,
      row.map((old, at) => (at === column ? cell(agreement) : old)),
    );
  }
  const rows = COMMITTED.flatMap((file) => (cells.has(file) ? [[file, ...cells.get(file)!]] : []));
  const summary = NAMES.map((each, at) => [each, ...countCells(rows.map((row) => row[at + 1]!))]);
  const header = [
    'back end',
    'models that agree',
    'only with the CPU’s decisions',
    'types it has not',
    'largest error',
    'in float16',
  ];
  const details = ['<details><summary>Model by model</summary>', table(['model', ...NAMES], rows), '</details>'];
  writeBlock(FILE, 'models', [table(header, summary), ...details].join('\n\n'));
}

function readRows(): string[][] {
  const block = /<!-- begin:models -->([\s\S]*)<!-- end:models -->/.exec(readFileSync(FILE, 'utf8'))![1]!;
  return block
    .split('\n')
    .filter((line) => /^\| \S+\.onnx /.test(line))
    .map((line) => line.slice(2, -2).split(' | '));
}

/** How many agree, how many of them only when decisions are given, how many have unknown types; the largest errors. */
function countCells(cells: readonly string[]): string[] {
  const measured = cells.filter((each) => each.trim() !== '');
  const halves = measured.filter((each) => each.endsWith(IN_HALVES)).map((each) => each.slice(0, -IN_HALVES.length));
  const decided = measured.filter((each) => each.includes('decided otherwise'));
  const plain = measured.filter((each) => /^\d[\d.]*e[+-]\d+$/.test(each));
  const singles = [...plain, ...decided.map((each) => each.slice(each.lastIndexOf(' ') + 1))];
  const agreeing = `${singles.length + halves.length} of ${measured.length}`;
  const unknown = measured.filter((each) => each.startsWith('has '));
  const worst = (errors: readonly string[]) =>
    errors.length === 0 ? '' : Math.max(...errors.map(Number)).toExponential(1);
  return [agreeing, String(decided.length), String(unknown.length), worst(singles), worst(halves)];
}
