import { expect, it } from 'vitest';
import { attribute } from '../../src/attribution/index.ts';
import type { AttributeRequest } from '../../src/attribution/index.ts';
import { buildModel, row, withModel } from './graphs.ts';

const model = buildModel(4, (b, x) => b.sum(b.op('Tanh', [b.mul(x, x)]), [1], true));

it.each<[string, NonNullable<AttributeRequest['options']>]>([
  ['integrated-gradients', { steps: 20 }],
  ['guided-ig', { steps: 20 }],
  ['rise', { n_masks: 300 }],
  ['meaningful-perturbation', { iterations: 20 }],
  ['integrated-hessians', {}],
  ['occlusion', {}],
])('%s tells how far it is, from little to all', (method, options) =>
  withModel(model, async (host) => {
    const seen: [number, number][] = [];
    const onProgress = (done: number, total: number) => void seen.push([done, total]);
    const target = { label: '0', indices: [0] };
    // Room for one row at a time: every method has something to tell.
    await attribute(host, { inputs: { x: row([1, 2, 3, 4]) }, method, options, target, onProgress, memoryBudget: 1 });
    const total = seen.at(-1)![1];
    const last = seen.filter((each) => each[1] === total);
    expect(last.length).toBeGreaterThan(3);
    expect(last.map(([done]) => done)).toEqual(last.map(([done]) => done).toSorted((left, right) => left - right));
    expect(last.at(-1)![0]).toBe(total);
    expect(last[0]![0]).toBeLessThan(total);
  }),
);
