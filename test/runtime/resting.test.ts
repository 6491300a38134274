/** Sessions that several callers share: runs in turn, aborts that are nobody else's, memory given back and taken again. */
import { describe, expect, it } from 'vitest';
import type { NamedTensors } from '../../src/onnx/index.ts';
import { ModelHost } from '../../src/runtime/core.ts';
import type { Platform, RunOptions, Session } from '../../src/runtime/core.ts';
import { ModelHost as FileHost } from '../../src/runtime/index.ts';
import { LoadedSessions } from '../../src/runtime/loaded.ts';
import { RestingSession } from '../../src/runtime/resting.ts';
import { testFolder } from '../folder.ts';
import { longChain, randomTensor } from '../handmade.ts';
import { makeModel, makeNode } from '../models.ts';
import { modelProcesses } from './processes.ts';

const folder = testFolder('resting');
const answer: NamedTensors = { y: { type: 'float32', dims: [1], data: Float32Array.of(1) } };

interface Fake extends Session {
  /** Ends the run that goes on, with the answer. */
  finish(): void;
}

/** Sessions as in a child process: a run ends when told to, an aborted one closes the session. */
function fakes(log: string[] = []) {
  const opened: Fake[] = [];
  const open = (): Promise<Session> => {
    const id = opened.length;
    let closed = false;
    let end: ((error?: unknown) => void) | undefined;
    const session: Fake = {
      inputNames: ['x'],
      outputNames: ['y'],
      provider: 'cpu',
      get closed() {
        return closed;
      },
      run: (_, { signal }: RunOptions = {}) => {
        if (closed) return Promise.reject(new Error('run on a closed session'));
        if (end !== undefined) return Promise.reject(new Error('two runs at once'));
        log.push(`run ${id}`);
        return new Promise((resolve, reject) => {
          end = (error) => {
            end = undefined;
            if (error === undefined) resolve(answer);
            else reject(error);
          };
          signal?.addEventListener('abort', () => {
            closed = true;
            end?.(signal.reason);
          });
        });
      },
      release() {
        closed = true;
        log.push(`released ${id}`);
        end?.(new Error('the session was released'));
        return Promise.resolve();
      },
      finish: () => end!(),
    };
    opened.push(session);
    log.push(`opened ${id}`);
    return Promise.resolve(session);
  };
  return { open, opened };
}

const turns = () => new Promise((resolve) => setTimeout(resolve, 5));
const outcome = (run: Promise<unknown>) => run.catch((error: unknown) => error);

describe('a session that several callers share', () => {
  it('runs one at a time', async () => {
    const log: string[] = [];
    const { open, opened } = fakes(log);
    const session = await RestingSession.open(open);
    const runs = [session.run({}), session.run({})];
    await turns();
    expect(log).toEqual(['opened 0', 'run 0']);
    opened[0]!.finish();
    await turns();
    opened[0]!.finish();
    expect(await Promise.all(runs)).toEqual([answer, answer]);
  });

  it('answers the others when one aborts the run that goes on', async () => {
    const { open, opened } = fakes();
    const session = await RestingSession.open(open);
    const controller = new AbortController();
    const mine = outcome(session.run({}, { signal: controller.signal }));
    const others = [session.run({}), session.run({})];
    await turns();
    controller.abort('mine');
    expect(await mine).toBe('mine');
    await turns();
    opened[1]!.finish();
    await turns();
    opened[1]!.finish();
    expect(await Promise.all(others)).toEqual([answer, answer]);
    expect(opened).toHaveLength(2);
  });

  it('leaves the run that goes on alone when one that waits is aborted', async () => {
    const { open, opened } = fakes();
    const session = await RestingSession.open(open);
    const other = session.run({});
    const controller = new AbortController();
    const mine = outcome(session.run({}, { signal: controller.signal }));
    await turns();
    controller.abort('mine');
    expect(await mine, 'at once').toBe('mine');
    opened[0]!.finish();
    expect(await other).toBe(answer);
    expect([session.closed, opened.length]).toEqual([false, 1]);
  });

  it('can be loaded again after it once could not', async () => {
    const { open, opened } = fakes();
    let memory = true;
    const session = await RestingSession.open(() => (memory ? open() : Promise.reject(new Error('no memory'))));
    await session.rest();
    memory = false;
    await expect(session.run({})).rejects.toThrow('no memory');
    memory = true;
    const run = session.run({});
    await turns();
    opened[1]!.finish();
    expect(await run).toBe(answer);
  });

  it('rests only when the runs that were asked for have ended', async () => {
    const log: string[] = [];
    const { open, opened } = fakes(log);
    const session = await RestingSession.open(open);
    const first = session.run({});
    const rest = session.rest();
    const second = session.run({});
    await turns();
    opened[0]!.finish();
    await rest;
    await turns();
    opened[1]!.finish();
    expect(await Promise.all([first, second])).toEqual([answer, answer]);
    expect(log).toEqual(['opened 0', 'run 0', 'released 0', 'opened 1', 'run 1']);
  });

  it('is released at once, whatever runs or is being loaded', async () => {
    const log: string[] = [];
    const { open } = fakes(log);
    const session = await RestingSession.open(open);
    const run = outcome(session.run({}));
    const waiting = outcome(session.run({}));
    await turns();
    await session.release();
    expect(String(await run)).toContain('released');
    expect(String(await waiting)).toContain('released');
    const loading = await RestingSession.open(open);
    await loading.rest();
    const woken = outcome(loading.run({}));
    await loading.release();
    expect(String(await woken)).toContain('released');
    expect(log.filter((line) => line.startsWith('opened'))).toHaveLength(
      log.filter((line) => line.startsWith('released')).length,
    );
  });
});

