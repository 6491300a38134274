/**
 * Runs the exports of reference/architectures through the product (open, inspect, differentiate, locate attention) and
 * writes how far they are from PyTorch: docs/architectures.json, and from it the tables of docs/architectures.md. Exports
 * that CACHE has not (make.py can make a few) stay as they were. What half.py wrote beside them is taken along.
 *
 *     npx tsx scripts/architectures.ts CACHE [--only bert,gpt2]     # with --only other architectures stay as they were
 *     npx tsx scripts/architectures.ts                              # the tables alone
 */
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { inspectModel } from '../src/inspection/index.ts';
import type { Attended, Compared, Half } from '../test/models/exports.ts';
import {
  answersFor,
  boundsFor,
  compareAttention,
  compareGradients,
  exportsIn,
  judged,
  roundsAlike,
  openExport,
  readReference,
} from '../test/models/exports.ts';
import { table, writeBlock } from './blocks.ts';

interface Result {
  readonly name: string;
  readonly problem?: string;
  readonly compared?: Compared;
  readonly attended?: Attended;
}

interface Architecture {
  readonly architecture: string;
  readonly group: string;
  readonly note: string;
  readonly blocks: number;
  readonly results: readonly Result[];
  /** Exports that could not be made, with the exporter's words. */
  readonly failures: Readonly<Record<string, string>>;
  /** Of PyTorch's own float16; missing where it was not measured. */
  readonly half?: Half;
}

const GROUPS = ['text', 'decoder', 'seq2seq', 'vision', 'convolutional'];
const docs = path.resolve(import.meta.dirname, '../docs');
const stored = path.join(docs, 'architectures.json');
const { values, positionals } = parseArgs({ allowPositionals: true, options: { only: { type: 'string' } } });

/** What the folder has run, beside what is known of its other exports. */
async function runArchitecture(folder: string, before: Architecture | undefined): Promise<Architecture> {
  const reference = readReference(folder);
  const { architecture, group, note, blocks } = reference;
  const results: Result[] = [];
  for (const name of exportsIn(folder)) {
    const result = await runExport(folder, name);
    results.push(result);
    console.log(
      `${architecture}/${name}: ${result.problem ?? `gradient ${short(result.compared!.gradient)}${result.attended ? `, attention ${result.attended.found}/${result.attended.expected} ${short(result.attended.error)} ${result.attended.differences.join('; ')}` : ''}`}`,
    );
  }
  const failures = JSON.parse(readFileSync(path.join(folder, 'failures.json'), 'utf8')) as Record<string, string>;
  const made = new Set(results.map(({ name }) => name));
  const others = before?.results.filter(({ name }) => !made.has(name)) ?? [];
  const all = [...results, ...others].sort((left, right) => (left.name < right.name ? -1 : 1));
  const failing = Object.entries({ ...before?.failures, ...failures }).filter(([name]) => !made.has(name));
  return {
    ...before,
    architecture,
    group,
    note,
    blocks: blocks.length,
    results: all,
    failures: Object.fromEntries(failing),
  };
}

/** PyTorch's own error in float16, as half.py wrote it; undefined where there is none. */
function readHalf(folder: string): Half | undefined {
  const file = path.join(folder, 'half.json');
  if (!existsSync(file)) return undefined;
  return (JSON.parse(readFileSync(file, 'utf8')) as Half | null) ?? undefined;
}

async function runExport(folder: string, name: string): Promise<Result> {
  const reference = readReference(folder);
  try {
    const host = await openExport(folder, name);
    try {
      const answers = answersFor(name, reference);
      inspectModel(host.original, host.model, 0);
      const compared = await compareGradients(host, reference, answers);
      if (reference.blocks.length === 0) return { name, compared };
      return { name, compared, attended: await compareAttention(host, reference, answers) };
    } finally {
      await host.release();
    }
  } catch (error) {
    return { name, problem: error instanceof Error ? error.message : String(error) };
  }
}

const short = (value: number) => (value === 0 ? '0' : value.toExponential(0));

/** Columns of the tables: each the worst of the exports it takes. */
const COLUMNS: readonly (readonly [string, RegExp, boolean?])[] = [
  ['eager, TorchScript', /^eager-ts$/],
  ['SDPA, TorchScript', /^sdpa-ts$/],
  ['eager, dynamo', /^eager-dynamo$/],
  ['SDPA, dynamo', /^sdpa-dynamo$/],
  ['SDPA, dynamo, opset 23', /^sdpa-dynamo23$/],
  ['after the transformer optimiser', /-opt$/],
  ['after onnxruntime’s optimisation', /-ort$/],
  ['float16', /-fp16$/],
  ['int8, rounding alike', /-int8$/, true],
  ['int8, others', /-int8$/, false],
];

