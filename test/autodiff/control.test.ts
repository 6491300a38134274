/** Control flow: gradients of If, Loop and Scan, nested and with values read from around them, against differences. */
import { expect, test } from 'vitest';
import { checkGradient } from '../../conformance/check-gradient.ts';
import { differentiate } from '../../src/autodiff/index.ts';
import type { Attribute, Graph, Node, ValueInfo } from '../../src/onnx/index.ts';
import { int, ints, normalizeModel, numbersToData, numbersWeight, sizeOf } from '../../src/onnx/index.ts';
import { chance, makeModel, makeNode, runModel } from '../models.ts';

const float = (name: string, dims: readonly number[]): ValueInfo => ({ name, type: 'float32', dims });
const scalar = (name: string, type: 'int64' | 'bool'): ValueInfo => ({ name, type, dims: [] });

function graph(
  name: string,
  inputs: readonly ValueInfo[],
  outputs: readonly ValueInfo[],
  nodes: readonly Node[],
): Attribute {
  const value: Graph = {
    name,
    inputs,
    outputs,
    nodes,
    initializers: new Map(),
    valueInfos: new Map(),
    otherTypes: new Map(),
  };
  return { kind: 'graph', value };
}

const random = chance(7);
const tensor = (dims: readonly number[]) => ({
  type: 'float32' as const,
  dims,
  data: numbersToData(
    'float32',
    Array.from({ length: sizeOf(dims) }, () => random(0.2, 0.9)),
  ),
});
const flag = (value: boolean) => ({ type: 'bool' as const, dims: [], data: Uint8Array.of(Number(value)) });
const count = (value: number) => ({ type: 'int64' as const, dims: [], data: BigInt64Array.of(BigInt(value)) });

const branches = {
  then_branch: graph(
    'then',
    [],
    [float('t', [3])],
    [makeNode('Mul', ['x', 'w'], ['xw']), makeNode('Tanh', ['xw'], ['t'])],
  ),
  else_branch: graph('else', [], [float('e', [3])], [makeNode('Exp', ['x'], ['e'])]),
};

test.each([true, false])('the gradient of If follows the branch that is taken: %s', async (taken) => {
  const model = makeModel({
    inputs: [scalar('c', 'bool'), float('x', [3]), float('w', [3])],
    outputs: [float('y', [3])],
    nodes: [makeNode('If', ['c'], ['y'], branches)],
  });
  const found = await checkGradient({
    name: `if ${taken}`,
    model: normalizeModel(model),
    feeds: { c: flag(taken), x: tensor([3]), w: tensor([3]) },
    wrt: ['x', 'w'],
    outputs: ['y'],
  });
  expect(found).toMatchObject({ first: { status: 'verified' }, second: { status: 'verified' } });
});

test('an If of a constant condition is replaced by the branch it takes', async () => {
  const model = makeModel({
    inputs: [scalar('c', 'bool'), float('x', [3]), float('w', [3])],
    outputs: [float('y', [3])],
    nodes: [makeNode('If', ['c'], ['y'], branches)],
  });
  const taken = normalizeModel(model, { values: { c: true } });
  expect(taken.graph.nodes.map(({ operator }) => operator)).toEqual(['Mul', 'Tanh']);
  const feeds = { x: tensor([3]), w: tensor([3]) };
  expect(await runModel(taken, feeds)).toEqual(await runModel(model, { ...feeds, c: flag(true) }));
});

test('the gradient of Loop reaches its states, what it reads from outside, and its stacked outputs', async () => {
  // v <- tanh(v M) * (i + 1); stacked: v + x
  const body = graph(
    'body',
    [scalar('i', 'int64'), scalar('go', 'bool'), float('v', [1, 3])],
    [scalar('on', 'bool'), float('next', [1, 3]), float('each', [1, 3])],
    [
      makeNode('Identity', ['go'], ['on']),
      makeNode('MatMul', ['v', 'm'], ['vm']),
      makeNode('Tanh', ['vm'], ['t']),
      makeNode('Cast', ['i'], ['f'], { to: int(1) }),
      makeNode('Exp', ['f'], ['g']),
      makeNode('Mul', ['t', 'g'], ['next']),
      makeNode('Add', ['v', 'x'], ['each']),
    ],
  );
  const model = makeModel({
    inputs: [scalar('n', 'int64'), float('x', [1, 3]), float('m', [3, 3])],
    outputs: [float('y', [1, 3]), float('all', [3, 1, 3])],
    nodes: [makeNode('Loop', ['n', '', 'x'], ['y', 'all'], { body })],
  });
  const found = await checkGradient({
    name: 'loop',
    model: normalizeModel(model),
    feeds: { n: count(3), x: tensor([1, 3]), m: tensor([3, 3]) },
    wrt: ['x', 'm'],
    outputs: ['y', 'all'],
  });
  expect(found).toMatchObject({ first: { status: 'verified' }, second: { status: 'verified' } });
});

