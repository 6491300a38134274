/**
 * onnxray against its peers: the same model, input, steps and threads in one run, both sides warm, turns alternating.
 *
 *     ONNXRAY_PYTHON=python npm run bench:peers              writes the table into bench/README.md
 *     ONNXRAY_PYTHON=python npm run bench:peers -- --quick   few steps and samples, prints only
 *
 * `--case encoder` measures one model alone and writes its table. `--only TEXT` runs the rows whose name contains it, prints
 * only. A run of more than ten seconds is repeated
 * twice, any other 5 times, after a small one that warms up. Peak memory is the high-water mark of a child that does one row once, with at most
 * 160 samples: more of them are further batches in the same memory.
 */
import { spawn, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as rest } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { VERSIONS } from 'onnxray';
import type { NamedTensors } from 'onnxray';
import { table, writeBlock } from '../../scripts/blocks.ts';
import { CASES, ROOT, TARGETS, THREADS, explain, few, inputsOf, open, rowsOf } from './rows.ts';
import type { CaseName, Row } from './rows.ts';

const { values: flags } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    only: { type: 'string' },
    case: { type: 'string', multiple: true, default: ['encoder', 'image'] },
    memory: { type: 'string' },
  },
});
const { quick } = flags;
const RUNS = quick ? 1 : 5;
/** Of what takes longer than LONG_MS. */
const LONG_RUNS = quick ? 1 : 2;
const LONG_MS = 10_000;
/** Between turns: threads of PyTorch go on turning for a fifth of a second and would take the processor from the other side. */
const PAUSE_MS = 500;

interface Answer {
  readonly ms?: number;
  readonly mib?: number;
  readonly logits?: readonly number[];
  readonly scores?: string;
  readonly error?: string;
}

/** A Python process that answers one request at a time. */
class Peer {
  readonly #child;
  readonly #lines;
  constructor() {
    const python = process.env['ONNXRAY_PYTHON'] ?? 'python3';
    const threads = String(THREADS);
    this.#child = spawn(python, [path.join(import.meta.dirname, 'server.py')], {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: { ...process.env, OMP_NUM_THREADS: threads, MKL_NUM_THREADS: threads, OPENBLAS_NUM_THREADS: threads },
    });
    this.#lines = createInterface(this.#child.stdout)[Symbol.asyncIterator]();
  }
  async ask(request: object): Promise<Answer> {
    this.#child.stdin.write(`${JSON.stringify(request)}\n`);
    const { value, done } = await this.#lines.next();
    if (done === true) throw new Error('the Python side ended: is ONNXRAY_PYTHON the one with requirements.txt?');
    return JSON.parse(value) as Answer;
  }
  open(key: CaseName, inputs: NamedTensors, target: number): Promise<Answer> {
    const sent = Object.entries(inputs).map(([name, { type, dims, data }]) => {
      const { buffer, byteOffset, byteLength } = data as Float32Array;
      return [name, { type, dims, data: Buffer.from(buffer, byteOffset, byteLength).toString('base64') }];
    });
    return this.ask({ do: 'open', root: ROOT, case: key, threads: THREADS, target, inputs: Object.fromEntries(sent) });
  }
  close(): void {
    this.#child.stdin.end();
  }
}

const median = (values: readonly number[]) =>
  values.toSorted((left, right) => left - right)[Math.floor(values.length / 2)]!;

function cosine(left: ArrayLike<number>, right: ArrayLike<number>): number {
  if (left.length !== right.length) throw new Error(`${left.length} scores against ${right.length}`);
  let [both, one, other] = [0, 0, 0];
  for (let at = 0; at < left.length; at++) {
    both += left[at]! * right[at]!;
    one += left[at]! ** 2;
    other += right[at]! ** 2;
  }
  return both / Math.sqrt(one * other);
}

/** How alike the last two draws are. */
const ofTwo = (draws: readonly ArrayLike<number>[]) => cosine(draws.at(-1)!, draws.at(-2) ?? draws.at(-1)!);

/** The high-water mark of this process alone: rusage's is the parent's until a child outgrows it. */
const peakMiB = () => Number(/VmHWM:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))![1]) / 1024;

/** What a child process does to have its memory measured. */
async function measureMemory(key: CaseName, at: number): Promise<void> {
  const model = await open(key);
  const row = rowsOf(key, quick)[at]!;
  await explain(key, model, await inputsOf(key, model), { ...row, options: few(row.options) });
  console.log(peakMiB());
}

function ourMemory(key: CaseName, at: number): number {
  const tsx = fileURLToPath(import.meta.resolve('tsx'));
  const args = ['--import', tsx, import.meta.filename, '--memory', `${key}:${at}`, ...(quick ? ['--quick'] : [])];
  const child = spawnSync(process.execPath, args, { encoding: 'utf8' });
  if (child.status !== 0) throw new Error(child.stderr);
  return Number(child.stdout);
}

