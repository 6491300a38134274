/** Tries cases in a process of its own: reports each before it starts, so that the parent knows which one hung or crashed. */
import { openSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import path from 'node:path';
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

/** Above what the process held before, in bytes: a file may cost four times itself; below this the process's own noise hides it. */
const NOISE = 64 * 2 ** 20;

/** Linux: resident memory now and its high-water mark since the last look. */
function memory(): { resident: number; peak: number } {
  const status = readFileSync('/proc/self/status', 'utf8');
  const bytes = (field: string) => Number(new RegExp(`${field}:\\s+(\\d+) kB`).exec(status)![1]) * 1024;
  return { resident: bytes('VmRSS'), peak: bytes('VmHWM') };
}

process.on('message', ({ files, root, folder, seed, from, to }: Job) => {
  const contents = files.map((file) => [file, new Uint8Array(readFileSync(path.join(root, file)))] as const);
  const counts: Record<string, Record<string, number>> = {};
  let since = memory().resident;
  let largest = 0;
  // Written over in place: the parent reads it at any time.
  const current = openSync(path.join(folder, 'current.txt'), 'w');
  for (let index = from; index < to; index++) {
    const { mutation, seedFile, bytes } = fuzzCase(contents, seed, index);
    const largeEnough = index % 16 === 0 || bytes.length > NOISE / 4;
    if (largeEnough) {
      // Where the kernel allows it: the high-water mark begins anew.
      writeFileSync('/proc/self/clear_refs', '5');
      since = memory().resident;
    }
    writeSync(current, String(index).padEnd(16), 0);
    const outcome = tryFile(bytes, folder);
    const grown = memory().peak - since;
    largest = Math.max(largest, grown);
    let { kind }: { kind: string } = outcome;
    if (grown > Math.max(NOISE, 4 * bytes.length)) {
      kind = 'memory';
      process.send!({
        failure: { index, mutation, seedFile, kind, message: `grew by ${(grown / 2 ** 20).toFixed(0)} MiB` },
      });
      writeFileSync('/proc/self/clear_refs', '5');
      since = memory().resident;
    } else if (outcome.kind === 'crash')
      process.send!({ failure: { index, mutation, seedFile, kind, message: outcome.message } });
    (counts[mutation] ??= {})[kind] = (counts[mutation]?.[kind] ?? 0) + 1;
  }
  process.send!({ done: { counts, largest } });
});
process.on('disconnect', () => process.exit());
