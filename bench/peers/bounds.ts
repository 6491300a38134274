/**
 * What bounds each row of bench:peers, by onnxruntime's own profile of the programs that the row runs: how much of the time is in
 * products (of matrices, and convolutions), at what speed they run beside a plain product of two large matrices on the same
 * threads, what most of the rest is, and how much of the whole is outside of the graph.
 *
 *     npm run bench:peers-bounds              writes the table into bench/README.md
 *     npm run bench:peers-bounds -- --print   prints only; so does `--only TEXT`, for rows whose name contains it
 */
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import * as ort from 'onnxruntime-node';
import { GraphBuilder, VERSIONS, sizeOf, writeModel } from 'onnxray';
import type { ValueInfo } from 'onnxray';
import { table, writeBlock } from '../../scripts/blocks.ts';
import { CASES, ROOT, THREADS, explain, few, inputsOf, open, rowsOf } from './rows.ts';
import type { CaseName, Row } from './rows.ts';

const { values: flags } = parseArgs({
  options: { print: { type: 'boolean', default: false }, only: { type: 'string', default: '' } },
});

type Shapes = readonly Readonly<Record<string, readonly number[]>>[];
interface Event {
  readonly cat: string;
  readonly name: string;
  /** Microseconds: when it began, how long it took. */
  readonly ts: number;
  readonly dur: number;
  readonly args?: {
    readonly op_name?: string;
    readonly input_type_shape?: Shapes;
    readonly output_type_shape?: Shapes;
  };
}

const dims = (shapes: Shapes | undefined, at: number): readonly number[] => Object.values(shapes?.[at] ?? {})[0] ?? [];

/** Floating-point operations of a node, two for each multiplication; undefined for what is no product. */
function flops({ args }: Event): number | undefined {
  const [x, w, y] = [
    dims(args?.input_type_shape, 0),
    dims(args?.input_type_shape, 1),
    dims(args?.output_type_shape, 0),
  ];
  switch (args?.op_name) {
    case 'MatMul':
    case 'FusedMatMul':
    case 'Gemm':
      // Packed weights are not in the profile; they stand on the right.
      if (w.length === 0) return 2 * sizeOf(y) * x.at(-1)!;
      // The length summed over, whichever sides are transposed: (b m k) (b k n) / (b m n b) = k squared.
      return 2 * sizeOf(y) * Math.sqrt((sizeOf(x) * sizeOf(w)) / (sizeOf(y) * sizeOf(w.slice(0, -2))));
    case 'Conv':
    case 'FusedConv':
      return 2 * sizeOf(y) * sizeOf(w.slice(1));
    case 'ConvTranspose':
      return 2 * sizeOf(x) * sizeOf(w.slice(1));
    default:
      return undefined;
  }
}

/** What the sessions did in one explanation. */
interface Profile {
  readonly nodesMs: number;
  readonly productsMs: number;
  /** Floating-point operations of the products. */
  readonly operations: number;
  /** Time by operator of what is no product. */
  readonly others: ReadonlyMap<string, number>;
}

function summary(events: readonly Event[]): Profile {
  const others = new Map<string, number>();
  let [nodesMs, productsMs, operations] = [0, 0, 0];
  for (const event of events) {
    const ms = event.dur / 1000;
    const own = flops(event);
    nodesMs += ms;
    if (own === undefined) {
      const name = event.args?.op_name ?? event.name;
      others.set(name, (others.get(name) ?? 0) + ms);
    } else {
      productsMs += ms;
      operations += own;
    }
  }
  return { nodesMs, productsMs, operations, others };
}

/**
 * Profiles what runs between `warm` and the end of `work`, in sessions opened meanwhile: onnxruntime writes a profile from the
 * session's first run on, so runs that were before are counted and left out.
 */