async function peerMemory(key: CaseName, inputs: NamedTensors, method: string, options: Row['given']): Promise<number> {
  const peer = new Peer();
  await peer.open(key, inputs, TARGETS[key]);
  await peer.ask({ do: 'explain', method, options });
  const { mib } = await peer.ask({ do: 'peak' });
  peer.close();
  return mib!;
}

async function compare(key: CaseName): Promise<string[][]> {
  const [model, peer] = [await open(key), new Peer()];
  const inputs = await inputsOf(key, model);
  const { logits } = await peer.open(key, inputs, TARGETS[key]);
  const ask = async (method: string, options: Row['given']): Promise<Answer> => {
    const answer = await peer.ask({ do: 'explain', method, options, scores: true });
    if (answer.error !== undefined) throw new Error(`${method} on the ${key}: ${answer.error}`);
    return answer;
  };
  const result: string[][] = [];
  for (const [at, row] of rowsOf(key, quick).entries()) {
    if (flags.only !== undefined && !`${key} ${row.name}`.includes(flags.only)) continue;
    const peers = row.missing === undefined ? Object.entries(row.peers) : [];
    const first = await explain(key, model, inputs, { ...row, options: few(row.options) });
    const off = Math.max(...Array.from(first.answer.data as Float32Array, (each, i) => Math.abs(each - logits![i]!)));
    if (!(off < 1e-4)) throw new Error(`the two ${key} models differ by ${off}`);
    for (const [, call] of peers) await ask(call, few(row.given));
    const ours: number[] = [];
    const theirs = peers.map((): number[] => []);
    const drawn: ArrayLike<number>[] = [];
    const theirDrawn = peers.map((): ArrayLike<number>[] => []);
    let runs = RUNS;
    for (let run = 0; run < runs; run++) {
      for (const [each, [, call]] of peers.entries()) {
        await rest(PAUSE_MS);
        const { ms, scores } = await ask(call, row.given);
        theirs[each]!.push(ms!);
        theirDrawn[each]!.push(new Float32Array(Uint8Array.from(Buffer.from(scores!, 'base64')).buffer));
      }
      await rest(PAUSE_MS);
      const { ms, scores } = await explain(key, model, inputs, row, run);
      ours.push(ms);
      drawn.push(scores);
      if (ms > LONG_MS) runs = LONG_RUNS;
    }
    const [o, om] = [median(ours), ourMemory(key, at)];
    if (row.missing !== undefined)
      result.push([row.name, CASES[key].name, row.missing, o.toFixed(0), '', '', om.toFixed(0), '', '', '']);
    for (const [each, [name, call]] of peers.entries()) {
      const [p, pm] = [median(theirs[each]!), await peerMemory(key, inputs, call, few(row.given))];
      const cells = [
        `${row.name}, against ${name}`,
        CASES[key].name,
        p.toFixed(0),
        o.toFixed(0),
        `${(p / o).toFixed(2)} x`,
      ];
      const likeness = [cosine(drawn.at(-1)!, theirDrawn[each]!.at(-1)!), ...[theirDrawn[each]!, drawn].map(ofTwo)];
      result.push([...cells, pm.toFixed(0), om.toFixed(0), ...likeness.map((value) => value.toFixed(4))]);
    }
    console.error(
      result
        .slice(-Math.max(1, peers.length))
        .map((cells) => cells.join(' | '))
        .join('\n'),
    );
  }
  peer.close();
  await model.release();
  return result;
}

if (flags.memory !== undefined) {
  const [key, at] = flags.memory.split(':');
  await measureMemory(key as CaseName, Number(at));
} else {
  const pinned = readFileSync(path.join(import.meta.dirname, 'requirements.txt'), 'utf8');
  const versions = [...pinned.matchAll(/^(torch|captum|shap|lime)==(.+)$/gm)].map(([, name, version]) =>
    [name, version].join(' '),
  );
  // A block for each model: an interrupted run leaves the half that is done.
  for (const key of ['encoder', 'image'] as const) {
    if (!flags.case.includes(key)) continue;
    const report = [
      `onnxruntime-node ${VERSIONS['onnxruntime']} against ${versions.join(', ')}; ${THREADS} threads, medians of ${RUNS} alternating runs (${LONG_RUNS} where one takes over ${LONG_MS / 1000} s), ${new Date().toISOString().slice(0, 10)}.`,
      table(
        [
          'method',
          'model',
          'peer, ms',
          'onnxray, ms',
          'peer / onnxray',
          'peer, MiB',
          'onnxray, MiB',
          'cosine of scores',
          'of two draws, peer',
          'of two draws, onnxray',
        ],
        await compare(key),
      ),
    ].join('\n\n');
    console.log(report);
    if (!quick && flags.only === undefined) writeBlock(path.join(ROOT, 'bench/README.md'), `peers-${key}`, report);
  }
}
