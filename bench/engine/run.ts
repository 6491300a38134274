/**
 * What a gradient costs: forward, forward + backward, their ratio, peak memory, the share of what the machine can multiply,
 * and the same input gradient by PyTorch, eager and compiled; five kinds of models with random weights, batch 1 and 8.
 *
 *     pip install -r bench/engine/requirements.txt
 *     ONNXRAY_PYTHON=python npm run bench:engine                      writes the tables into bench/README.md
 *     ONNXRAY_PYTHON=python npm run bench:engine -- --rounds 1        fewer rounds than 7 only print
 *
 * `--only encoder,vit-s-16` and `--batches 1` run a part and print; `--folder F` keeps the models elsewhere than in the
 * system's temporary folder; `--no-peers` leaves PyTorch out once the models are exported; `--no-times` measures memory alone.
 * In each round every side has its turn, so that the machine's drift hits all alike: two runs, of which the second counts.
 */
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { VERSIONS, numbersWeight, openSession, readModel, writeModel } from 'onnxray';
import type { DenseTensor, NamedTensors, Session } from 'onnxray';
import { table, writeBlock } from '../../scripts/blocks.ts';
import { KINDS, dimsOf, inputsOf } from './kinds.ts';
import { forwardModel, gradientModel, productFlops, programBytes } from './program.ts';

const root = path.resolve(import.meta.dirname, '../..');
const THREADS = 2;
const FULL_ROUNDS = 7;
const MEMORY_PROCESSES = 5;

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  allowNegative: true,
  options: {
    rounds: { type: 'string', default: String(FULL_ROUNDS) },
    only: { type: 'string' },
    batches: { type: 'string', default: '1,8' },
    folder: { type: 'string', default: path.join(tmpdir(), 'onnxray-engine-models') },
    peers: { type: 'boolean', default: true },
    times: { type: 'boolean', default: true },
  },
});
const ROUNDS = Number(flags.rounds);
const BATCHES = flags.batches.split(',').map(Number);

const MEMORY_GOAL = 1.8;
const [EAGER_GOAL, COMPILE_GOAL] = [2, 1.3];

const fileOf = (name: string) => path.join(flags.folder, `${name}.onnx`);

const openForward = (name: string) => openSession(readFileSync(fileOf(name)), { threads: THREADS });
const programOf = (name: string) =>
  gradientModel(readModel(readFileSync(fileOf(name))), 'logits', dimsOf(KINDS[name]!));
const openGradient = (name: string) =>
  openSession(programBytes(programOf(name), fileOf(name)), { threads: THREADS, weightsFolder: flags.folder });

// --- PyTorch ---------------------------------------------------------------------------------------------------------

interface Peer {
  ask(request: object): Promise<{ readonly ms: number; readonly norm: number }>;
  close(): void;
}

