/**
 * What explaining a picture costs, in forward passes of the same model in the same run, and beside pytorch-grad-cam and Captum
 * on PyTorch's CPU with as many threads: Grad-CAM, RISE, Score-CAM and occlusion on the embedded image model.
 *
 *     npx tsx bench/vision.ts [--short]             prints the table and writes it into docs/vision.md (not with --short)
 *     PEER_PYTHON=python npx tsx bench/vision.ts    with the peers (bench/peers/vision.py)
 *
 * Single passes alternate with forward passes and medians are compared. Methods of many passes are compared with as many rows
 * sent through the model in batches of the same size.
 */
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { ModelHost, attribute, openSession, writeModel } from 'onnxray';
import type { DenseTensor } from 'onnxray';
import { table, writeBlock } from '../scripts/blocks.ts';

const root = path.resolve(import.meta.dirname, '..');
const file = path.join(root, 'zoo/image-imagenet/onnx/model.onnx');
const THREADS = 2;
const BATCH = 16;
const short = process.argv.includes('--short');
const RUNS = short ? 5 : 31;
const MASKS = short ? 64 : 1000;

const picture = (rows: number): DenseTensor => ({
  type: 'float32',
  dims: [rows, 3, 224, 224],
  data: Float32Array.from({ length: rows * 150_528 }, (_, at) => Math.sin(at * 0.37) + Math.cos(at * 0.011)),
});

const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[values.length >> 1]!;

async function time(run: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await run();
  return performance.now() - started;
}

const host = await ModelHost.open(file, { threads: THREADS, cache: false });
const plain = await openSession(writeModel(host.original, { weightsIn: path.basename(file) }), {
  threads: THREADS,
  weightsFolder: path.dirname(file),
});
const input = { pixel_values: picture(1) };
const target = { label: '282', indices: [282] };
const explain = (method: string, options = {}) => attribute(host, { inputs: input, method, options, target });

// Compiled, checked and warm.
await explain('grad-cam');
for (let run = 0; run < 3; run++) await plain.run(input);
const [forward, gradCam]: [number[], number[]] = [[], []];
for (let run = 0; run < RUNS; run++) {
  forward.push(await time(() => plain.run(input)));
  gradCam.push(await time(() => explain('grad-cam')));
}

const batch = { pixel_values: picture(BATCH) };
await plain.run(batch);
/** Time of as many rows through the plain model, in batches. */
const rowsTime = async (rows: number): Promise<number> => {
  let total = 0;
  for (let done = 0; done < rows; done += BATCH)
    total += await time(() => plain.run(rows - done >= BATCH ? batch : { pixel_values: picture(rows - done) }));
  return total;
};

interface Row {
  readonly name: string;
  readonly ms: number;
  readonly ratio: number;
  readonly unit: string;
}
const rows: Row[] = [
  {
    name: 'grad-cam',
    ms: median(gradCam),
    ratio: median(gradCam.map((each, at) => each / forward[at]!)),
    unit: 'one forward pass',
  },
];
const MANY = [
  { name: `rise, ${MASKS} masks`, method: 'rise', options: { n_masks: MASKS } },
  ...(short ? [] : [{ name: 'score-cam', method: 'score-cam', options: {} }]),
  { name: 'occlusion, windows of 32 by 16', method: 'occlusion', options: { window: 32, stride: 16 } },
];
for (const { name, method, options } of MANY) {
  const small = method === 'rise' ? { n_masks: BATCH } : options;
  await explain(method, small);
  let passes = 0;
  const ms = await time(async () => {
    passes = (await explain(method, options)).explanation.runtime.passes;
  });
  rows.push({ name, ms, ratio: ms / (await rowsTime(passes)), unit: `${passes} rows in batches of ${BATCH}` });
}

const python = process.env['PEER_PYTHON'];
const peers = new Map<string, number>();
if (python !== undefined) {
  const { stdout, stderr, status } = spawnSync(
    python,
    [path.join(root, 'bench/peers/vision.py'), String(THREADS), String(MASKS), ...(short ? ['--short'] : [])],
    { encoding: 'utf8', maxBuffer: 2 ** 26 },
  );
  if (status !== 0) throw new Error(`the peers failed: ${stderr.slice(-600)}`);
  for (const [name, ms] of Object.entries(JSON.parse(stdout.trim().split('\n').at(-1)!) as Record<string, number>))
    peers.set(name, ms);
}

const content = [
  `Forward pass of one row: ${median(forward).toFixed(1)} ms. ${THREADS} threads, ${process.arch}, medians of ${RUNS}.`,
  '',
  table(
    ['method', 'ms', 'ratio', 'of', 'peer, ms', 'ours is faster by'],
    rows.map(({ name, ms, ratio, unit }) => {
      const peer = [...peers].find(([each]) => name.startsWith(each))?.[1];
      return [
        name,
        ms.toFixed(1),
        ratio.toFixed(2),
        unit,
        peer?.toFixed(1) ?? '',
        peer === undefined ? '' : `${(peer / ms).toFixed(1)}`,
      ];
    }),
  ),
].join('\n');
console.log(content);
if (!short) writeBlock(path.join(root, 'docs/vision.md'), 'bench', content);
await plain.release();
await host.release();
