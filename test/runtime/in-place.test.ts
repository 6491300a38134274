/** Large weights are used where they lie in the file, and of a large model only one session is in memory. */
import { closeSync, ftruncateSync, openSync, writeSync } from 'node:fs';
import { describe, expect, it, vi } from 'vitest';
import { BLOCKED_RULES, appendGradients, differentiate, prepareFor } from '../../src/autodiff/index.ts';
import type { Model, Weight } from '../../src/onnx/index.ts';
import { GraphBuilder, ints, normalizeModel, pruneModel, readModel, writeModel } from '../../src/onnx/index.ts';
import { ModelHost, openSession } from '../../src/runtime/index.ts';
import { LARGE_WEIGHTS, weightsInPlace } from '../../src/runtime/in-place.ts';
import { RestingSession } from '../../src/runtime/resting.ts';
import { testFolder } from '../folder.ts';
import { perceptron, randomTensor, randomWeight } from '../handmade.ts';
import { makeModel, makeNode } from '../models.ts';

const folder = testFolder('in-place');
const zeros = Array<number>(7).fill(0);

/** Two products, one with a weight that a convolution's neighbour also reads, and a convolution. */
const mixed = writeModel(
  makeModel({
    inputs: [{ name: 'x', type: 'float32', dims: ['batch', 128] }],
    outputs: [{ name: 'y', type: 'float32', dims: undefined }],
    nodes: [
      makeNode('MatMul', ['x', 'w'], ['h']),
      makeNode('Tanh', ['h'], ['t']),
      makeNode('Gemm', ['t', 'v'], ['g']),
      makeNode('Relu', ['both'], ['changed']),
      makeNode('MatMul', ['g', 'both'], ['a']),
      makeNode('MatMul', ['a', 'changed'], ['z']),
      makeNode('Unsqueeze', ['z', 'axes'], ['image']),
      makeNode('Conv', ['image', 'kernel'], ['y'], { kernel_shape: ints([1, 1]) }),
    ],
    initializers: [
      ['w', randomWeight([128, 128], 1, 0.2)],
      ['v', randomWeight([128, 128], 2, 0.2)],
      ['both', randomWeight([128, 128], 3, 0.2)],
      ['kernel', randomWeight([128, 1, 1, 1], 4)],
      [
        'axes',
        { type: 'int64', dims: [2], storage: { kind: 'bytes', bytes: Uint8Array.from([1, ...zeros, 2, ...zeros]) } },
      ],
    ],
  }),
);

describe('weights in place', () => {
  it('are the matrices that nothing but products reads, in models that are large', () => {
    const model = readModel(mixed);
    expect([...weightsInPlace(model, 0)]).toEqual(['w', 'v']);
    expect([...weightsInPlace(model)]).toEqual([]);
  });

  it('are the same where both passes read them, in the program for onnxruntime’s CPU too', () => {
    const model = prepareFor({ set: 'blocked' }, normalizeModel(readModel(mixed)), ['y']);
    const b = new GraphBuilder(model);
    b.setOutputs([]);
    const seed = b.onesLike('y');
    const gradients = appendGradients(b, { of: 'y', wrt: ['x'], seed, rules: BLOCKED_RULES });
    b.addOutput(gradients.get('x')!, 'gradient');
    const program = pruneModel(b.build());
    expect(program.graph.nodes.map(({ operator }) => operator)).toContain('FusedMatMul');
    expect([...weightsInPlace(program, 0)]).toEqual(['w', 'v']);
  });

  it('give the same gradient, and are not asked for', async () => {
    folder.write('mixed.onnx', mixed);
    const model = normalizeModel(readModel(mixed));
    const program = differentiate(model, { of: 'y', wrt: ['x'] }).model;
    const x = randomTensor([3, 128], 9);
    const gradient = async (overridable: ReadonlySet<string>) => {
      const bytes = writeModel(program, { weightsIn: 'mixed.onnx', overridable });
      const session = await openSession(bytes, { threads: 1, weightsFolder: folder.path });
      expect(session.inputNames).toEqual(['x']);
      const { x_grad } = await session.run({ x });
      await session.release();
      return Array.from(x_grad!.data, Number);
    };
    const [packed, inPlace] = [await gradient(new Set()), await gradient(weightsInPlace(program, 0))];
    const largest = Math.max(...packed.map(Math.abs));
    for (const [index, value] of inPlace.entries())
      expect(Math.abs(value - packed[index]!)).toBeLessThan(1e-5 * largest);
  });

  it('are weights again when the program is read back', () => {
    const model = readModel(writeModel(readModel(mixed), { overridable: new Set(['w']) }));
    expect(model.graph.inputs.map(({ name }) => name)).toEqual(['x']);
    expect(model.graph.initializers.has('w')).toBe(true);
  });
});

describe('a session that rests', () => {
  const open = () => vi.fn(() => openSession(writeModel(perceptron()), { threads: 1 }));
  const x = randomTensor([1, 4], 1);

  it('is loaded again by the next run, and only then', async () => {
    const opening = open();
    const session = await RestingSession.open(opening);
    const before = await session.run({ x });
    await session.rest();
    await session.rest();
    expect([session.closed, opening.mock.calls.length]).toEqual([false, 1]);
    expect(await Promise.all([session.run({ x }), session.run({ x })])).toEqual([before, before]);
    expect(opening).toHaveBeenCalledTimes(2);
    await session.release();
    expect(session.closed).toBe(true);
    await expect(session.run({ x })).rejects.toThrow('released');
  });

  it('waits for what runs', async () => {
    const session = await RestingSession.open(open());
    const run = session.run({ x });
    await session.rest();
    await expect(run).resolves.toHaveProperty('y');
    await session.release();
  });
});

it('a program of a large model rests while the unmodified model is asked, then answers as before', async () => {
  const side = 8192;
  const weight: Weight = {
    type: 'float32',
    dims: [side, side],
    storage: { kind: 'external', location: 'large.bin', offset: 0, length: LARGE_WEIGHTS },
  };
  const large: Model = makeModel({
    inputs: [{ name: 'x', type: 'float32', dims: ['batch', side] }],
    outputs: [{ name: 'y', type: 'float32', dims: ['batch', side] }],
    nodes: [makeNode('MatMul', ['x', 'w'], ['y'])],
    initializers: [['w', weight]],
  });
  const file = folder.write('large.onnx', large);
  // Zeros that take no room on the disk, but for one row.
  const data = openSync(folder.at('large.bin'), 'w');
  ftruncateSync(data, LARGE_WEIGHTS);
  writeSync(data, new Uint8Array(new Float32Array(side).fill(0.5).buffer), 0, side * 4, 0);
  closeSync(data);
  const host = await ModelHost.open(file, { cache: false, threads: 1 });
  const program = await host.program({ test: 1 }, (model) => differentiate(model, { of: 'y', wrt: ['x'] }).model);
  const x = randomTensor([1, side], 1);
  const first = await program.run({ x });
  const original = await host.openOriginal();
  expect((await original.run({ x }))['y']!.data).toEqual(first['y']!.data);
  await original.release();
  const second = await program.run({ x });
  expect(second).toEqual(first);
  expect([second['x_grad']!.data[0], second['x_grad']!.data[1]]).toEqual([side / 2, 0]);
  await host.release();
  expect(program.closed).toBe(true);
});
