/** Builds once before the tests: the command line and the child process of isolated sessions run from dist/. */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';

export function setup(): void {
  const root = path.resolve(import.meta.dirname, '..');
  // tsc goes by its record of the last build alone; it would not see that somebody removed dist/.
  const whole = existsSync(path.join(root, 'dist/cli/bin.js')) ? [] : ['--force'];
  const compiler = path.join(root, 'node_modules/typescript/bin/tsc');
  execFileSync(process.execPath, [compiler, '-b', ...whole], { cwd: root, stdio: 'inherit' });
}