test.each([0, 2])(
  'a loop that may have no iteration passes the gradients of its states on: %s iterations',
  async (n) => {
    const body = graph(
      'body',
      [scalar('i', 'int64'), scalar('go', 'bool'), float('v', [1, 3])],
      [scalar('on', 'bool'), float('next', [1, 3]), float('each', [1, 3])],
      [
        makeNode('Identity', ['go'], ['on']),
        makeNode('MatMul', ['v', 'm'], ['vm']),
        makeNode('Tanh', ['vm'], ['next']),
        makeNode('Mul', ['v', 'x'], ['each']),
      ],
    );
    const model = makeModel({
      inputs: [scalar('n', 'int64'), float('x', [1, 3]), float('m', [3, 3])],
      outputs: [float('z', [1, 3]), { name: 'total', type: 'float32', dims: [] }],
      nodes: [
        makeNode('Loop', ['n', '', 'x'], ['y', 'all'], { body }),
        makeNode('Exp', ['y'], ['z']),
        makeNode('ReduceSum', ['all'], ['total'], { keepdims: int(0) }),
      ],
    });
    const found = await checkGradient({
      name: `loop of ${n}`,
      model: normalizeModel(model),
      feeds: { n: count(n), x: tensor([1, 3]), m: tensor([3, 3]) },
      wrt: ['x', 'm'],
      outputs: ['z', 'total'],
    });
    expect(found).toMatchObject({ first: { status: 'verified' }, second: { status: 'verified' } });
  },
);

test('the gradient of Scan runs against its directions, along its axes', async () => {
  const body = graph(
    'body',
    [float('s', [2]), float('a', [2])],
    [float('s2', [2]), float('o', [2])],
    [makeNode('Mul', ['s', 'a'], ['sa']), makeNode('Sin', ['sa'], ['s2']), makeNode('Mul', ['s2', 'w'], ['o'])],
  );
  const model = makeModel({
    inputs: [float('s0', [2]), float('x', [2, 4]), float('w', [2])],
    outputs: [float('s_end', [2]), float('y', [2, 4])],
    nodes: [
      makeNode('Scan', ['s0', 'x'], ['s_end', 'y'], {
        body,
        num_scan_inputs: int(1),
        scan_input_axes: ints([-1]),
        scan_input_directions: ints([1]),
        scan_output_axes: ints([1]),
        scan_output_directions: ints([0]),
      }),
    ],
  });
  const found = await checkGradient({
    name: 'scan',
    model: normalizeModel(model),
    feeds: { s0: tensor([2]), x: tensor([2, 4]), w: tensor([2]) },
    wrt: ['s0', 'x', 'w'],
    outputs: ['s_end', 'y'],
  });
  expect(found).toMatchObject({ first: { status: 'verified' }, second: { status: 'verified' } });
});

test('a loop whose state grows is refused before it runs, with the state that does', () => {
  const body = graph(
    'body',
    [scalar('i', 'int64'), scalar('go', 'bool'), float('v', [2])],
    [scalar('on', 'bool'), { name: 'next', type: 'float32', dims: undefined }],
    [makeNode('Identity', ['go'], ['on']), makeNode('Concat', ['v', 'x'], ['next'], { axis: int(0) })],
  );
  const model = makeModel({
    inputs: [scalar('n', 'int64'), float('x', [2])],
    outputs: [{ name: 'y', type: 'float32', dims: undefined }],
    nodes: [makeNode('Loop', ['n', '', 'x'], ['y'], { body })],
  });
  expect(() => differentiate(normalizeModel(model), { of: 'y', wrt: ['x'] })).toThrow(
    /Loop "Loop_y": "v" has dims \[2\] in one iteration and \[4\] in the next/,
  );
});

