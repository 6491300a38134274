import { describe, expect, it } from 'vitest';
import type { Model, Node } from '../../src/onnx/index.ts';
import { explainRow, withModel } from './graphs.ts';
import { makeModel, makeNode } from '../models.ts';

const named = (name: string, node: Node): Node => ({ ...node, name });

/** x [batch, 2] through named nodes to y. */
function modelOf(...nodes: readonly Node[]): Model {
  return makeModel({
    inputs: [{ name: 'x', type: 'float32', dims: ['batch', 2] }],
    outputs: [{ name: 'y', type: 'float32', dims: ['batch', 2] }],
    nodes: [...nodes],
  });
}

const root = modelOf(
  named('stem/square', makeNode('Mul', ['x', 'x'], ['s'])),
  named('norm/root', makeNode('Sqrt', ['s'], ['y'])),
);
const logarithm = modelOf(
  named('head/log', makeNode('Log', ['x'], ['l'])),
  named('head/scale', makeNode('Exp', ['l'], ['e'])),
  named('head/sum', makeNode('Add', ['e', 'l'], ['y'])),
);
const masked = modelOf(
  named('zero', makeNode('Sub', ['x', 'x'], ['zero'])),
  named('mask', makeNode('Log', ['zero'], ['mask'])),
  named('scores', makeNode('Add', ['x', 'mask'], ['scores'])),
  named('attention/softmax', makeNode('Softmax', ['scores'], ['y'])),
);

const failure = (model: Model, method: string, x: readonly number[], from?: readonly number[]) =>
  withModel(model, (host) => explainRow(host, method, x, from === undefined ? {} : { from })).then(
    () => 'no error',
    (error: Error) => error.message,
  );

describe('numbers that are not finite', () => {
  it('name the node whose gradient overflows', async () => {
    expect(await failure(root, 'saliency', [0, 1])).toBe(
      'the gradient at input "x" is not finite: the gradient of node "norm/root" (Sqrt) gives infinity',
    );
  });

  it('name the node that answers with infinity', async () => {
    expect(await failure(logarithm, 'saliency', [0, 1])).toBe(
      'the model\'s answer is not finite: node "head/log" (Log) gives infinity',
    );
  });

  it('name the softmax over a row that is masked out, not the mask, whose infinities are meant', async () => {
    expect(await failure(masked, 'saliency', [1, 1])).toBe(
      'the model\'s answer is not finite: node "attention/softmax" (Softmax) gives NaN',
    );
  });

  it('are found on the way from the baseline, where the input itself is fine', async () => {
    expect(await failure(root, 'saliency', [1, 1])).toBe('no error');
    expect(await failure(root, 'integrated-gradients', [1, 1], [-1, -1])).toMatch(
      /^the gradient at input "x" is not finite: the gradient of node "norm\/root" \(Sqrt\)/,
    );
  });

  it('are found in the answers of perturbed rows', async () => {
    expect(await failure(logarithm, 'occlusion', [1, 1], [0, 0])).toMatch(/node "head\/log" \(Log\) gives infinity/);
  });
});