const inColumn = ({ name, compared }: Result, [, pattern, alike]: (typeof COLUMNS)[number]): boolean =>
  pattern.test(name) && (alike === undefined || alike === (compared !== undefined && roundsAlike(compared)));

/** What of an export is not as it should be, in words; undefined when all is. */
function complaint({ name, problem, compared, attended }: Result, half?: Half): string | undefined {
  if (problem !== undefined) return problem;
  const bounds = boundsFor(name, compared!, half);
  const { gradient, cosine } = judged(name, compared!);
  if (compared!.file !== null && compared!.file > bounds.file)
    return `the file is another model: onnxruntime’s own answer to it is ${short(compared!.file)} from PyTorch’s (the product’s ${short(compared!.output)} from onnxruntime’s${compared!.twin ? `; its gradient ${short(compared!.twin.gradient)} from the float twin’s` : ''})`;
  const wrong = [
    ...(compared!.missing.length > 0 ? [`no rule for ${[...new Set(compared!.missing)].join(', ')}`] : []),
    ...(gradient <= bounds.gradient && cosine >= bounds.cosine
      ? []
      : [`gradient ${short(gradient)}, cosine ${cosine.toPrecision(3)}`]),
    ...(attended === undefined || attended.error <= bounds.attention ? [] : [`attention ${short(attended.error)}`]),
    ...(attended?.differences ?? []),
  ];
  return wrong.length === 0 ? undefined : wrong.join('; ');
}

const counted = (text: string, count: number) => (count > 1 ? `${text} (${count})` : text);

function gradientCell(results: readonly Result[], half: Half | undefined): string | undefined {
  const good = results.filter((result) => complaint(result, half) === undefined);
  if (good.length === 0) return results.length === 0 ? undefined : '†';
  const worst = Math.max(...good.map(({ name, compared }) => judged(name, compared!).gradient));
  return counted(short(worst), good.length) + (good.length < results.length ? ' †' : '');
}

function attentionCell(results: readonly Result[], half: Half | undefined): string | undefined {
  const good = results.filter((result) => complaint(result, half) === undefined);
  if (good.length === 0) return results.length === 0 ? undefined : '†';
  const [least] = good.map(({ attended }) => attended!).sort((left, right) => left.found - right.found);
  const worst = Math.max(...good.map(({ attended }) => attended!.error));
  const found = `${least!.found}/${least!.expected}, ${short(worst)}`;
  return counted(found, good.length) + (good.length < results.length ? ' †' : '');
}

function rows(
  all: readonly Architecture[],
  cell: (results: readonly Result[], half: Half | undefined) => string | undefined,
): string[][] {
  return all.map((each) => [
    each.architecture,
    ...COLUMNS.map(
      (column) =>
        cell(
          each.results.filter((result) => inColumn(result, column)),
          each.half,
        ) ?? whyNone(each, column),
    ),
  ]);
}

/** What float16 costs PyTorch itself, and where it comes from. */
function halfTable(all: readonly Architecture[]): string {
  const rowsOf = all.flatMap(({ architecture, results, half }) => {
    const own = results.filter(({ name, compared }) => name.endsWith('-fp16') && compared !== undefined);
    if (half === undefined || own.length === 0) return [];
    const ours = Math.max(...own.map(({ compared }) => compared!.gradient));
    const flipped = half.kinks === 0 ? 'none there' : `${half.flipped} of ${half.kinks.toLocaleString('en')}`;
    return [
      [
        architecture,
        short(ours),
        short(half.gradient),
        (ours / half.gradient).toFixed(2),
        flipped,
        short(half.unflipped),
      ],
    ];
  });
  const header = ['architecture', 'exports', 'PyTorch', 'ratio', 'decide otherwise', 'PyTorch, decisions alike'];
  return table(header, rowsOf);
}

/** Why a cell is without a number. */
function whyNone({ results, failures }: Architecture, [, pattern, alike]: (typeof COLUMNS)[number]): string {
  if (alike !== undefined && results.some(({ name }) => pattern.test(name))) return 'none';
  if (Object.keys(failures).some((name) => pattern.test(name))) return 'fails';
  const implemented = results.some(({ name }) => name.startsWith('sdpa'));
  return !implemented && pattern.source.startsWith('^sdpa') ? 'no SDPA' : '–';
}

