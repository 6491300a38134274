/** Sessions in this process and in a child: the same numbers, and what only a child can do. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { UserError, writeModel } from '../../src/onnx/index.ts';
import type { Session } from '../../src/runtime/index.ts';
import { openIsolatedSession, openSession } from '../../src/runtime/index.ts';
import { longChain, perceptron, randomTensor, zipMap } from '../handmade.ts';
import { modelProcesses } from './processes.ts';

const open: Session[] = [];
/** Loads a model; it is released after the test. */
async function opened(session: Promise<Session>): Promise<Session> {
  open.push(await session);
  return session;
}
const inProcess = (bytes: Uint8Array) => opened(openSession(bytes, { threads: 1 }));
const isolated = (bytes: Uint8Array) => opened(openIsolatedSession(bytes, { threads: 1 }));
afterEach(async () => {
  for (const session of open.splice(0)) await session.release();
});
afterAll(() => expect(modelProcesses(), 'children left over').toEqual([]));

const small = writeModel(perceptron());
const x = randomTensor([3, 4], 11);
/** Seconds of work on one core. */
const SIZE = 700;
const long = writeModel(longChain(SIZE, 120));
const longFeeds = { x: randomTensor([SIZE, SIZE], 12) };

describe.each([
  ['in this process', inProcess],
  ['in a child process', isolated],
])('a session %s', (_, load) => {
  it('names inputs and outputs, computes all or those asked for, and closes', async () => {
    const session = await load(small);
    expect([session.inputNames, session.outputNames, session.closed]).toEqual([['x'], ['y'], false]);
    const { y } = await session.run({ x });
    expect([y!.type, y!.dims]).toEqual(['float32', [3, 3]]);
    expect((await session.run({ x }, { outputs: ['y'] }))['y']!.data).toEqual(y!.data);
    await session.release();
    await session.release();
    expect(session.closed).toBe(true);
    await expect(session.run({ x })).rejects.toThrow('the session was released');
  });

  it('says in one line of people’s words what onnxruntime refuses', async () => {
    await expect(load(new Uint8Array([1, 2, 3]))).rejects.toThrow(UserError);
    const session = await load(small);
    const refusal = await session.run({ x: randomTensor([3, 5], 1) }).catch((error: unknown) => error as Error);
    expect(refusal).toBeInstanceOf(UserError);
    expect((refusal as Error).message).not.toMatch(/\n|\.cc:\d|\.h:\d/);
  });

  it('says of an output that is no tensor that it is none', async () => {
    const session = await load(writeModel(zipMap(true)));
    const row = randomTensor([1, 4], 2);
    await expect(session.run({ x: row })).rejects.toThrow(/not a tensor|Non tensor type/i);
    expect((await session.run({ x: row }, { outputs: ['scores'] }))['scores']!.dims).toEqual([1, 3]);
  });

  it('rejects with the reason of a signal that was aborted before', async () => {
    const session = await load(small);
    await expect(session.run({ x }, { signal: AbortSignal.abort('changed my mind') })).rejects.toBe('changed my mind');
    await expect(session.run({ x }), 'and stays usable').resolves.toHaveProperty('y');
  });
});

describe('a session in a child process', () => {
  it('computes the same numbers', async () => {
    const [here, there] = [await inProcess(small), await isolated(small)];
    expect(await there.run({ x })).toEqual(await here.run({ x }));
  });

  it('leaves the event loop free during a long run', async () => {
    const session = await isolated(long);
    let [ticks, last, gap] = [0, performance.now(), 0];
    const timer = setInterval(() => {
      const now = performance.now();
      [ticks, gap, last] = [ticks + 1, Math.max(gap, now - last), now];
    }, 5);
    const started = performance.now();
    await session.run(longFeeds);
    clearInterval(timer);
    const took = performance.now() - started;
    expect(took, 'it is a long run').toBeGreaterThan(300);
    expect(gap, 'the longest gap in ms').toBeLessThan(Math.max(100, took / 4));
    expect(ticks).toBeGreaterThan(took / 40);
  });

  it('is killed by an abort at once, and rejects with its reason', async () => {
    const session = await isolated(long);
    const [child] = modelProcesses();
    const controller = new AbortController();
    const reason = { because: 'the person went on' };
    const running = session.run(longFeeds, { signal: controller.signal }).catch((error: unknown) => error);
    await sleep(100);
    const aborted = performance.now();
    controller.abort(reason);
    expect(await running).toBe(reason);
    while (modelProcesses().includes(child!)) await sleep(2);
    expect(performance.now() - aborted).toBeLessThan(200);
    expect(session.closed).toBe(true);
    await expect(session.run({ x })).rejects.toThrow('closed by an aborted run');
  });

  it('tells other runs from the one that was aborted', async () => {
    const session = await isolated(long);
    const controller = new AbortController();
    const mine = session.run(longFeeds, { signal: controller.signal }).catch((error: unknown) => error);
    const other = session.run(longFeeds).catch((error: unknown) => error);
    await sleep(50);
    controller.abort('mine');
    expect(await mine).toBe('mine');
    expect(String(await other)).toContain('closed by an aborted run');
  });

  it('says clearly that its process ended', async () => {
    const session = await isolated(long);
    const running = session.run(longFeeds).catch((error: unknown) => error as Error);
    await sleep(50);
    process.kill(modelProcesses()[0]!, 'SIGKILL');
    const error = await running;
    expect(error).toBeInstanceOf(UserError);
    expect(String(error)).toMatch(/the process that runs the model ended \(SIGKILL\)/);
    expect(session.closed).toBe(true);
  });

  it('leaves no process when it is released, even during a run', async () => {
    const session = await isolated(long);
    expect(modelProcesses()).toHaveLength(1);
    const running = session.run(longFeeds).catch((error: unknown) => error);
    await session.release();
    expect(modelProcesses()).toEqual([]);
    expect(String(await running)).toContain('released');
  });

  it('leaves no process when the model does not load', async () => {
    await expect(openIsolatedSession(new Uint8Array([1, 2, 3]))).rejects.toThrow(UserError);
    expect(modelProcesses()).toEqual([]);
  });
});
