/** A model file and the programs compiled from it: the cache, and what must never come out of it. */
import { chmodSync, copyFileSync, existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { ExplainableModel } from '../../src/attribution/index.ts';
import type { NamedTensors } from '../../src/onnx/index.ts';
import { UserError, writeModel } from '../../src/onnx/index.ts';
import type { HostOptions } from '../../src/runtime/index.ts';
import { ModelHost } from '../../src/runtime/index.ts';
import { testFolder } from '../folder.ts';
import { externalWeight, longChain, perceptron, randomTensor } from '../handmade.ts';
import { modelProcesses } from './processes.ts';

const folder = testFolder('host');
const file = folder.write('model.onnx', perceptron());
const x = randomTensor([1, 4], 1);
const request = { of: 'y' };

let caches = 0;
const freshCache = () => folder.at(`cache-${caches++}`);

/** Opens the file, asks for a program, says how often it was compiled and what it answers. */
async function answer(options: HostOptions, model = file): Promise<{ compiled: number; y: number[] }> {
  const host = await ModelHost.open(model, { threads: 1, ...options });
  const compile = vi.fn((given: ModelHost['model']) => given);
  const session = await host.program(request, compile);
  const { y } = await session.run({ x });
  await host.release();
  return { compiled: compile.mock.calls.length, y: Array.from(y!.data, Number) };
}

describe('the cache of programs', () => {
  it('does not compile again what it has', async () => {
    const cache = freshCache();
    const first = await answer({ cache });
    const second = await answer({ cache });
    expect([first.compiled, second.compiled]).toEqual([1, 0]);
    expect(second.y).toEqual(first.y);
  });

  it('holds a program of a few kB that refers to the file for its weights', async () => {
    const [cache, big] = [freshCache(), folder.write('big.onnx', longChain(128, 2))];
    const host = await ModelHost.open(big, { cache });
    await host.program(request, (model) => model);
    await host.release();
    const program = readdirSync(cache).find((name) => name.endsWith('.onnx'))!;
    expect(readFileSync(path.join(cache, program)).length).toBeLessThan(4096);
  });

  it('keeps loaded programs in memory', async () => {
    const host = await ModelHost.open(file, { cache: false });
    const compile = vi.fn((model: ModelHost['model']) => model);
    const sessions = await Promise.all([host.program(request, compile), host.program(request, compile)]);
    expect(sessions[0]).toBe(sessions[1]);
    expect(compile).toHaveBeenCalledTimes(1);
    await host.program({ of: 'another' }, compile);
    expect(compile).toHaveBeenCalledTimes(2);
    await host.release();
  });

  it('compiles for another file of the same name', async () => {
    const cache = freshCache();
    const other = folder.write('other/model.onnx', perceptron(77));
    const first = await answer({ cache });
    const second = await answer({ cache }, other);
    expect(second.compiled).toBe(1);
    expect(second.y).not.toEqual(first.y);
    // The same bytes in another place are the same model.
    copyFileSync(file, folder.write('copy/model.onnx', ''));
    expect(await answer({ cache }, folder.at('copy/model.onnx'))).toEqual({ compiled: 0, y: first.y });
  });

  const harm: readonly (readonly [string, (program: string, checksum: string) => void])[] = [
    ['empty', (program) => writeFileSync(program, '')],
    ['cut short', (program) => writeFileSync(program, readFileSync(program).subarray(0, 100))],
    ['changed in one bit', (program) => writeFileSync(program, flipped(readFileSync(program)))],
    ['another model', (program) => writeFileSync(program, writeModel(perceptron(99)))],
    ['without its checksum', (_, checksum) => writeFileSync(checksum, '')],
    ['of a checksum of its own', (_, checksum) => writeFileSync(checksum, 'f'.repeat(64))],
  ];
  it.each(harm)('compiles anew instead of using a program that is %s', async (_, spoil) => {
    const cache = freshCache();
    const first = await answer({ cache });
    const find = (end: string) =>
      path.join(
        cache,
        readdirSync(cache).find((name) => name.endsWith(end))!,
      );
    spoil(find('.onnx'), find('.sha256'));
    expect(await answer({ cache })).toEqual(first);
    expect((await answer({ cache })).compiled, 'and mends it').toBe(0);
  });

  it('does not mind a folder that cannot be written, nor leaves anything half-written', async () => {
    const blocked = folder.write('a-file', 'in the way');
    expect((await answer({ cache: blocked })).compiled).toBe(1);
    expect((await answer({ cache: path.join(blocked, 'deeper') })).compiled).toBe(1);
    const locked = freshCache();
    mkdirSync(locked);
    chmodSync(locked, 0o555);
    expect((await answer({ cache: locked })).compiled).toBe(1);
    chmodSync(locked, 0o755);
    // A folder where the program should go: writing succeeds, moving it there does not.
    const taken = freshCache();
    await answer({ cache: taken });
    const names = readdirSync(taken);
    const other = freshCache();
    for (const name of names) mkdirSync(path.join(other, name), { recursive: true });
    expect((await answer({ cache: other })).compiled).toBe(1);
    expect(readdirSync(other).toSorted()).toEqual(names.toSorted());
  });

  it('remembers what was checked, for these bytes of a program only', async () => {
    const cache = freshCache();
    const host = await ModelHost.open(file, { cache });
    await host.program(request, (model) => model);
    expect(await host.isChecked(request)).toBe(false);
    await host.rememberChecked(request);
    expect(await host.isChecked(request)).toBe(true);
    expect(await host.isChecked({ of: 'another' })).toBe(false);
    await host.release();
    const again = await ModelHost.open(file, { cache });
    await again.program(request, (model) => model);
    expect(await again.isChecked(request), 'in another process').toBe(true);
    await again.release();
    for (const name of readdirSync(cache).filter((each) => !each.endsWith('.checked')))
      writeFileSync(path.join(cache, name), '');
    const changed = await ModelHost.open(file, { cache });
    await changed.program(request, (model) => ({ ...model, producer: 'another compiler' }));
    expect(await changed.isChecked(request), 'for another program').toBe(false);
    await changed.release();
  });
});

const flipped = (bytes: Uint8Array) =>
  Uint8Array.from(bytes, (byte, at) => (at === bytes.length >> 1 ? byte ^ 1 : byte));

describe('a host', () => {
  it('opens an isolated program anew after an aborted run', async () => {
    const size = 700;
    const host = await ModelHost.open(folder.write('long.onnx', longChain(size, 120)), {
      cache: false,
      isolated: true,
      threads: 1,
    });
    const compile = (model: ModelHost['model']) => model;
    const feeds: NamedTensors = { x: randomTensor([size, size], 3) };
    const session = await host.program(request, compile);
    await expect(session.run(feeds, { signal: AbortSignal.timeout(50) })).rejects.toThrow(/timeout/i);
    const [first, second] = await Promise.all([host.program(request, compile), host.program(request, compile)]);
    expect(first).toBe(second);
    expect(first.closed).toBe(false);
    expect(modelProcesses()).toHaveLength(1);
    await host.release();
    expect(modelProcesses()).toEqual([]);
  });

  it('says which file of weights is missing', async () => {
    const opened = ModelHost.open(folder.write('external.onnx', externalWeight('gone.bin')), { cache: false });
    await expect(opened).rejects.toThrow(/external\.onnx: the weight "w" is in gone\.bin, which is missing/);
    expect(existsSync(folder.at('gone.bin'))).toBe(false);
  });

  it('gives explanations the same numbers in this process and in a child', async () => {
    const explain = async (isolated: boolean) => {
      const model = await ExplainableModel.open(file, { isolated, cache: false, threads: 1 });
      const { explanation } = await model.explain({ tensors: { x } });
      await model.release();
      return explanation.attributions;
    };
    expect(await explain(true)).toEqual(await explain(false));
  });

  it('refuses what is no file of a model', async () => {
    await expect(ModelHost.open(folder.path)).rejects.toThrow(UserError);
    await expect(ModelHost.open(folder.at('none.onnx'))).rejects.toThrow(/there is no such file/);
  });
});
