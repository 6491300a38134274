/** Tries cases in a process of its own: reports each before it starts, so that the parent knows which one hung or crashed. */
import { openSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import path from 'node:path';
import { getHeapStatistics } from 'node:v8';
import { tryFile } from './check.ts';
import { fuzzCase } from './mutate.ts';

export interface Job {
  readonly files: readonly string[];
  readonly root: string;
  readonly folder: string;
  readonly seed: number;
  readonly from: number;
  readonly to: number;
}

/**
 * What any case may cost, in bytes: V8's young generation, which fills before anything in it is given back (three
 * semi-spaces of 1 MiB as the parent starts this process), and the graph as objects, which are larger than the few bytes
 * a node takes in a file. Beyond that four times the file: for a file of more than a mebibyte nothing is added.
 */
export const FLOOR = 4 * 2 ** 20;
const FACTOR = 4;

declare const gc: () => void;

/** Linux: resident memory now and its high-water mark since the last look. */
function resident(): { now: number; peak: number } {
  const status = readFileSync('/proc/self/status', 'utf8');
  const bytes = (field: string) => Number(new RegExp(`${field}:\\s+(\\d+) kB`).exec(status)![1]) * 1024;
  return { now: bytes('VmRSS'), peak: bytes('VmHWM') };
}

/** What JavaScript holds, with what waits to be collected: objects, and the buffers behind typed arrays. */
function held(): number {
  const { used_heap_size: objects, external_memory: buffers } = getHeapStatistics();
  return objects + buffers;
}

/** What `run` makes the process grow by: at its peak by the kernel's count, and at its end by V8's. */
function growth<T>(run: () => T): { result: T; bytes: number } {
  // Where the kernel allows it: the high-water mark begins anew.
  writeFileSync('/proc/self/clear_refs', '5');
  const [before, heldBefore] = [resident().now, held()];
  const result = run();
  return { result, bytes: Math.max(resident().peak - before, held() - heldBefore) };
}

process.on('message', ({ files, root, folder, seed, from, to }: Job) => {
  const contents = files.map((file) => [file, new Uint8Array(readFileSync(path.join(root, file)))] as const);
  const counts: Record<string, Record<string, number>> = {};
  const most = { small: 0, factor: 0 };
  // Written over in place: the parent reads it at any time.
  const current = openSync(path.join(folder, 'current.txt'), 'w');
  for (let index = from; index < to; index++) {
    const { mutation, seedFile, bytes } = fuzzCase(contents, seed, index);
    writeSync(current, String(index).padEnd(16), 0);
    const attempt = () => tryFile(bytes, folder);
    const allowed = Math.max(FACTOR * bytes.length, FLOOR);
    // Garbage of earlier cases would count too, or leave room that hides what this one takes.
    if (index % 64 === 0) gc();
    let { result: outcome, bytes: grown } = growth(attempt);
    if (grown > allowed) {
      gc();
      ({ result: outcome, bytes: grown } = growth(attempt));
    }
    if (FACTOR * bytes.length > FLOOR) most.factor = Math.max(most.factor, grown / bytes.length);
    else most.small = Math.max(most.small, grown);
    let { kind }: { kind: string } = outcome;
    if (grown > allowed) {
      kind = 'memory';
      process.send!({
        failure: { index, mutation, seedFile, kind, message: `grew by ${(grown / 2 ** 20).toFixed(1)} MiB` },
      });
    } else if (outcome.kind === 'crash')
      process.send!({ failure: { index, mutation, seedFile, kind, message: outcome.message } });
    (counts[mutation] ??= {})[kind] = (counts[mutation]?.[kind] ?? 0) + 1;
  }
  process.send!({ done: { counts, most } });
});
process.on('disconnect', () => process.exit());