/** Starts the server; it exports the models first. */
async function startPeer(): Promise<Peer> {
  const python = process.env['ONNXRAY_PYTHON'] ?? 'python3';
  const script = path.join(import.meta.dirname, 'server.py');
  const child = spawn(python, [script, flags.folder, String(THREADS)], { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async () => {
    const { value, done } = await lines.next();
    if (done) throw new Error(`${python} ended: is bench/engine/requirements.txt installed there?`);
    return String(value);
  };
  if ((await next()) !== 'ready') throw new Error('server.py said something else than "ready"');
  return {
    async ask(request) {
      child.stdin.write(`${JSON.stringify(request)}\n`);
      return JSON.parse(await next()) as { ms: number; norm: number };
    },
    close: () => void child.stdin.end(),
  };
}

// --- time ------------------------------------------------------------------------------------------------------------

async function time(run: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await run();
  return performance.now() - started;
}

function median(values: readonly number[]): number {
  return values.toSorted((left, right) => left - right)[Math.floor(values.length / 2)]!;
}

/** The median over rounds of the quotient within a round. */
const medianRatio = (left: readonly number[], right: readonly number[]) =>
  median(left.map((value, round) => value / right[round]!));

/** A product that suits the machine: [2048, 1024] times a constant [1024, 1024]. */
async function openCeiling(): Promise<{ session: Session; inputs: NamedTensors; flops: number }> {
  const [rows, side] = [2048, 1024];
  const fill = (size: number) => Array.from({ length: size }, (_, at) => Math.sin(at));
  const info = (name: string) => ({ name, type: 'float32' as const, dims: [rows, side] });
  const bytes = writeModel({
    irVersion: 8,
    producer: 'onnxray bench',
    opsets: new Map([['', 17]]),
    graph: {
      name: 'ceiling',
      inputs: [info('x')],
      outputs: [info('y')],
      nodes: [{ name: 'y', operator: 'MatMul', domain: '', inputs: ['x', 'w'], outputs: ['y'], attributes: {} }],
      initializers: new Map([['w', numbersWeight('float32', [side, side], fill(side * side))]]),
      valueInfos: new Map(),
      otherTypes: new Map(),
    },
    functions: [],
    metadata: new Map(),
  });
  const x: DenseTensor = { type: 'float32', dims: [rows, side], data: Float32Array.from(fill(rows * side)) };
  return { session: await openSession(bytes, { threads: THREADS }), inputs: { x }, flops: 2 * rows * side * side };
}

interface Result {
  readonly forward: number;
  readonly both: number;
  readonly ratio: number;
  readonly shareForward: number;
  readonly shareBoth: number;
  readonly eager: number | undefined;
  readonly compile: number | undefined;
  readonly gigaflops: number;
}

async function measure(name: string, batch: number, peer: Peer | undefined): Promise<Result> {
  const kind = KINDS[name]!;
  const [forward, gradient, ceiling] = [await openForward(name), await openGradient(name), await openCeiling()];
  const inputs = inputsOf(kind, batch);
  const dims = { [kind.input]: [batch, ...kind.row] };
  const flops = {
    forward: productFlops(forwardModel(readModel(readFileSync(fileOf(name))), dimsOf(kind)), dims),
    both: productFlops(programOf(name), dims),
  };
  const times = { forward: [], both: [], eager: [], compile: [], ceiling: [] } as Record<
    'forward' | 'both' | 'eager' | 'compile' | 'ceiling',
    number[]
  >;
  for (let round = -2; round < ROUNDS; round++) {
    let outputs: NamedTensors = {};
    const taken = {
      ceiling: await warm(() => time(() => ceiling.session.run(ceiling.inputs))),
      forward: await warm(() => time(() => forward.run(inputs))),
      both: await warm(() =>
        time(async () => {
          outputs = await gradient.run(inputs);
        }),
      ),
    };
    const norm = normOf(outputs['gradient']!);
    const ask = (how: string) => warm(() => askPeer(peer!, { model: name, batch, how }, norm));
    const peers = peer && { eager: await ask('eager'), compile: await ask('compile') };
    if (round < 0) continue;
    for (const [key, ms] of Object.entries({ ...taken, ...peers })) times[key as keyof typeof times].push(ms);
  }
  for (const session of [forward, gradient, ceiling.session]) await session.release();
  // Operations per millisecond, of what the ceiling does in the same round.
  const share = (amount: number, ms: readonly number[]) =>
    medianRatio(
      ms.map((value) => amount / value),
      times.ceiling.map((value) => ceiling.flops / value),
    );
  return {
    forward: median(times.forward),
    both: median(times.both),
    ratio: medianRatio(times.both, times.forward),
    shareForward: share(flops.forward, times.forward),
    shareBoth: share(flops.both, times.both),
    eager: peer && medianRatio(times.eager, times.both),
    compile: peer && medianRatio(times.compile, times.both),
    gigaflops: ceiling.flops / median(times.ceiling) / 1e6,
  };
}

/**
 * The second of two runs in a row: what a side holds lay idle while the others ran, out of the caches, and where the system
 * reclaims idle memory out of memory too.
 */
async function warm(run: () => Promise<number>): Promise<number> {
  await run();
  return run();
}

function normOf({ data }: DenseTensor): number {
  let sum = 0;
  for (const value of data as Float32Array) sum += value * value;
  return Math.sqrt(sum);
}

/** Milliseconds of one forward and backward of PyTorch, whose gradient must be ours. */
async function askPeer(peer: Peer, request: { model: string; batch: number; how: string }, own: number) {
  const { ms, norm } = await peer.ask(request);
  if (!(Math.abs(norm - own) <= 1e-3 * own))
    throw new Error(`${JSON.stringify(request)}: the gradient's norm is ${norm} by PyTorch and ${own} here`);
  return ms;
}

// --- memory ----------------------------------------------------------------------------------------------------------

/** What a child does to have its memory measured. */
async function runForMemory(what: string, name: string, batch: number): Promise<void> {
  const session = what === 'forward' ? await openForward(name) : await openGradient(name);
  for (let run = 0; run < 3; run++) await session.run(inputsOf(KINDS[name]!, batch));
  // Not resourceUsage().maxRSS: Linux carries the parent's high-water mark into a child's.
  console.log(/VmHWM:\s+(\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'))![1]);
}

/**
 * The median of several processes: whether V8 collects the file that it has read before the peak or after it is chance, and moves a
 * process by as much as the file is large.
 */
function peakMiB(what: string, name: string, batch: number): number {
  return median(Array.from({ length: MEMORY_PROCESSES }, () => onePeakMiB(what, name, batch)));
}

function onePeakMiB(what: string, name: string, batch: number): number {
  const tsx = fileURLToPath(import.meta.resolve('tsx'));
  const child = spawnSync(
    process.execPath,
    ['--import', tsx, import.meta.filename, what, name, String(batch), '--folder', flags.folder],
    { encoding: 'utf8' },
  );
  if (child.status !== 0) throw new Error(child.stderr);
  return Number(child.stdout) / 1024;
}

// --- the tables ------------------------------------------------------------------------------------------------------

/** Each of the models that were asked for, in each batch. */
const asked = (): readonly (readonly [name: string, batch: number])[] =>
  (flags.only?.split(',') ?? Object.keys(KINDS)).flatMap((name) => BATCHES.map((batch) => [name, batch] as const));
const all = flags.only === undefined && BATCHES.join() === '1,8';

async function compareTimes(): Promise<void> {
  const peer = flags.peers ? await startPeer() : undefined;
  const [times, ceilings]: [string[][], number[]] = [[], []];
  for (const [name, batch] of asked()) {
    const { title, goal } = KINDS[name]!;
    const r = await measure(name, batch, peer);
    ceilings.push(r.gigaflops);
    const percent = (share: number) => `${(100 * share).toFixed(0)} %`;
    times.push([
      title,
      String(batch),
      r.forward.toFixed(1),
      r.both.toFixed(1),
      r.ratio.toFixed(2),
      batch === 8 ? goal.toFixed(1) : '',
      percent(r.shareForward),
      percent(r.shareBoth),
      r.eager?.toFixed(2) ?? '',
      r.compile?.toFixed(2) ?? '',
    ]);
    console.error(times.at(-1)!.join(' | '));
  }
  peer?.close();
  const report = [
    `onnxruntime-node ${VERSIONS['onnxruntime']}, ${THREADS} threads, medians of ${ROUNDS} alternating rounds, ${today()}. The ceiling, a product of 2048 x 1024 x 1024 in the same rounds: ${median(ceilings).toFixed(0)} GFLOP/s. PyTorch as pinned in bench/engine/requirements.txt, same threads; goals: ${EAGER_GOAL} times as fast as eager, ${COMPILE_GOAL} as compiled.`,
    table(
      [
        'model',
        'batch',
        'forward, ms',
        'forward + backward, ms',
        'ratio',
        'goal',
        'of the ceiling, forward',
        'both',
        'eager takes times as long',
        'torch.compile',
      ],
      times,
    ),
  ].join('\n\n');
  console.log(report);
  if (all && ROUNDS >= FULL_ROUNDS && peer !== undefined) writeBlock(PAGE, 'engine', report);
}

function compareMemory(): void {
  const rows = asked().map(([name, batch]) => {
    const [f, g] = [peakMiB('forward', name, batch), peakMiB('gradient', name, batch)];
    const row = [
      KINDS[name]!.title,
      String(batch),
      f.toFixed(0),
      g.toFixed(0),
      (g / f).toFixed(2),
      MEMORY_GOAL.toFixed(1),
    ];
    console.error(row.join(' | '));
    return row;
  });
  const report = [
    `Peak memory of a process that loads and runs it three times, medians of ${MEMORY_PROCESSES} processes, ${today()}.`,
    table(['model', 'batch', 'forward, peak MiB', 'forward + backward, peak MiB', 'ratio', 'goal'], rows),
  ].join('\n\n');
  console.log(report);
  if (all) writeBlock(PAGE, 'engine-memory', report);
}

const PAGE = path.join(root, 'bench/README.md');
const today = () => new Date().toISOString().slice(0, 10);

const [what, name, batch] = positionals;
if (what === undefined || name === undefined) {
  mkdirSync(flags.folder, { recursive: true });
  if (flags.times) await compareTimes();
  compareMemory();
} else await runForMemory(what, name, Number(batch));
