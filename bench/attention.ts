/**
 * What capture costs: the time of a forward pass with every head reduced in the graph, against the unmodified model.
 *
 *     npx tsx bench/attention.ts [MODEL] [--length 128] [--runs 15] [--write]
 *
 * MODEL defaults to zoo/text-spam. With `--threads 1` it counts processor time. The two programs alternate, the median ratio of pairs is what counts, so a busy machine
 * slows both. `--write` puts the table into docs/attention.md.
 */
import path from 'node:path';
import { parseArgs } from 'node:util';
import { ExplainableModel, captureWithOutputs, locateAttention, numbersToData } from 'onnxray';
import type { Captured, DenseTensor, NamedTensors, Session } from 'onnxray';
import { table, writeBlock } from '../scripts/blocks.ts';

const root = path.resolve(import.meta.dirname, '..');
const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    length: { type: 'string', default: '32,128,256' },
    runs: { type: 'string', default: '15' },
    threads: { type: 'string', default: '2' },
    write: { type: 'boolean', default: false },
  },
});
const location = positionals[0] ?? path.join(root, 'zoo/text-spam');
const model = await ExplainableModel.open(location, { cache: false, threads: Number(flags.threads) });
const answers = model.host.original.graph.outputs.map(({ name }) => name);
const blocks = locateAttention(model.host.model);

const ASKED: Readonly<Record<string, readonly Captured[]>> = {
  entropy: ['entropy'],
  'entropy, distance, confidence, received, previous, next, same': [
    'entropy',
    'distance',
    'confidence',
    'received',
    { offset: -1 },
    { offset: 1 },
    { offset: 0 },
  ],
  'probabilities, whole': ['probabilities'],
};

/** Ids, masks and the like of a sequence: what they say does not change the time. */
function inputsOf(length: number): NamedTensors {
  return Object.fromEntries(
    model.inputs.map(({ name, type, dims }): [string, DenseTensor] => {
      const shape = (dims ?? []).map((dim, axis) => (typeof dim === 'number' ? dim : axis === 0 ? 1 : length));
      const size = shape.reduce((left, right) => left * right, 1);
      const value = (at: number) => (/mask/.test(name) ? 1 : /type|segment/.test(name) ? 0 : 1000 + ((at * 37) % 4000));
      return [
        name,
        {
          type,
          dims: shape,
          data: numbersToData(
            type,
            Array.from({ length: size }, (_, at) => value(at)),
          ),
        },
      ];
    }),
  );
}

const median = (numbers: readonly number[]) => [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)]!;
/** Milliseconds of the clock, or with one thread of the processor, which a busy machine does not stretch. */
const timed = async (run: () => Promise<unknown>) => {
  const [started, used] = [performance.now(), process.cpuUsage()];
  await run();
  const { user, system } = process.cpuUsage(used);
  return flags.threads === '1' ? (user + system) / 1000 : performance.now() - started;
};

const rows: string[][] = [];
const original: Session = await model.host.openOriginal();
for (const length of flags.length.split(',').map(Number)) {
  const tensors = inputsOf(length);
  const plain = () => original.run(tensors);
  for (const [name, values] of Object.entries(ASKED)) {
    // The same answer comes out of both, so that nothing is left out of either.
    const captured = () => captureWithOutputs(model.host, tensors, { values, outputs: answers });
    for (let warm = 0; warm < 3; warm++) {
      await plain();
      await captured();
    }
    const pairs: { forward: number; capture: number }[] = [];
    for (let run = 0; run < Number(flags.runs); run++)
      pairs.push({ forward: await timed(plain), capture: await timed(captured) });
    const forward = median(pairs.map((pair) => pair.forward));
    const capture = median(pairs.map((pair) => pair.capture));
    const ratio = median(pairs.map((pair) => pair.capture / pair.forward));
    const row = [
      String(length),
      name,
      `${forward.toFixed(1)} ms`,
      `${capture.toFixed(1)} ms`,
      `${(100 * (ratio - 1)).toFixed(1)}%`,
    ];
    rows.push(row);
    console.log(row.join('  '));
  }
}
await original.release();
await model.release();

const heads = blocks.reduce((sum, block) => sum + (block.heads ?? 1), 0);
const content = [
  `${path.basename(path.resolve(location))}: ${blocks.length} blocks, ${heads} heads; ${flags.threads} threads, median of ${flags.runs} pairs of runs.`,
  '',
  table(['tokens', 'captured of every head', 'forward pass', 'with capture', 'added'], rows),
].join('\n');
if (flags.write) writeBlock(path.join(root, 'docs/attention.md'), 'bench', content);