async function profiled(warm: () => Promise<void>, work: () => Promise<void>): Promise<Profile> {
  const folder = mkdtempSync(path.join(tmpdir(), 'onnxray-bounds-'));
  const create = ort.InferenceSession.create.bind(ort.InferenceSession);
  const sessions: { session: ort.InferenceSession; file: string; runs: number; released: boolean }[] = [];
  const patched = async (bytes: Uint8Array, options: ort.InferenceSession.SessionOptions) => {
    const prefix = path.join(folder, `${sessions.length}-`);
    const session = await create(bytes, { ...options, enableProfiling: true, profileFilePrefix: prefix });
    const entry = { session, file: path.basename(prefix), runs: 0, released: false };
    const run = session.run.bind(session);
    const release = session.release.bind(session);
    Object.assign(session, {
      release: () => {
        session.endProfiling();
        entry.released = true;
        return release();
      },
      run: (...given: Parameters<typeof run>) => {
        entry.runs++;
        return run(...given);
      },
    });
    sessions.push(entry);
    return session;
  };
  Object.assign(ort.InferenceSession, { create: patched });
  await warm();
  const before = sessions.map(({ runs }) => runs);
  await work();
  Object.assign(ort.InferenceSession, { create });
  const events = sessions.flatMap(({ session, file, released }, at) => {
    if (!released) session.endProfiling();
    const name = readdirSync(folder).find((each) => each.startsWith(file))!;
    const all = JSON.parse(readFileSync(path.join(folder, name), 'utf8')) as Event[];
    const runs = all.filter((event) => event.name === 'model_run').toSorted((left, right) => left.ts - right.ts);
    const from = runs[before[at] ?? 0]?.ts ?? Infinity;
    return all.filter((event) => event.cat === 'Node' && event.name.endsWith('_kernel_time') && event.ts >= from);
  });
  rmSync(folder, { recursive: true });
  return summary(events);
}

/** GFLOP/s of a product of two square matrices, the fastest of many. */
async function plainProduct(size = 1024): Promise<number> {
  const inputs = ['left', 'right'].map((name): ValueInfo => ({ name, type: 'float32', dims: [size, size] }));
  const [nothing, none] = [new Map(), []];
  const graph = { name: 'product', inputs, outputs: none, nodes: none, initializers: nothing, valueInfos: nothing };
  const model = { irVersion: 10, producer: 'onnxray', opsets: new Map([['', 21]]), functions: none, metadata: nothing };
  const b = new GraphBuilder({ ...model, graph: { ...graph, otherTypes: nothing } });
  b.addOutput(b.op('MatMul', ['left', 'right']), 'product');
  const options = { intraOpNumThreads: THREADS, interOpNumThreads: 1 };
  const session = await ort.InferenceSession.create(writeModel(b.build()), options);
  const matrix = new ort.Tensor('float32', Float32Array.from({ length: size ** 2 }, Math.random), [size, size]);
  let best = Infinity;
  for (let run = 0; run < 40; run++) {
    const started = performance.now();
    await session.run({ left: matrix, right: matrix });
    best = Math.min(best, performance.now() - started);
  }
  await session.release();
  return (2 * size ** 3) / best / 1e6;
}

const percent = (part: number, whole: number) => `${((100 * part) / whole).toFixed(0)} %`;

async function boundsOf(key: CaseName, row: Row, plain: number): Promise<string[]> {
  const model = await open(key);
  const inputs = await inputsOf(key, model);
  let ms = 0;
  // More samples are further batches of the same.
  const small = { ...row, options: few(row.options) };
  const { nodesMs, productsMs, operations, others } = await profiled(
    async () => void (await explain(key, model, inputs, small)),
    async () => void ({ ms } = await explain(key, model, inputs, small)),
  );
  await model.release();
  const speed = operations / productsMs / 1e6;
  const largest = [...others].toSorted((left, right) => right[1] - left[1]).slice(0, 2);
  return [
    row.name.replace(/\d+ samples/, 'at most 160 samples'),
    CASES[key].name,
    ms.toFixed(0),
    percent(productsMs, ms),
    (operations / 1e9).toFixed(0),
    `${speed.toFixed(0)} (${percent(speed, plain)})`,
    largest.map(([operator, each]) => `${operator} ${percent(each, ms)}`).join(', '),
    percent(ms - nodesMs, ms),
    (operations / plain / 1e6).toFixed(0),
  ];
}

const rows: string[][] = [];
const plain = await plainProduct();
for (const key of ['encoder', 'image'] as const)
  for (const row of rowsOf(key)) {
    if (!`${key} ${row.name}`.includes(flags.only)) continue;
    rows.push(await boundsOf(key, row, plain));
    console.error(rows.at(-1)!.join(' | '));
  }
const report = [
  `onnxruntime-node ${VERSIONS['onnxruntime']}, ${THREADS} threads, profiled (which costs a little), ${new Date().toISOString().slice(0, 10)}. A plain product of two matrices of 1024 x 1024 runs at ${plain.toFixed(0)} GFLOP/s here.`,
  table(
    [
      'method',
      'model',
      'ms',
      'in products',
      'GFLOP of products',
      'their GFLOP/s (of the plain product)',
      'most of the rest',
      'outside of the graph',
      'products alone, at the plain speed, ms',
    ],
    rows,
  ),
].join('\n\n');
console.log(report);
if (!flags.print && flags.only === '') writeBlock(path.join(ROOT, 'bench/README.md'), 'peers-bounds', report);