describe('sessions kept loaded', () => {
  const sized = async (loaded: LoadedSessions, bytes: number, log: string[] = []) => {
    const { open, opened } = fakes(log);
    return { session: await RestingSession.open(open, { loaded, bytes }), opened };
  };
  const isLoaded = ({ opened }: { opened: readonly Fake[] }) => !opened.at(-1)!.closed;

  it('are as many as may be: the one longest unused goes first', async () => {
    const loaded = new LoadedSessions({ sessions: 2, bytes: Infinity });
    const a = await sized(loaded, 1);
    const b = await sized(loaded, 1);
    const run = a.session.run({});
    await turns();
    a.opened[0]!.finish();
    await run;
    const c = await sized(loaded, 1);
    expect([a, b, c].map(isLoaded)).toEqual([true, false, true]);
    expect(b.session.closed, 'it wakes when it is run').toBe(false);
  });

  it('take as many bytes as they may', async () => {
    const loaded = new LoadedSessions({ sessions: 10, bytes: 100 });
    const [a, b] = [await sized(loaded, 60), await sized(loaded, 30)];
    expect([a, b].map(isLoaded)).toEqual([true, true]);
    const c = await sized(loaded, 50);
    expect([a, b, c].map(isLoaded)).toEqual([false, true, true]);
    const large = await sized(loaded, 1000);
    expect([a, b, c, large].map(isLoaded), 'alone, when it is larger than all').toEqual([false, false, false, true]);
  });

  it('are never those that run or wait to', async () => {
    const loaded = new LoadedSessions({ sessions: 1, bytes: Infinity });
    const a = await sized(loaded, 1);
    const run = a.session.run({});
    await turns();
    const b = await sized(loaded, 1);
    expect([a, b].map(isLoaded)).toEqual([true, true]);
    a.opened[0]!.finish();
    expect(await run).toBe(answer);
    await sized(loaded, 1);
    expect([a, b].map(isLoaded)).toEqual([false, false]);
  });

  it('are counted as gone when they were released or their process ended', async () => {
    const loaded = new LoadedSessions({ sessions: 2, bytes: Infinity });
    const a = await sized(loaded, 1);
    const b = await sized(loaded, 1);
    await b.session.release();
    const c = await sized(loaded, 1);
    await c.opened[0]!.release();
    const d = await sized(loaded, 1);
    expect([a, d].map(isLoaded)).toEqual([true, true]);
  });
});

describe('a host', () => {
  const model = makeModel({
    inputs: [{ name: 'x', type: 'float32', dims: [1] }],
    outputs: [{ name: 'y', type: 'float32', dims: [1] }],
    nodes: [makeNode('Identity', ['x'], ['y'])],
  });
  const source = { path: 'm.onnx', sha256: '', model, weightsIn: 'm.onnx', external: [] };

  it('keeps as many programs loaded as it is told, and gives each back when it is asked for', async () => {
    const { open, opened } = fakes();
    const platform: Platform = {
      openSession: open,
      sha256: () => '',
      store: undefined,
      defaultProvider: 'cpu',
      defaultThreads: 1,
      versions: {},
    };
    const host = new ModelHost(source, platform, { loaded: new LoadedSessions({ sessions: 2, bytes: Infinity }) });
    const program = (id: number) => host.program({ id }, (each) => each);
    const first = await program(1);
    for (const id of [2, 3, 4]) await program(id);
    expect(opened.map(({ closed }) => closed)).toEqual([true, true, false, false]);
    expect(await program(1), 'the same session').toBe(first);
    const run = first.run({});
    await turns();
    opened.at(-1)!.finish();
    expect(await run).toBe(answer);
    expect(
      opened.map(({ closed }) => closed),
      'loaded anew',
    ).toEqual([true, true, true, false, false]);
    await host.release();
    expect(opened.every(({ closed }) => closed)).toBe(true);
  });

  it('answers one caller when another aborts the same program, in child processes', async () => {
    const size = 300;
    const loaded = new LoadedSessions({ sessions: 1, bytes: Infinity });
    const file = folder.write('long.onnx', longChain(size, 80));
    const host = await FileHost.open(file, { cache: false, isolated: true, threads: 1, loaded });
    const feeds: NamedTensors = { x: randomTensor([size, size], 3) };
    const session = await host.program({ id: 1 }, (each) => each);
    const expected = await session.run(feeds);
    const controller = new AbortController();
    const mine = outcome(session.run(feeds, { signal: controller.signal }));
    const other = session.run(feeds);
    setTimeout(() => controller.abort('mine'), 50);
    expect(await mine).toBe('mine');
    expect(await other).toEqual(expected);
    await host.program({ id: 2 }, (each) => each);
    expect(modelProcesses(), 'the other program rests').toHaveLength(1);
    await host.release();
    expect(modelProcesses()).toEqual([]);
  });
});
