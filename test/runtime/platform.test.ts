import { createHash } from 'node:crypto';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { NamedTensors } from '../../src/onnx/index.ts';
import { UserError } from '../../src/onnx/index.ts';
import { ModelHost, RunError } from '../../src/runtime/core.ts';
import type { Platform, Provider, Session } from '../../src/runtime/core.ts';
import { digestOf, webSha256 } from '../../src/runtime/sha256.ts';
import { makeModel, makeNode } from '../models.ts';

const hex = (digest: ArrayBuffer) => Buffer.from(digest).toString('hex');

describe('SHA-256 without the platform', () => {
  it('is that of Node for any bytes', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), async (bytes) => {
        const expected = createHash('sha256').update(bytes).digest('hex');
        expect(hex(digestOf(bytes))).toBe(expected);
        expect(await webSha256(bytes)).toBe(expected);
      }),
    );
  });
});

/** A platform whose sessions on `webgpu` do as they are told, and answer 1 on the CPU. */
function platform(webgpu: (feeds: NamedTensors) => NamedTensors, cpu = webgpu, log: string[] = []): Platform {
  const session = (provider: Provider, run: (feeds: NamedTensors) => NamedTensors): Session => {
    let closed = false;
    return {
      inputNames: ['x'],
      outputNames: ['y'],
      provider,
      get closed() {
        return closed;
      },
      run: (feeds) => Promise.resolve().then(() => run(feeds)),
      release() {
        closed = true;
        log.push(`released ${provider}`);
        return Promise.resolve();
      },
    };
  };
  return {
    openSession: (_, { provider = 'cpu' }) => Promise.resolve(session(provider, provider === 'webgpu' ? webgpu : cpu)),
    sha256: webSha256,
    store: undefined,
    defaultProvider: 'cpu',
    defaultThreads: 1,
    versions: {},
  };
}

const model = makeModel({
  inputs: [{ name: 'x', type: 'float32', dims: [1] }],
  outputs: [{ name: 'y', type: 'float32', dims: [1] }],
  nodes: [makeNode('Identity', ['x'], ['y'])],
});
const source = { path: 'm.onnx', sha256: '', model, weightsIn: 'm.onnx', external: [] };
const answer: NamedTensors = { y: { type: 'float32', dims: [1], data: Float32Array.of(1) } };
const fail = (error: Error) => () => {
  throw error;
};

describe('a provider that turns out not to run a model', () => {
  it('is left for the CPU, for good, and noted', async () => {
    const log: string[] = [];
    const host = new ModelHost(
      source,
      platform(fail(new RunError('onnxruntime: no Indices')), () => answer, log),
      {
        provider: 'webgpu',
      },
    );
    const session = await host.program({}, (each) => each);
    expect(host.notes).toEqual([]);
    expect(await session.run({})).toEqual(answer);
    expect(session.provider).toBe('cpu');
    expect(host.provider).toBe('cpu');
    expect(host.notes).toEqual([
      'WebGPU cannot run this model (onnxruntime: no Indices): the model runs on the CPU instead',
    ]);
    expect(log).toEqual(['released webgpu']);
    expect(await host.program({}, (each) => each)).toBe(session);
  });

  it('is kept when the CPU refuses the same: then it was for what it was given', async () => {
    const refuse = fail(new RunError('onnxruntime: wrong shape'));
    const host = new ModelHost(source, platform(refuse), { provider: 'webgpu' });
    const session = await host.program({}, (each) => each);
    await expect(session.run({})).rejects.toThrow('wrong shape');
    expect(session.provider).toBe('webgpu');
    expect(host.notes).toEqual([]);
  });

  it('is kept when something else went wrong', async () => {
    const host = new ModelHost(
      source,
      platform(fail(new UserError('given up')), () => answer),
      { provider: 'webgpu' },
    );
    await expect((await host.program({}, (each) => each)).run({})).rejects.toThrow('given up');
    expect(host.provider).toBe('webgpu');
  });

  it('is left once only, with its sessions', async () => {
    const log: string[] = [];
    const host = new ModelHost(
      source,
      platform(
        () => answer,
        () => answer,
        log,
      ),
      { provider: 'webgpu' },
    );
    await host.program({}, (each) => each);
    expect(await host.leaveProvider('answers differently')).toBe(true);
    expect(await host.leaveProvider('answers differently')).toBe(false);
    expect(log).toEqual(['released webgpu']);
    expect((await host.program({}, (each) => each)).provider).toBe('cpu');
    expect(host.notes).toEqual(['WebGPU answers differently: the model runs on the CPU instead']);
  });
});
