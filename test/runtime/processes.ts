/** Child processes of this one that run models, by their ids. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync } from 'node:fs';

export function modelProcesses(): number[] {
  return processes()
    .filter(({ parent, command }) => parent === process.pid && command.includes('isolated-child'))
    .map(({ id }) => id);
}

interface Process {
  readonly id: number;
  readonly parent: number;
  readonly command: string;
}

function processes(): Process[] {
  // Slim containers have no ps.
  if (existsSync('/proc/self/stat'))
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .flatMap((name) => {
        try {
          const status = readFileSync(`/proc/${name}/stat`, 'utf8');
          const [state, parent] = status.slice(status.lastIndexOf(')') + 2).split(' ');
          // A process that ended and was not yet waited for is no process any more.
          if (state === 'Z') return [];
          return [{ id: Number(name), parent: Number(parent), command: readFileSync(`/proc/${name}/cmdline`, 'utf8') }];
        } catch {
          return []; // It ended while we read.
        }
      });
  return execFileSync('ps', ['-A', '-o', 'pid=,ppid=,command='], { encoding: 'utf8' })
    .split('\n')
    .flatMap((line) => {
      const [, id, parent, command] = /^\s*(\d+)\s+(\d+)\s+(.*)$/.exec(line) ?? [];
      return command === undefined ? [] : [{ id: Number(id), parent: Number(parent), command }];
    });
}