function writeTables(all: readonly Architecture[]): void {
  const page = path.join(docs, 'architectures.md');
  const header = ['architecture', ...COLUMNS.map(([name]) => name)];
  writeBlock(page, 'gradients', table(header, rows(all, gradientCell)));
  const attending = all.filter(({ blocks }) => blocks > 0);
  writeBlock(page, 'attention', table(header, rows(attending, attentionCell)));
  writeBlock(page, 'half', halfTable(all));
  const results = all.flatMap(({ architecture, half, results: own }) =>
    own.map((result) => ({ architecture, half, result })),
  );
  const complaints = results.flatMap(({ architecture, half, result }) => {
    const words = complaint(result, half);
    const place = `- \`${architecture}/${result.name}\``;
    if (words !== undefined) return [`${place}: ${words}`];
    return result.compared?.file === null
      ? [`${place}: onnxruntime cannot run the file itself; what the product makes of it is within the bounds`]
      : [];
  });
  writeBlock(page, 'exceptions', complaints.length === 0 ? 'None.' : complaints.join('\n'));
  const failed = all.flatMap(({ architecture, failures, note }) => [
    ...Object.entries(failures).map(([name, words]) => `- \`${architecture}/${name}\`: ${words}`),
    ...(note === '' ? [] : [`- \`${architecture}\`: ${note}`]),
  ]);
  writeBlock(page, 'not-exported', failed.length === 0 ? 'None.' : failed.join('\n'));
  writeBlock(
    page,
    'summary',
    summary(
      all,
      results.map(({ result }) => result),
      results.flatMap(({ result, half }) => (complaint(result, half) === undefined ? [result] : [])),
    ),
  );
}

function summary(all: readonly Architecture[], results: readonly Result[], good: readonly Result[]): string {
  const of = (pattern: RegExp) => good.filter(({ name }) => pattern.test(name));
  const float32 = /^[a-z]+-(ts|dynamo|dynamo23)(-opt|-ort)?$/;
  const any = () => true;
  const alike = ({ compared }: Result) => roundsAlike(compared!);
  const others = (result: Result) => !alike(result);
  const twinned = (result: Result) => others(result) && result.compared!.twin !== undefined;
  const untwinned = (result: Result) => others(result) && !twinned(result);
  const left = of(/int8$/).filter(untwinned).length;
  const most = (numbers: readonly number[]) => (numbers.length === 0 ? 'none' : short(Math.max(...numbers)));
  const gradient = (pattern: RegExp, among: (result: Result) => boolean = any) => {
    const chosen = of(pattern).filter(among);
    return most(chosen.map(({ name, compared }) => judged(name, compared!).gradient));
  };
  const attention = (pattern: RegExp, among: (result: Result) => boolean = any) => {
    const chosen = of(pattern).filter(among);
    return most(chosen.flatMap(({ attended }) => (attended === undefined ? [] : [attended.error])));
  };
  const blocks = good.reduce((sum, each) => sum + (each.attended?.found ?? 0), 0);
  return [
    `${all.length} architectures, ${results.length} exports: ${good.length} within the bounds, ${results.length - good.length} listed as exceptions.`,
    `Largest error of a gradient: ${gradient(float32)} in float32 (${of(float32).length} exports), ${gradient(/fp16$/)} in float16 (${of(/fp16$/).length}); in int8 ${gradient(/int8$/, alike)} where the file rounds as the reference does (${of(/int8$/).filter(alike).length}), else ${gradient(/int8$/, twinned)} from its float twin (${of(/int8$/).filter(twinned).length})${left === 0 ? '' : `; ${left} were measured before there were twins, ${gradient(/int8$/, untwinned)} from PyTorch's roundings`}.`,
    `Attention blocks found: ${blocks}, none too many. Largest error of a probability: ${attention(float32)} in float32, ${attention(/fp16$/)} in float16; in int8 ${attention(/int8$/, alike)}, else ${attention(/int8$/, others)}.`,
  ].join('\n');
}

const cache = positionals[0];
const known = existsSync(stored) ? (JSON.parse(readFileSync(stored, 'utf8')) as Architecture[]) : [];
const all = new Map(known.map((each) => [each.architecture, each]));
if (cache !== undefined) {
  const only = values.only?.split(',');
  for (const name of only ?? readdirSync(cache)) {
    const folder = path.join(cache, name);
    const [before, half] = [all.get(name), readHalf(folder)];
    const made = existsSync(path.join(folder, 'failures.json')) ? await runArchitecture(folder, before) : before;
    if (made !== undefined) all.set(name, half === undefined ? made : { ...made, half });
    save();
  }
}
writeTables(save());

/** Written after each architecture: a run that is cut off has not been for nothing. */
function save(): Architecture[] {
  const sorted = [...all.values()].sort(
    (left, right) =>
      GROUPS.indexOf(left.group) - GROUPS.indexOf(right.group) || left.architecture.localeCompare(right.architecture),
  );
  writeFileSync(stored, `${JSON.stringify(sorted, rounded, 1)}\n`);
  return sorted;
}

/** Three digits are enough of an error. */
function rounded(_key: string, value: unknown): unknown {
  return typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(3)) : value;
}
