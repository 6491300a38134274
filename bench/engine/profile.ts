/**
 * Where the time of a program goes, by onnxruntime's own profile: for each operator how many nodes, and the sum over nodes
 * of the shortest of several runs.
 *
 *     npx tsx bench/engine/profile.ts efficientnet-b0 --batch 8              forward + backward, by operator
 *     npx tsx bench/engine/profile.ts efficientnet-b0 --what forward         the file as it is
 *     npx tsx bench/engine/profile.ts encoder --nodes 30                     the 30 longest nodes too, with their shapes
 *
 * The models are those of bench:engine, exported by it: `--folder F` where they are kept. `--save F` writes the optimised graph.
 */
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import * as ort from 'onnxruntime-node';
import { readModel } from 'onnxray';
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
  },
});
const name = positionals[0] ?? 'encoder';
const kind = KINDS[name]!;

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

async function profile(): Promise<readonly Event[]> {
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

const nodes = new Map<string, { operator: string; ms: number; shapes: string }>();
for (const { name: node, dur, args } of await profile()) {
  const ms = dur / 1000;
  const known = nodes.get(node);
  nodes.set(node, {
    operator: args?.op_name ?? '?',
    ms: Math.min(ms, known?.ms ?? Infinity),
    shapes: `${shapes(args?.input_type_shape)} -> ${shapes(args?.output_type_shape)}`,
  });
}
const total = [...nodes.values()].reduce((sum, { ms }) => sum + ms, 0);
const operators = new Map<string, { count: number; ms: number }>();
for (const { operator, ms } of nodes.values()) {
  const known = operators.get(operator) ?? { count: 0, ms: 0 };
  operators.set(operator, { count: known.count + 1, ms: known.ms + ms });
}
const line = (ms: number, text: string) =>
  console.log(`${ms.toFixed(2).padStart(9)} ${((100 * ms) / total).toFixed(1).padStart(5)} %  ${text}`);
line(total, `${nodes.size} nodes`);
for (const [operator, { count, ms }] of [...operators].toSorted(([, left], [, right]) => right.ms - left.ms))
  line(ms, `${operator} x ${count}`);
const longest = Array.from(nodes, ([node, each]) => ({ node, ...each })).toSorted((left, right) => right.ms - left.ms);
for (const { node, operator, ms, shapes: own } of longest.slice(0, Number(flags.nodes)))
  line(ms, `${operator}  ${own}  ${node.replace('_kernel_time', '')}`);