test('an If within a Loop within an If has a gradient', async () => {
  const choose = makeNode('If', ['odd'], ['next'], {
    then_branch: graph('odd', [], [float('p', [3])], [makeNode('Mul', ['v', 'w'], ['p'])]),
    else_branch: graph('even', [], [float('q', [3])], [makeNode('Sin', ['v'], ['q'])]),
  });
  const body = graph(
    'body',
    [scalar('i', 'int64'), scalar('go', 'bool'), float('v', [3])],
    [scalar('on', 'bool'), float('next', [3])],
    [makeNode('Identity', ['go'], ['on']), makeNode('Cast', ['i'], ['odd'], { to: int(9) }), choose],
  );
  const outer = {
    then_branch: graph('outer then', [], [float('end', [3])], [makeNode('Loop', ['n', '', 'x'], ['end'], { body })]),
    else_branch: graph('outer else', [], [float('same', [3])], [makeNode('Identity', ['x'], ['same'])]),
  };
  const model = makeModel({
    inputs: [scalar('c', 'bool'), float('x', [3]), float('w', [3])],
    outputs: [float('y', [3])],
    nodes: [makeNode('If', ['c'], ['y'], outer)],
    initializers: [['n', numbersWeight('int64', [], [3])]],
  });
  for (const taken of [true, false]) {
    const found = await checkGradient({
      name: 'nested',
      model: normalizeModel(model),
      feeds: { c: flag(taken), x: tensor([3]), w: tensor([3]) },
      wrt: ['x', 'w'],
      outputs: ['y'],
    });
    expect(found).toMatchObject({ first: { status: 'verified' }, second: { status: 'verified' } });
  }
});

test('behind branches of different ranks what needs no rank has a gradient, and what does is refused with the If', async () => {
  const divided = makeNode('If', ['f'], ['c'], {
    then_branch: graph(
      'then',
      [],
      [{ name: 'a', type: 'float32', dims: undefined }],
      [makeNode('Squeeze', ['x', 'axes'], ['a'])],
    ),
    else_branch: graph(
      'else',
      [],
      [{ name: 'b', type: 'float32', dims: undefined }],
      [makeNode('Identity', ['x'], ['b'])],
    ),
  });
  const modelOf = (...nodes: Node[]) =>
    normalizeModel(
      makeModel({
        inputs: [{ name: 'x', type: 'float32', dims: ['n', 3] }, scalar('f', 'bool')],
        outputs: [{ name: 'y', type: 'float32', dims: undefined }],
        nodes: [divided, ...nodes],
        initializers: [
          ['axes', numbersWeight('int64', [1], [0])],
          ['one', numbersWeight('int64', [1], [1])],
          ['rows', numbersWeight('int64', [2], [-1, 3])],
          ['w', numbersWeight('float32', [3, 1], [1, 2, 3])],
        ],
      }),
    );
  const settled = modelOf(makeNode('Reshape', ['c', 'rows'], ['r']), makeNode('MatMul', ['r', 'w'], ['y']));
  const sliced = modelOf(makeNode('Slice', ['c', 'axes', 'one', 'axes'], ['y']));
  for (const [model, taken, expected] of [
    [settled, true, [1, 2, 3]],
    [settled, false, [1, 2, 3]],
    [sliced, true, [1, 0, 0]],
    [sliced, false, [1, 1, 1]],
  ] as const) {
    const { model: program, gradients } = differentiate(model, { of: 'y', wrt: ['x'] });
    const results = await runModel(program, { x: tensor([1, 3]), f: flag(taken) });
    expect(Array.from(results[gradients.get('x')!]!.data as Float32Array)).toEqual(expected);
  }
  expect(() => differentiate(modelOf(makeNode('Softmax', ['c'], ['y'])), { of: 'y', wrt: ['x'] })).toThrow(
    /^the branches of If "If_c" give values of different ranks, .*: fix the dims that decide it/,
  );
});
