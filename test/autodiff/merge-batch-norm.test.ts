/** Batch normalisation taken into the weights of what stands before it, for relevance rules. */
import { expect, test } from 'vitest';
import { prepareFor } from '../../src/autodiff/index.ts';
import type { Graph, Model, Node } from '../../src/onnx/index.ts';
import { ints, normalizeModel, numbersWeight, sizeOf } from '../../src/onnx/index.ts';
import { chance, makeModel, makeNode, numbersOf, runModel } from '../models.ts';

const random = chance(5);
const weight = (dims: number[], low = -1, high = 1) =>
  numbersWeight(
    'float32',
    dims,
    Array.from({ length: sizeOf(dims) }, () => random(low, high)),
  );

const conv = makeNode('Conv', ['x', 'w', 'bias'], ['c'], { pads: ints([1, 1, 1, 1]) });
const norm = makeNode('BatchNormalization', ['c', 'scale', 'shift', 'mean', 'variance'], ['n']);

function modelOf(nodes: readonly Node[], outputs: readonly string[]): Model {
  return normalizeModel(
    makeModel({
      inputs: [
        { name: 'x', type: 'float32', dims: [1, 2, 4, 4] },
        { name: 'flag', type: 'bool', dims: [] },
      ],
      outputs: outputs.map((name) => ({ name, type: 'float32', dims: undefined })),
      nodes,
      initializers: [
        ['w', weight([3, 2, 3, 3])],
        ['bias', weight([3])],
        ['scale', weight([3])],
        ['shift', weight([3])],
        ['mean', weight([3])],
        ['variance', weight([3], 0.5, 2)],
      ],
    }),
  );
}

const merged = (model: Model, kept: readonly string[] = []) =>
  prepareFor({ set: 'deep-lift', revealCancel: true }, model, kept);
const norms = ({ graph }: Model) => graph.nodes.filter(({ operator }) => operator === 'BatchNormalization').length;

async function expectSame(model: Model, other: Model): Promise<void> {
  const data = Float32Array.from({ length: 32 }, () => random());
  const feeds = {
    x: { type: 'float32', dims: [1, 2, 4, 4], data },
    flag: { type: 'bool', dims: [], data: Uint8Array.of(1) },
  } as const;
  const given = Object.fromEntries(
    Object.entries(feeds).filter(([name]) => model.graph.inputs.some((each) => each.name === name)),
  );
  const [expected, found] = [await runModel(model, given), await runModel(other, given)];
  for (const [name, tensor] of Object.entries(expected)) {
    const values = numbersOf(tensor);
    numbersOf(found[name]!).forEach((value, at) => expect(value).toBeCloseTo(values[at]!, 5));
  }
}

test('a norm that alone reads a convolution goes into its weights, and the output stays', async () => {
  const model = modelOf([conv, norm], ['n']);
  expect(norms(merged(model))).toBe(0);
  await expectSame(model, merged(model));
});

test('a convolution that is an output, kept, or read again stays as it is', async () => {
  expect(norms(merged(modelOf([conv, norm], ['n', 'c'])))).toBe(1);
  expect(norms(merged(modelOf([conv, norm], ['n']), ['c']))).toBe(1);
  expect(norms(merged(modelOf([conv, norm, makeNode('Relu', ['c'], ['r'])], ['n', 'r'])))).toBe(1);
});

test('a convolution that a subgraph reads stays as it is, too', async () => {
  const branch = (node: Node): Graph => ({
    name: node.operator,
    inputs: [],
    outputs: [{ name: node.outputs[0]!, type: 'float32', dims: undefined }],
    nodes: [node],
    initializers: new Map(),
    valueInfos: new Map(),
    otherTypes: new Map(),
  });
  const choose = makeNode('If', ['flag'], ['chosen'], {
    then_branch: { kind: 'graph', value: branch(makeNode('Relu', ['c'], ['a'])) },
    else_branch: { kind: 'graph', value: branch(makeNode('Neg', ['c'], ['b'])) },
  });
  const model = modelOf([conv, norm, choose], ['n', 'chosen']);
  expect(norms(merged(model))).toBe(1);
  await expectSame(model, merged(model));
});
