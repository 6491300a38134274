/**
 * What an explanation costs, in forward passes of the same model in the same run: time of forward + backward, of
 * integrated gradients with 50 steps, and peak memory.
 *
 *     npm run bench            prints the tables and writes them into bench/README.md
 *
 * Timings alternate between the programs and medians are compared, so that the machine's drift hits all alike.
 * Peak memory is the high-water mark of a child process that does one thing.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  BLOCKED_RULES,
  GraphBuilder,
  ModelHost,
  VERSIONS,
  appendGradients,
  attribute,
  findFeatures,
  foldPadding,
  normalizeModel,
  openSession,
  prepareFor,
  pruneModel,
  writeModel,
} from 'onnxray';
import type { DenseTensor, Model, NamedTensors, Session } from 'onnxray';
import { table, writeBlock } from '../scripts/blocks.ts';

const root = path.resolve(import.meta.dirname, '..');
const THREADS = 2;
const RUNS = 25;
const TOKENS = 128;
const STEPS = 50;

interface Case {
  readonly name: string;
  readonly file: string;
  readonly output: string;
  readonly dims: Readonly<Record<string, readonly (number | string)[]>>;
  inputs(batch: number): NamedTensors;
}

const integers = (batch: number, value: (index: number) => number): DenseTensor => ({
  type: 'int64',
  dims: [batch, TOKENS],
  data: BigInt64Array.from({ length: batch * TOKENS }, (_, index) => BigInt(value(index))),
});

const CASES: Readonly<Record<string, Case>> = {
  encoder: {
    name: `encoder (zoo/text-spam, ${TOKENS} tokens)`,
    file: path.join(root, 'zoo/text-spam/onnx/model.onnx'),
    output: 'logits',
    dims: {},
    inputs: (batch) => ({
      input_ids: integers(batch, (index) => 1000 + ((index * 37) % 4000)),
      attention_mask: integers(batch, () => 1),
      token_type_ids: integers(batch, () => 0),
    }),
  },
  image: {
    name: 'image model (zoo/image-imagenet, 224 x 224)',
    file: path.join(root, 'zoo/image-imagenet/onnx/model.onnx'),
    output: 'logits',
    dims: { pixel_values: ['batch', 3, 224, 224] },
    inputs: (batch) => ({
      pixel_values: {
        type: 'float32',
        dims: [batch, 3, 224, 224],
        data: Float32Array.from({ length: batch * 3 * 224 * 224 }, (_, index) => Math.sin(index / 300)),
      },
    }),
  },
};

/** Forward and backward with respect to what is explained, and nothing else. */
function gradientProgram({ file, output, dims }: Case, model: Model): Uint8Array {
  const whole = foldPadding(normalizeModel(model, { dims }));
  const feature = findFeatures(whole)[0]!;
  const canonical = prepareFor({ set: 'blocked' }, whole, [feature.value, output]);
  const b = new GraphBuilder(canonical);
  b.setOutputs([]);
  const gradient = appendGradients(b, {
    of: output,
    wrt: [feature.value],
    seed: b.onesLike(output),
    rules: BLOCKED_RULES,
  }).get(feature.value)!;
  b.addOutput(gradient, 'gradient');
  return writeModel(pruneModel(b.build()), { weightsIn: path.basename(file) });
}

const host = (each: Case) => ModelHost.open(each.file, { threads: THREADS, cache: false });
const openForward = (each: Case) => openSession(readFileSync(each.file), { threads: THREADS });
const openGradient = async (each: Case) =>
  openSession(gradientProgram(each, (await host(each)).original), {
    threads: THREADS,
    weightsFolder: path.dirname(each.file),
  });

function median(values: readonly number[]): number {
  return [...values].sort((left, right) => left - right)[Math.floor(values.length / 2)]!;
}

/** Each round runs both sides one after the other, so that the machine's drift cancels in their ratio. */
function medianRatio(left: readonly number[], right: readonly number[]): string {
  return median(left.map((value, round) => value / right[round]!)).toFixed(2);
}

async function time(run: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await run();
  return performance.now() - started;
}

async function compareGradient(each: Case, batch: number): Promise<string[]> {
  const [forward, gradient] = [await openForward(each), await openGradient(each)];
  const inputs = each.inputs(batch);
  const times: { forward: number[]; both: number[] } = { forward: [], both: [] };
  for (let round = -2; round < RUNS; round++) {
    const [f, g] = [await time(() => forward.run(inputs)), await time(() => gradient.run(inputs))];
    if (round < 0) continue;
    times.forward.push(f);
    times.both.push(g);
  }
  await release(forward, gradient);
  const [f, g] = [median(times.forward), median(times.both)];
  return [
    each.name,
    String(batch),
    f.toFixed(1),
    g.toFixed(1),
    medianRatio(times.both, times.forward),
    each === CASES['encoder'] ? '2.5' : '3.0',
  ];
}

