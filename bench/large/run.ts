/**
 * A model of 3 GB, weights in external files: what it costs to read, inspect and differentiate, and what an explanation
 * of it costs beside plain inference.
 *
 *     npm run bench:large -- [--folder F] [--tokens 128]      prints the tables and writes them into bench/README.md
 *     npm run bench:large -- --layers 1 --hidden 256          tries everything on a small model, and only prints
 *
 * The model is random and written into F (default: a folder of the system's temporary one, kept for the next run).
 * Each row is a process of its own; memory is its high-water mark.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { ModelHost, VERSIONS, differentiate, openSession, readModel, writeModel } from 'onnxray';
import type { DenseTensor } from 'onnxray';
import { gradientModel } from '../engine/program.ts';
import { inspectModel } from '../../src/inspection/index.ts';
import { table, writeBlock } from '../../scripts/blocks.ts';
import { BYTES_OF, LARGE, writeEncoder } from './model.ts';
import type { EncoderSize } from './model.ts';

const root = path.resolve(import.meta.dirname, '../..');
const THREADS = 2;
const STEPS = 5;

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    folder: { type: 'string', default: path.join(tmpdir(), 'onnxray-large-model') },
    tokens: { type: 'string', default: '128' },
    layers: { type: 'string', default: String(LARGE.layers) },
    hidden: { type: 'string', default: String(LARGE.hidden) },
  },
});
const tokens = Number(flags.tokens);
/** The inner width and the vocabulary go with the hidden size. */
const [layers, hidden] = [Number(flags.layers), Number(flags.hidden)];
const SIZE: EncoderSize = {
  ...LARGE,
  layers,
  hidden,
  inner: (LARGE.inner / LARGE.hidden) * hidden,
  vocabulary: (LARGE.vocabulary / LARGE.hidden) * hidden,
};
const isWhole = layers === LARGE.layers && hidden === LARGE.hidden;

const ids = Array.from({ length: tokens }, (_, index) => (index * 37) % SIZE.vocabulary);

interface Measured {
  readonly ms: number;
  readonly MiB: number;
}

/** A gradient program's loading, and a pass of it once warm. */
interface Variant extends Measured {
  readonly loadMs: number;
  /** Of the processor, of all threads: hardly disturbed by others. */
  readonly passCpuMs: number;
}

/** The ways in which the backward products can get their weights. */
const VARIANTS = {
  packed: 'constants: onnxruntime packs them, once for each product',
  'in-place': 'overridable, used where they lie (kept)',
} as const;
type VariantName = keyof typeof VARIANTS;
const isVariant = (what: string): what is VariantName => what in VARIANTS;

/** Linux's high-water mark of resident memory; maxRSS would carry the parent's into a child's. */
const PEAK = `/VmHWM:\\s+(\\d+) kB/.exec(require('node:fs').readFileSync('/proc/self/status', 'utf8'))[1] / 1024`;

/** The command line in a process of its own: wall time of the whole, and its peak. */
function cli(args: readonly string[], cache: string): Measured {
  const note = path.join(cache, 'peak.txt');
  const hook = `import { createRequire } from 'node:module'; const require = createRequire('${root}/'); process.on('exit', () => require('node:fs').writeFileSync(${JSON.stringify(note)}, String(${PEAK})));`;
  const started = performance.now();
  const child = spawnSync(
    process.execPath,
    ['--import', `data:text/javascript,${encodeURIComponent(hook)}`, path.join(root, 'dist/cli/bin.js'), ...args],
    { encoding: 'utf8', env: { ...process.env, XDG_CACHE_HOME: cache }, maxBuffer: 1e9 },
  );
  if (child.status !== 0) throw new Error(child.stderr);
  return { ms: performance.now() - started, MiB: Number(readFileSync(note, 'utf8')) };
}

/** This script as a child that does one thing. */
function child(what: VariantName, file: string): Variant;
function child(what: string, file: string): Measured;
function child(what: string, file: string): Measured {
  const tsx = fileURLToPath(import.meta.resolve('tsx'));
  const result = spawnSync(
    process.execPath,
    [
      '--import',
      tsx,
      import.meta.filename,
      what,
      file,
      '--tokens',
      flags.tokens,
      '--layers',
      flags.layers,
      '--hidden',
      flags.hidden,
    ],
    { encoding: 'utf8' },
  );
  if (result.status !== 0) throw new Error(result.stderr);
  return JSON.parse(result.stdout) as Measured;
}

async function tryVariant(name: VariantName, file: string): Promise<Omit<Variant, 'ms' | 'MiB'>> {
  const program = gradientModel(readModel(readFileSync(file)), 'logits', {});
  const overridable = new Set(
    [...program.graph.initializers].filter(([, { storage }]) => storage.kind === 'external').map(([each]) => each),
  );
  const bytes = writeModel(program, {
    weightsIn: path.basename(file),
    ...(name === 'in-place' ? { overridable } : {}),
  });
  const started = performance.now();
  const session = await openSession(bytes, { threads: THREADS, weightsFolder: path.dirname(file) });
  const loadMs = performance.now() - started;
  const passes: number[] = [];
  for (let pass = 0; pass < 4; pass++) {
    const before = process.cpuUsage();
    await session.run({ input_ids: inputIds() });
    const { user, system } = process.cpuUsage(before);
    passes.push((user + system) / 1000);
  }
  return { loadMs, passCpuMs: Math.min(...passes.slice(1)) };
}

