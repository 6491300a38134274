/** Cases spread over worker processes; one that crashes or hangs is replaced. */
import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import path from 'node:path';
import type { CaseResult } from './result.ts';
import { failed } from './result.ts';

const CASE_LIMIT_SECONDS = 60;

type Answer = { readonly result: CaseResult } | { readonly name: string; readonly error: string };

export async function runCases(
  names: readonly string[],
  workers: number,
  onResult: (result: CaseResult) => void,
): Promise<CaseResult[]> {
  const queue = [...names];
  const results: CaseResult[] = [];
  const one = async () => {
    let child = start();
    for (let name = queue.shift(); name !== undefined; name = queue.shift()) {
      const answer = await ask(child, name);
      const result = 'result' in answer ? answer.result : broken(answer.name, answer.error);
      results.push(result);
      onResult(result);
      if (child.exitCode !== null || child.signalCode !== null || !child.connected) child = start();
    }
    child.disconnect();
  };
  await Promise.all(Array.from({ length: workers }, one));
  return results.sort((a, b) => (a.name < b.name ? -1 : 1));
}

function start(): ChildProcess {
  return fork(path.join(import.meta.dirname, 'worker.ts'), {
    execArgv: ['--import', 'tsx'],
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    serialization: 'advanced',
  });
}

function ask(child: ChildProcess, name: string): Promise<Answer> {
  return new Promise((resolve) => {
    // Counted second by second: a machine that sleeps meanwhile, or is stopped, does not count.
    let seconds = 0;
    const timer = setInterval(() => {
      if (++seconds >= CASE_LIMIT_SECONDS) child.kill('SIGKILL');
    }, 1000);
    const settle = (answer: Answer) => {
      clearInterval(timer);
      child.off('message', settle);
      child.off('exit', crash);
      resolve(answer);
    };
    const crash = (code: number | null, signal: string | null) =>
      settle({ name, error: `the process ended (${signal ?? `code ${code}`})` });
    child.once('exit', crash);
    child.on('message', settle);
    child.send(name);
  });
}

function broken(name: string, error: string): CaseResult {
  const finding = failed(error);
  return {
    name,
    operator: undefined,
    opset: 0,
    roundTrip: finding,
    normalized: finding,
    first: finding,
    second: finding,
  };
}
