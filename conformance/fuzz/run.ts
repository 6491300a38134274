/**
 * Breaks small model files in every way it knows and puts them through the reader and the normaliser.
 *
 *     npm run fuzz -- [--cases 100000] [--seed 1] [--from 0] [--write]
 *
 * Fails when a case crashes (any error but a one-line UserError), hangs for half a minute, or makes the process grow by more
 * than four times the file, or 4 MiB where that is more, measured alone after a collection of garbage. `--write` puts the counts into docs/conformance.md.
 */
import { fork } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { table, writeBlock } from '../../scripts/blocks.ts';
import { FUZZ_FILES } from './files.ts';
import { MUTATIONS } from './mutate.ts';
import type { Job } from './worker.ts';

const root = path.resolve(import.meta.dirname, '../..');
const HANG_MS = 30_000;
const BATCH = 2000;

const { values: flags } = parseArgs({
  options: {
    cases: { type: 'string', default: '100000' },
    seed: { type: 'string', default: '1' },
    from: { type: 'string', default: '0' },
    write: { type: 'boolean', default: false },
  },
});

interface Failure {
  readonly index: number;
  readonly mutation: string;
  readonly seedFile: string;
  readonly kind: string;
  readonly message: string;
}
interface Done {
  readonly counts: Readonly<Record<string, Readonly<Record<string, number>>>>;
  /** What a case of a file up to 1 MiB cost at most, in bytes; and of a larger one, in sizes of the file. */
  readonly most: { readonly small: number; readonly factor: number };
}

const folder = mkdtempSync(path.join(tmpdir(), 'onnxray-fuzz-'));
for (const name of ['first.bin', 'second.bin'])
  copyFileSync(path.join(root, 'test/onnx/fixtures', name), path.join(folder, name));

const failures: Failure[] = [];
const totals = new Map<string, Map<string, number>>();
const most = { small: 0, factor: 0 };

function add(mutation: string, kind: string, count: number): void {
  const row = totals.get(mutation) ?? new Map<string, number>();
  totals.set(mutation, row);
  row.set(kind, (row.get(kind) ?? 0) + count);
}

/** Tries cases [from, to) in a child; gives the first case that is still to be done. */
function tryBatch(from: number, to: number): Promise<number> {
  return new Promise((resolve) => {
    const child = fork(path.join(import.meta.dirname, 'worker.ts'), {
      execArgv: ['--import', 'tsx', '--expose-gc', '--max-semi-space-size=1'],
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    });
    const current = () => Number(readFileSync(path.join(folder, 'current.txt'), 'utf8').trim());
    writeFileSync(path.join(folder, 'current.txt'), '');
    let [last, next] = [-1, to];
    const watch = setInterval(() => {
      const now = current();
      if (now === 0) return; // It has not begun.
      if (now === last) child.kill('SIGKILL');
      last = now;
    }, HANG_MS);
    child.on('message', (message: { failure?: Failure; done?: Done }) => {
      if (message.failure !== undefined) {
        failures.push(message.failure);
        const { index, kind, message: text } = message.failure;
        console.error(`${kind}: case ${index}: ${text.slice(0, 500)}`);
      }
      if (message.done === undefined) return;
      for (const [mutation, kinds] of Object.entries(message.done.counts))
        for (const [kind, count] of Object.entries(kinds)) add(mutation, kind, count);
      most.small = Math.max(most.small, message.done.most.small);
      most.factor = Math.max(most.factor, message.done.most.factor);
      child.disconnect();
    });
    child.on('exit', (code, signal) => {
      clearInterval(watch);
      if (code !== 0) {
        const index = Math.max(from, current());
        const kind = signal === 'SIGKILL' ? 'hang' : 'crash';
        failures.push({ index, mutation: '?', seedFile: '?', kind, message: signal ?? `exit code ${code}` });
        next = index + 1;
      }
      resolve(next);
    });
    const job: Job = { files: FUZZ_FILES, root, folder, seed: Number(flags.seed), from, to };
    child.send(job);
  });
}

const [first, cases] = [Number(flags.from), Number(flags.cases)];
for (let from = first; from < first + cases;) {
  const to = Math.min(from + BATCH, first + cases);
  from = await tryBatch(from, to);
  console.error(`${from - first} of ${cases}, ${failures.length} failures`);
}
rmSync(folder, { recursive: true });

const KINDS = ['refused', 'taken', 'crash', 'memory'];
const number = (value: number) => value.toLocaleString('en');
const rows = Object.keys(MUTATIONS).map((mutation) => {
  const row = totals.get(mutation) ?? new Map<string, number>();
  return [mutation, ...KINDS.map((kind) => number(row.get(kind) ?? 0))];
});
const hangs = failures.filter(({ kind }) => kind === 'hang').length;
const summary = [
  `${number(cases)} broken files from ${FUZZ_FILES.length} good ones (seed ${flags.seed}): ${failures.length === 0 ? 'no crash, no hang' : `${failures.length} failures, ${hangs} of them hangs`}; a case cost at most ${(most.small / 2 ** 20).toFixed(1)} MiB where its file has up to 1 MiB, and ${most.factor.toFixed(1)} times its file where that is larger.`,
  table(['what was broken', 'refused in one line', 'taken as a model', 'crashed', 'memory'], rows),
].join('\n\n');
console.log(summary);
for (const { index, mutation, seedFile, kind, message } of failures.slice(0, 40))
  console.log(`\n${kind}: case ${index} (${mutation} of ${seedFile})\n${message}`);
if (flags.write) writeBlock(path.join(root, 'docs/conformance.md'), 'fuzz', summary);
if (failures.length > 0) process.exitCode = 1;
