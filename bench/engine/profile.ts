/**
 * Where the time of a program goes, by onnxruntime's own profile: for each operator how many nodes, and the sum over nodes
 * of the shortest of several runs.
 *
 *     npx tsx bench/engine/profile.ts efficientnet-b0 --batch 8              forward + backward, by operator
 *     npx tsx bench/engine/profile.ts efficientnet-b0 --what forward         the file as it is
 *     npx tsx bench/engine/profile.ts encoder --nodes 30                     the 30 longest nodes too, with their shapes
 *     npx tsx bench/engine/profile.ts encoder decoder vit-s-16 --write       shares by part of a transformer, into bench/README.md
 *
 * The models are those of bench:engine, exported by it: `--folder F` where they are kept. `--save F` writes the optimised graph.
 */
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import * as ort from 'onnxruntime-node';
import { readModel } from 'onnxray';
import { table, writeBlock } from '../../scripts/blocks.ts';
import { KINDS, dimsOf, inputsOf } from './kinds.ts';
import { gradientModel, programBytes } from './program.ts';

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    batch: { type: 'string', default: '8' },
    what: { type: 'string', default: 'gradient' },
    nodes: { type: 'string', default: '0' },
    runs: { type: 'string', default: '4' },
    folder: { type: 'string', default: path.join(tmpdir(), 'onnxray-engine-models') },
    save: { type: 'string' },
    write: { type: 'boolean', default: false },
  },
});

interface Event {
  readonly cat: string;
  readonly name: string;
  readonly dur: number;
  readonly args?: {
    readonly op_name?: string;
    readonly input_type_shape?: readonly Readonly<Record<string, readonly number[]>>[];
    readonly output_type_shape?: readonly Readonly<Record<string, readonly number[]>>[];
  };
}

async function profile(name: string): Promise<readonly Event[]> {
  const kind = KINDS[name]!;
  const file = path.join(flags.folder, `${name}.onnx`);
  const own = readFileSync(file);
  const bytes =
    flags.what === 'forward' ? own : programBytes(gradientModel(readModel(own), 'logits', dimsOf(kind)), file);
  const folder = mkdtempSync(path.join(tmpdir(), 'onnxray-profile-'));
  const session = await ort.InferenceSession.create(bytes, {
    executionProviders: ['cpu'],
    intraOpNumThreads: 2,
    interOpNumThreads: 1,
    enableMemPattern: false,
    enableProfiling: true,
    profileFilePrefix: path.join(folder, 'run'),
    logSeverityLevel: 4,
    ...(flags.save === undefined ? {} : { optimizedModelFilePath: flags.save }),
    extra: { session: { model_external_initializers_file_folder_path: flags.folder } },
  });
  const feeds = Object.fromEntries(
    Object.entries(inputsOf(kind, Number(flags.batch))).map(([input, { type, data, dims }]) => [
      input,
      type === 'int64'
        ? new ort.Tensor(type, data as BigInt64Array, dims)
        : new ort.Tensor('float32', data as Float32Array, dims),
    ]),
  );
  for (let run = 0; run < Number(flags.runs); run++) await session.run(feeds);
  session.endProfiling();
  const events = JSON.parse(readFileSync(path.join(folder, readdirSync(folder)[0]!), 'utf8')) as Event[];
  rmSync(folder, { recursive: true });
  return events.filter(({ cat, name: event }) => cat === 'Node' && event.endsWith('_kernel_time'));
}

const shapes = (list: NonNullable<Event['args']>['input_type_shape'] = []) =>
  list.map((shape) => `[${Object.values(shape)[0]?.join(',') ?? ''}]`).join(' ');

interface Timed {
  readonly node: string;
  readonly operator: string;
  readonly ms: number;
  readonly shapes: string;
}

/** Each node with the shortest of its times. */
async function timedNodes(name: string): Promise<readonly Timed[]> {
  const nodes = new Map<string, Timed>();
  for (const { name: event, dur, args } of await profile(name)) {
    const node = event.replace('_kernel_time', '');
    const ms = Math.min(dur / 1000, nodes.get(node)?.ms ?? Infinity);
    const own = `${shapes(args?.input_type_shape)} -> ${shapes(args?.output_type_shape)}`;
    nodes.set(node, { node, operator: args?.op_name ?? '?', ms, shapes: own });
  }
  return [...nodes.values()];
}

const sumOf = (nodes: readonly Timed[]) => nodes.reduce((sum, { ms }) => sum + ms, 0);

// --- by part of a transformer ----------------------------------------------------------------------------------------

const PRODUCTS = new Set(['MatMul', 'FusedMatMul', 'Gemm', 'Conv', 'ConvTranspose']);

/** The share of each part of a transformer's program, in the order of the columns. */
async function parts(name: string): Promise<string[]> {
  const nodes = await timedNodes(name);
  const owner = (node: string) => /^onnxray\/gradient\/(.*)\//.exec(node)?.[1];
  const gelus = new Set(nodes.filter(({ operator }) => operator === 'Exp').map(({ node }) => owner(node)));
  const partOf = ({ node, operator }: Timed) => {
    const own = owner(node);
    if (PRODUCTS.has(operator)) return 'products';
    if (operator === 'Transpose') return 'transposes';
    if (own === undefined) return 'forward';
    return gelus.has(own)
      ? 'gelu'
      : own.endsWith('Softmax')
        ? 'softmax'
        : own.endsWith('Normalization')
          ? 'norm'
          : 'other';
  };
  const total = sumOf(nodes);
  const share = (part: string) =>
    `${((100 * sumOf(nodes.filter((node) => partOf(node) === part))) / total).toFixed(1)} %`;
  const shares = ['products', 'transposes', 'gelu', 'softmax', 'norm', 'other', 'forward'].map(share);
  return [KINDS[name]!.title, flags.batch, ...shares];
}

async function writeParts(names: readonly string[]): Promise<void> {
  const rows: string[][] = [];
  for (const name of names) rows.push(await parts(name));
  const header = ['model', 'batch', 'products', 'transposes', "GELU's slope", "softmax's gradient", "norms' gradient"];
  const report = table([...header, 'the rest of the backward pass', 'of the forward pass'], rows);
  console.log(report);
  writeBlock(path.resolve(import.meta.dirname, '../README.md'), 'engine-parts', report);
}

// --- by operator and by node -----------------------------------------------------------------------------------------

async function print(name: string): Promise<void> {
  const nodes = await timedNodes(name);
  const total = sumOf(nodes);
  const line = (ms: number, text: string) =>
    console.log(`${ms.toFixed(2).padStart(9)} ${((100 * ms) / total).toFixed(1).padStart(5)} %  ${text}`);
  line(total, `${nodes.length} nodes`);
  const operators = Array.from(new Set(nodes.map(({ operator }) => operator)), (operator) => {
    const own = nodes.filter((node) => node.operator === operator);
    return { operator, count: own.length, ms: sumOf(own) };
  });
  for (const { operator, count, ms } of operators.toSorted((left, right) => right.ms - left.ms))
    line(ms, `${operator} x ${count}`);
  const longest = nodes.toSorted((left, right) => right.ms - left.ms);
  for (const { node, operator, ms, shapes: own } of longest.slice(0, Number(flags.nodes)))
    line(ms, `${operator}  ${own}  ${node}`);
}

if (flags.write) await writeParts(positionals);
else await print(positionals[0] ?? 'encoder');