const inputIds = (): DenseTensor => ({
  type: 'int64',
  dims: [1, tokens],
  data: BigInt64Array.from(ids, BigInt),
});

async function doOne(what: string, file: string): Promise<void> {
  const started = performance.now();
  const variant = isVariant(what) ? await tryVariant(what, file) : {};
  if (what === 'read') {
    const host = await ModelHost.open(file, { cache: false });
    inspectModel(host.original, host.model, statSync(file).size);
    writeModel(differentiate(host.model, { of: 'logits', wrt: ['embedding'] }).model);
  } else if (!isVariant(what)) {
    const session = await openSession(readFileSync(file), { threads: THREADS, weightsFolder: path.dirname(file) });
    await session.run({ input_ids: inputIds() });
  }
  const ms = performance.now() - started;
  const MiB = Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'))![1]) / 1024;
  console.log(JSON.stringify({ ms, MiB, ...variant }));
}

function measureAll(): void {
  const file = writeEncoder(isWhole ? flags.folder : `${flags.folder}-${layers}x${hidden}`, SIZE);
  const folder = path.dirname(file);
  const cache = mkdtempSync(path.join(tmpdir(), 'onnxray-large-'));
  const inputs = path.join(cache, 'inputs.json');
  writeFileSync(inputs, JSON.stringify({ input_ids: { dims: [1, tokens], type: 'int64', data: ids } }));
  const explain = (...args: string[]) =>
    cli(['explain', file, '--inputs', inputs, '--json', '--threads', String(THREADS), ...args], cache);
  const seconds = ({ ms }: Measured) => (ms / 1000).toFixed(1);
  const read = child('read', file);
  const gradient = path.join(folder, 'gradient.onnx');
  const commands = [
    ['read, inspected and differentiated, in one process', read],
    ['`onnxray inspect`', cli(['inspect', file, '--json'], cache)],
    ['`onnxray gradient`', cli(['gradient', file, '--of', 'logits', '--wrt', 'embedding', '-o', gradient], cache)],
  ] as const;
  const gradientBytes = statSync(gradient).size;
  rmSync(gradient);
  const plain = child('plain', file);
  const runs = [
    ['plain onnxruntime: load, one run', plain],
    ['`explain --method saliency`, the first time', explain('--method', 'saliency')],
    ['the same again: the program is in the cache', explain('--method', 'saliency')],
    [
      `\`explain --method integrated-gradients --option steps=${STEPS}\``,
      explain('--method', 'integrated-gradients', '--option', `steps=${STEPS}`),
    ],
  ] as const;
  rmSync(cache, { recursive: true });
  const variants = Object.entries(VARIANTS).map(([name, title]) => {
    const measured = isVariant(name) ? child(name, file) : undefined;
    return [
      title,
      ((measured?.loadMs ?? 0) / 1000).toFixed(1),
      ((measured?.passCpuMs ?? 0) / 1000).toFixed(1),
      (measured?.MiB ?? 0).toFixed(0),
      ((measured?.MiB ?? 0) / plain.MiB).toFixed(2),
    ];
  });
  const report = [
    `${(BYTES_OF(SIZE) / 1e9).toFixed(2)} GB of float32 in ${isWhole ? 'two files' : 'files'}, ${layers} layers of ${hidden}; ${tokens} tokens, ${THREADS} threads, onnxruntime-node ${VERSIONS['onnxruntime']}, ${new Date().toISOString().slice(0, 10)}. The gradient's file is ${(gradientBytes / 1e6).toFixed(1)} MB.`,
    table(
      ['what', 'seconds', 'goal', 'peak MiB', 'goal'],
      commands.map(([name, measured]) => [name, seconds(measured), '2', measured.MiB.toFixed(0), '286']),
    ),
    table(
      ['what', 'seconds, all in', 'peak MiB', 'of plain', 'goal'],
      runs.map(([name, measured]) => [
        name,
        seconds(measured),
        measured.MiB.toFixed(0),
        (measured.MiB / plain.MiB).toFixed(2),
        measured === plain ? '' : '1.60',
      ]),
    ),
    'The gradient alone, by how its backward products get their weights:',
    table(['weights', 'load, seconds', 'a pass, processor seconds', 'peak MiB', 'of plain'], variants),
  ].join('\n\n');
  console.log(report);
  if (isWhole) writeBlock(path.join(root, 'bench/README.md'), 'large', report);
}

const [what, file] = positionals;
if (what === undefined || file === undefined) measureAll();
else await doOne(what, file);
