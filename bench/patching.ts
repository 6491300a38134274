/**
 * Activation patching of every layer x position: onnxray against TransformerLens and against plain batched hooks on
 * PyTorch's CPU, the same weights and inputs, turns alternating.
 *
 *     ONNXRAY_PYTHON=python npm run bench:patching                    writes the table into bench/README.md
 *     ONNXRAY_PYTHON=python npm run bench:patching -- --width 768     GPT-2's own width, which takes twice as long; prints only
 *     ONNXRAY_PYTHON=python npm run bench:patching -- --quick         a small model, one thread, prints only
 *
 * The model is a GPT-2 (12 layers, the full vocabulary) with random weights and 64 tokens: 768 patches, all of them run on
 * each side. Each side has been warmed up on a few tokens.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { ModelHost, VERSIONS, patch } from 'onnxray';
import type { DenseTensor } from 'onnxray';
import { table, writeBlock } from '../scripts/blocks.ts';

const { values: flags } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    width: { type: 'string', default: '384' },
    rounds: { type: 'string', default: '1' },
  },
});
const root = path.resolve(import.meta.dirname, '..');
const THREADS = flags.quick ? 1 : 2;
const TOKENS = flags.quick ? 24 : 64;
const BATCH = 16;
const ROUNDS = Number(flags.rounds);
/** Tokens of the warm-up: programs are compiled and loaded, and no more. */
const FEW = 4;
const SIZE = flags.quick
  ? { layers: 6, width: 96, heads: 6, vocabulary: 500 }
  : { layers: 12, width: Number(flags.width), heads: Number(flags.width) / 64, vocabulary: 50257 };

interface Answer {
  readonly ms: number;
  readonly values: readonly number[];
  readonly error?: string;
}

interface Made {
  readonly clean: readonly number[];
  readonly corrupted: readonly number[];
  readonly target: number;
  readonly value: number;
  readonly versions: Readonly<Record<string, string>>;
  readonly error?: string;
}

const threads = String(THREADS);
const child = spawn(process.env['ONNXRAY_PYTHON'] ?? 'python3', [path.join(root, 'bench/peers/patching.py')], {
  stdio: ['pipe', 'pipe', 'ignore'],
  env: { ...process.env, OMP_NUM_THREADS: threads, MKL_NUM_THREADS: threads },
});
const lines = createInterface(child.stdout)[Symbol.asyncIterator]();

async function ask<T extends { readonly error?: string }>(request: object): Promise<T> {
  child.stdin.write(`${JSON.stringify(request)}\n`);
  const { value, done } = await lines.next();
  if (done === true) throw new Error('the Python side ended: has ONNXRAY_PYTHON what requirements-patching.txt lists?');
  const answer = JSON.parse(value) as T;
  if (answer.error !== undefined) throw new Error(answer.error);
  return answer;
}

const ids = (tokens: readonly number[]): DenseTensor => ({
  type: 'int64',
  dims: [1, tokens.length],
  data: BigInt64Array.from(tokens, BigInt),
});

const median = (times: readonly number[]) => times.toSorted((a, b) => a - b)[Math.floor(times.length / 2)]!;
const farthest = (ours: readonly number[], theirs: readonly number[]) =>
  Math.max(...ours.map((value, at) => Math.abs(value - theirs[at]!)));

const folder = mkdtempSync(path.join(tmpdir(), 'onnxray-bench-'));
try {
  const made = await ask<Made>({ do: 'make', folder, ...SIZE, tokens: TOKENS, threads: THREADS });
  const host = await ModelHost.open(path.join(folder, 'model.onnx'), { threads: THREADS, cache: false });
  const subject = (tokens: readonly number[]) => ({ inputs: { input_ids: ids(tokens) } });
  const ours = async (tokens = TOKENS): Promise<Answer> => {
    const started = performance.now();
    const found = await patch(host, {
      clean: subject(made.clean.slice(0, tokens)),
      corrupted: subject(made.corrupted.slice(0, tokens)),
      target: { label: String(made.target), indices: [tokens - 1, made.target] },
    });
    const { data } = found.tables[0]!.measures['difference']!;
    return {
      ms: performance.now() - started,
      values: Array.from(data, (difference) => difference + found.corruptedValue!),
    };
  };
  const sides = [
    { name: 'onnxray', run: ours },
    {
      name: 'TransformerLens, get_act_patch_resid_pre',
      run: (tokens = TOKENS) => ask<Answer>({ do: 'transformer-lens', tokens }),
    },
    {
      name: `transformers with hooks, batches of ${BATCH}`,
      run: (tokens = TOKENS) => ask<Answer>({ do: 'hooks', tokens, batch: BATCH }),
    },
  ];
  for (const { run } of sides) await run(FEW);
  const times = sides.map((): number[] => []);
  const answers: Answer[] = [];
  for (let round = 0; round < ROUNDS; round++)
    for (const [at, { run }] of sides.entries()) {
      answers[at] = await run();
      times[at]!.push(answers[at].ms);
    }
  await host.release();
  const patches = answers[0]!.values.length;
  const rows = sides.map(({ name }, at) => {
    const ms = median(times[at]!);
    return [
      name,
      ms.toFixed(0),
      ((1000 * patches) / ms).toFixed(1),
      (ms / median(times[0]!)).toFixed(2),
      farthest(answers[0]!.values, answers[at]!.values).toExponential(0),
    ];
  });
  const versions = Object.entries(made.versions).map(([name, version]) => `${name} ${version}`);
  const report = [
    `onnxruntime-node ${VERSIONS['onnxruntime']} against ${versions.join(', ')}; GPT-2 with ${SIZE.layers} layers of ${SIZE.width}, ${SIZE.vocabulary} words, ${TOKENS} tokens, ${patches} patches, ${THREADS} threads, ${ROUNDS === 1 ? 'one round' : `medians of ${ROUNDS} alternating rounds`}, ${new Date().toISOString().slice(0, 10)}.`,
    table(['', 'ms', 'patches per second', 'times onnxray', 'largest difference'], rows),
  ].join('\n\n');
  console.log(report);
  if (!flags.quick && flags.width === '384') writeBlock(path.join(root, 'bench/README.md'), 'patching', report);
} finally {
  child.stdin.end();
  rmSync(folder, { recursive: true, force: true });
}