async function compareIntegratedGradients(each: Case): Promise<string[]> {
  const model = await host(each);
  const gradient = await openGradient(each);
  const inputs = each.inputs(1);
  let batch = 0;
  const explain = () =>
    attribute(model, {
      inputs,
      method: 'integrated-gradients',
      options: { steps: STEPS },
      target: { label: '1', indices: [1] },
      onProgress: (done) => (batch ||= done),
    });
  // The first explanation compiles and checks the program, and tells the batches it runs in.
  await explain();
  const batches: number[] = [];
  for (let left = STEPS; left > 0; left -= batch) batches.push(Math.min(batch, left));
  const feeds = new Map([...new Set(batches)].map((rows) => [rows, each.inputs(rows)]));
  const bare = async () => {
    for (const rows of batches) await gradient.run(feeds.get(rows)!);
  };
  const times: { explain: number[]; bare: number[] } = { explain: [], bare: [] };
  for (let round = -1; round < 9; round++) {
    const [e, b] = [await time(explain), await time(bare)];
    if (round < 0) continue;
    times.explain.push(e);
    times.bare.push(b);
  }
  await gradient.release();
  await model.release();
  const [e, b] = [median(times.explain), median(times.bare)];
  return [each.name, String(batch), b.toFixed(0), e.toFixed(0), medianRatio(times.explain, times.bare), '1.15'];
}

/** What a child process does to have its memory measured. */
async function measureMemory(what: string, key: string, batch: number): Promise<void> {
  const each = CASES[key]!;
  if (what === 'forward' || what === 'gradient') {
    const session = what === 'forward' ? await openForward(each) : await openGradient(each);
    for (let run = 0; run < 3; run++) await session.run(each.inputs(batch));
  } else {
    await attribute(await host(each), {
      inputs: each.inputs(1),
      method: 'integrated-gradients',
      options: { steps: STEPS },
      target: { label: '1', indices: [1] },
    });
  }
  // Not resourceUsage().maxRSS: Linux carries the parent's high-water mark into a child's.
  console.log(/VmHWM:\s+(\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'))![1]);
}

function memory(what: string, key: string, batch: number): number {
  const tsx = fileURLToPath(import.meta.resolve('tsx'));
  const child = spawnSync(
    process.execPath,
    ['--import', tsx, import.meta.filename, 'memory', what, key, String(batch)],
    { encoding: 'utf8' },
  );
  if (child.status !== 0) throw new Error(child.stderr);
  return Number(child.stdout) / 1024;
}

function compareMemory(key: string, batch: number): string[] {
  const [f, g] = [memory('forward', key, batch), memory('gradient', key, batch)];
  return [CASES[key]!.name, String(batch), f.toFixed(0), g.toFixed(0), (g / f).toFixed(2), '2.5'];
}

async function release(...sessions: Session[]): Promise<void> {
  for (const session of sessions) await session.release();
}

if (process.argv[2] === 'memory') await measureMemory(process.argv[3]!, process.argv[4]!, Number(process.argv[5]));
else {
  const gradients: string[][] = [];
  const paths: string[][] = [];
  const memories: string[][] = [];
  for (const key of Object.keys(CASES)) {
    for (const batch of [1, 8]) gradients.push(await compareGradient(CASES[key]!, batch));
    paths.push(await compareIntegratedGradients(CASES[key]!));
    for (const batch of [1, 8]) memories.push(compareMemory(key, batch));
  }
  const report = [
    `onnxruntime-node ${VERSIONS['onnxruntime']}, ${THREADS} threads, medians of ${RUNS} alternating rounds, ${new Date().toISOString().slice(0, 10)}.`,
    table(['model', 'batch', 'forward, ms', 'forward + backward, ms', 'ratio', 'goal'], gradients),
    table(
      [
        'model',
        'rows in a batch',
        `${STEPS} forward + backward, ms`,
        `integrated gradients, ${STEPS} steps, ms`,
        'ratio',
        'goal',
      ],
      paths,
    ),
    table(['model', 'batch', 'forward, peak MiB', 'forward + backward, peak MiB', 'ratio', 'goal'], memories),
  ].join('\n\n');
  console.log(report);
  writeBlock(path.join(root, 'bench/README.md'), 'spine', report);
}
