/**
 * The memory that explaining a picture of 1024 x 1024 takes, beside the budget it is given: the embedded image model, which is
 * fully convolutional up to its pooling, made to take such pictures. Each method in a process of its own.
 *
 *     npx tsx bench/vision-memory.ts               prints the table and writes it into docs/vision.md
 *     npx tsx bench/vision-memory.ts METHOD KEY=N  in this process: prints { "grew", "budget", "passes" }, bytes
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { attribute } from '../src/attribution/index.ts';
import { readModel, writeModel } from '../src/onnx/index.ts';
import { DEFAULT_MEMORY_BUDGET, ModelHost } from '../src/runtime/index.ts';
import { table, writeBlock } from '../scripts/blocks.ts';

const root = path.resolve(import.meta.dirname, '..');
const SIDE = 1024;

export interface Measured {
  /** By how many bytes the process grew at most, from the opened model on. */
  readonly grew: number;
  readonly budget: number;
  readonly passes: number;
}

/** Not resourceUsage().maxRSS: Linux carries the parent's high-water mark into a child's. */
const peak = (): number => 1024 * Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'))![1]);

async function measureHere(method: string, options: Readonly<Record<string, string>>): Promise<Measured> {
  const folder = mkdtempSync(path.join(tmpdir(), 'onnxray-memory-'));
  try {
    const file = path.join(folder, 'model.onnx');
    const model = readModel(readFileSync(path.join(root, 'zoo/image-imagenet/onnx/model.onnx')));
    const inputs = model.graph.inputs.map((info) => ({ ...info, dims: ['batch', 3, SIDE, SIDE] }));
    writeFileSync(file, writeModel({ ...model, graph: { ...model.graph, inputs } }));
    const host = await ModelHost.open(file, { cache: false, threads: 2 });
    const data = Float32Array.from({ length: 3 * SIDE * SIDE }, (_, at) => Math.sin(at * 0.37));
    const before = peak();
    const { explanation } = await attribute(host, {
      inputs: { pixel_values: { type: 'float32', dims: [1, 3, SIDE, SIDE], data } },
      method,
      options,
      target: { label: '282', indices: [282] },
    });
    const grew = peak() - before;
    await host.release();
    return { grew, budget: DEFAULT_MEMORY_BUDGET, passes: explanation.runtime.passes };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A method in a process of its own; options as KEY=VALUE. */
export function measure(method: string, ...options: readonly string[]): Measured {
  const tsx = fileURLToPath(import.meta.resolve('tsx'));
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ['--import', tsx, import.meta.filename, method, ...options],
    { encoding: 'utf8' },
  );
  if (status !== 0) throw new Error(stderr);
  return JSON.parse(stdout) as Measured;
}

if (process.argv[1] === import.meta.filename) {
  const [method, ...options] = process.argv.slice(2);
  if (method !== undefined) {
    const pairs = options.map((option) => option.split('=') as [string, string]);
    console.log(JSON.stringify(await measureHere(method, Object.fromEntries(pairs))));
  } else {
    const cases = [
      ['grad-cam'],
      ['saliency'],
      ['integrated-gradients', 'steps=4'],
      ['rise', 'n_masks=16'],
      ['occlusion', 'window=256', 'stride=256'],
    ] as const;
    const megabytes = (bytes: number) => `${Math.round(bytes / 2 ** 20)} MiB`;
    const rows = cases.map(([name, ...rest]) => {
      const { grew, budget, passes } = measure(name, ...rest);
      process.stderr.write(`${name} ${megabytes(grew)}\n`);
      return [`\`${name}\``, String(passes), megabytes(budget), megabytes(grew)];
    });
    const content = table(['method', 'rows', 'budget of a run', 'the process grew by'], rows);
    console.log(content);
    writeBlock(path.join(root, 'docs/vision.md'), 'memory', content);
  }
}
