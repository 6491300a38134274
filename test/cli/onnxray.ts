/** The command line as a person runs it: the built program in a process of its own. */
import { execFile } from 'node:child_process';
import path from 'node:path';
import { expect } from 'vitest';
import { repository } from '../folder.ts';

export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly ms: number;
}

export interface Surroundings {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** Runs `onnxray` with these arguments; neither output is a terminal. */
export function onnxray(args: readonly string[], { cwd = repository, env = {} }: Surroundings = {}): Promise<Outcome> {
  const started = performance.now();
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [path.join(repository, 'dist/cli/bin.js'), ...args],
      { cwd, env: { ...process.env, ...env }, maxBuffer: 2 ** 28 },
      (error, stdout, stderr) => {
        // A signal has no number: -1 is no exit code.
        const code = error === null ? 0 : typeof error.code === 'number' ? error.code : -1;
        resolve({ code, stdout, stderr, ms: performance.now() - started });
      },
    );
  });
}

/** Runs a command that must succeed silently and gives the one JSON document it prints. */
export async function onnxrayJson<T>(args: readonly string[], surroundings?: Surroundings): Promise<T> {
  const { code, stdout, stderr } = await onnxray([...args, '--json'], surroundings);
  expect(stderr, 'stderr').toBe('');
  expect(code, 'exit code').toBe(0);
  expect(stdout.trimEnd().includes('\n'), 'more than one line on stdout').toBe(false);
  return JSON.parse(stdout) as T;
}

/** A refusal: the exit code, one line on stderr that matches, nothing on stdout, no trace of our code, and quickly. */
export function expectRefusal({ code, stdout, stderr, ms }: Outcome, exitCode: 1 | 2, message: RegExp): void {
  expect(stderr).toMatch(/^onnxray: [^\n]+\n$/);
  expect(stderr).toMatch(message);
  expect(stderr).not.toMatch(/unexpected|\n\s+at |\.(?:ts|js|cc|h):\d+|undefined|\[object/);
  expect(stderr.length, 'a line one can read').toBeLessThan(600);
  expect(stdout).toBe('');
  expect(code).toBe(exitCode);
  expect(ms, 'milliseconds').toBeLessThan(15_000);
}
