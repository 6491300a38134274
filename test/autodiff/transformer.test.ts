/** What transformers are made of, as programs for onnxruntime's CPU differentiate it: the plain rules' gradients, in less work. */
import { describe, expect, test } from 'vitest';
import { BLOCKED_RULES, GRADIENT_RULES, appendGradients, prepareFor } from '../../src/autodiff/index.ts';
import type { RuleTable } from '../../src/autodiff/index.ts';
import { GraphBuilder, float, int, ints, numbersWeight, pruneModel } from '../../src/onnx/index.ts';
import type { Model, NamedTensors, Node } from '../../src/onnx/index.ts';
import { randomTensor, randomWeight } from '../handmade.ts';
import { makeModel, makeNode, runModel } from '../models.ts';

/** The gradients of y in a and c, each element of y weighing differently; with `twice`, of the squares of those. */
function gradients(model: Model, rules: RuleTable, wrt: readonly string[], twice = false): Model {
  const b = new GraphBuilder(model);
  b.setOutputs([]);
  const first = appendGradients(b, { of: 'y', wrt, seed: b.mul('y', 'y'), rules });
  for (const [value, gradient] of first) b.addOutput(gradient, `d${value}`);
  if (twice)
    for (const [value, gradient] of first) {
      const square = b.mul(gradient, gradient);
      const second = appendGradients(b, { of: square, wrt, seed: b.onesLike(square), rules });
      for (const [other, made] of second) b.addOutput(made, `d${value}d${other}`);
    }
  return pruneModel(b.build());
}

async function expectEqual(plain: Model, own: Model, feeds: NamedTensors, tolerance = 1e-5) {
  const [expected, got] = [await runModel(plain, feeds), await runModel(own, feeds)];
  expect(Object.keys(got)).toEqual(Object.keys(expected));
  for (const [name, { dims, data }] of Object.entries(expected)) {
    expect(got[name]!.dims, name).toEqual(dims);
    const [left, right] = [data as Float32Array, got[name]!.data as Float32Array];
    const largest = left.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    const difference = right.reduce((most, value, at) => Math.max(most, Math.abs(value - left[at]!)), 0);
    expect(largest, name).toBeGreaterThan(0);
    expect(difference, name).toBeLessThan(tolerance * largest);
  }
}

const count = (model: Model, operator: string) =>
  model.graph.nodes.filter((node: Node) => node.operator === operator).length;

function productOf(a: readonly number[], c: readonly number[], attributes: Node['attributes'] = {}, fused = false) {
  const node = makeNode(fused ? 'FusedMatMul' : 'MatMul', ['a', 'c'], ['y'], attributes);
  return {
    ...makeModel({
      inputs: [
        { name: 'a', type: 'float32', dims: a },
        { name: 'c', type: 'float32', dims: c },
      ],
      outputs: [{ name: 'y', type: 'float32', dims: undefined }],
      nodes: [fused ? { ...node, domain: 'com.microsoft' } : node],
    }),
    opsets: new Map([
      ['', 18],
      ['com.microsoft', 1],
    ]),
  };
}

const feedsOf = (a: readonly number[], c: readonly number[]) => ({ a: randomTensor(a, 1), c: randomTensor(c, 2) });

/** Dims of matrices [3, 4] and [4, 5] with batches before them. */
const BATCHES: readonly (readonly [readonly number[], readonly number[]])[] = [
  [[], []],
  [[2], []],
  [[], [2]],
  [[2], [2]],
  [[2, 6], []],
  [
    [1, 6],
    [2, 1],
  ],
  [[6], [2, 6]],
  [[2, 1], [6]],
];

describe('a product has the gradients of the plain rules, first and second', () => {
  test.each([
    ...BATCHES.map(
      ([left, right]) =>
        [
          [...left, 3, 4],
          [...right, 4, 5],
        ] as const,
    ),
    [[4], [4, 5]],
    [[3, 4], [4]],
    [[4], [2, 4, 5]],
    [[2, 3, 4], [4]],
    [[4], [4]],
  ] as [number[], number[]][])('of %j and %j', async (a, c) => {
    const model = productOf(a, c);
    const [plain, own] = [GRADIENT_RULES, BLOCKED_RULES].map((rules) => gradients(model, rules, ['a', 'c'], true));
    await expectEqual(plain!, own!, feedsOf(a, c));
  });

  const flags = [
    [0, 0],
    [1, 0],
    [0, 1],
    [1, 1],
  ] as const;
  test.each(BATCHES.flatMap((batches) => flags.map((both) => [batches, both] as const)))(
    'batches %j, transposed %j, scaled',
    async ([left, right], [transA, transB]) => {
      const a = [...left, ...(transA ? [4, 3] : [3, 4])];
      const c = [...right, ...(transB ? [5, 4] : [4, 5])];
      const fused = productOf(a, c, { transA: int(transA), transB: int(transB), alpha: float(0.75) }, true);
      const b = new GraphBuilder({ ...fused, graph: { ...fused.graph, nodes: [], outputs: [] } });
      const turn = (name: string, flag: number) => (flag ? b.matrixTranspose(name) : name);
      b.addOutput(b.mul(b.matmul(turn('a', transA), turn('c', transB)), b.scalar(0.75, 'a')), 'y');
      const written = gradients(b.build(), GRADIENT_RULES, ['a', 'c'], true);
      for (const rules of [GRADIENT_RULES, BLOCKED_RULES])
        await expectEqual(written, gradients(fused, rules, ['a', 'c'], true), feedsOf(a, c));
      expect(count(gradients(fused, BLOCKED_RULES, ['a', 'c']), 'Transpose')).toBe(0);
    },
  );
});

/** Attention of two heads over x [batch, tokens, 8]: q and k scaled each, k transposed with its heads, as PyTorch exports it. */
function attention(tokens: number | string, mask = false): Model {
  const heads = (from: string, to: string) => [
    makeNode('MatMul', ['x', `w${from}`], [`${from}m`]),
    makeNode('Reshape', [`${from}m`, 'split'], [`${from}s`]),
    makeNode('Transpose', [`${from}s`], [to], { perm: ints(from === 'k' ? [0, 2, 3, 1] : [0, 2, 1, 3]) }),
  ];
  return makeModel({
    inputs: [{ name: 'x', type: 'float32', dims: ['batch', tokens, 8] }],
    outputs: [{ name: 'y', type: 'float32', dims: undefined }],
    nodes: [
      ...heads('q', 'q'),
      ...heads('k', 'k'),
      ...heads('v', 'v'),
      makeNode('Sqrt', ['scale'], ['root']),
      makeNode('Mul', ['q', 'root'], ['qr']),
      makeNode('Mul', ['k', 'root'], ['kr']),
      makeNode('MatMul', ['qr', 'kr'], ['scores']),
      ...(mask ? [makeNode('Add', ['scores', 'bias'], ['masked'])] : []),
      makeNode('Softmax', [mask ? 'masked' : 'scores'], ['p'], { axis: int(-1) }),
      makeNode('MatMul', ['p', 'v'], ['o']),
      makeNode('Transpose', ['o'], ['t'], { perm: ints([0, 2, 1, 3]) }),
      makeNode('Reshape', ['t', 'merge'], ['r']),
      makeNode('MatMul', ['r', 'wo'], ['y']),
    ],
    initializers: [
      ...['wq', 'wk', 'wv', 'wo'].map((name, at) => [name, randomWeight([8, 8], 20 + at)] as const),
      ['split', numbersWeight('int64', [4], [0, -1, 2, 4])],
      ['merge', numbersWeight('int64', [3], [0, -1, 8])],
      ['scale', numbersWeight('float32', [1], [0.5])],
      ['bias', randomWeight([6, 6], 30)],
    ],
  });
}

describe('attention', () => {
  const own = (model: Model, kept: readonly string[] = []) =>
    prepareFor({ set: 'blocked' }, model, ['x', 'y', ...kept]);

  test.each([
    ['of a known length', attention(6), 6],
    ['of any length', attention('tokens'), 6],
    ['of fewer tokens than a head is wide', attention(3), 3],
    ['with a mask', attention(6, true), 6],
  ] as const)('%s has the gradients of the plain rules, first and second', async (_, model, tokens) => {
    const feeds = { x: randomTensor([2, tokens, 8], 3) };
    const plain = gradients(model, GRADIENT_RULES, ['x'], true);
    await expectEqual(plain, gradients(own(model), BLOCKED_RULES, ['x'], true), feeds, 3e-5);
    // Second derivatives by the plain rules of what the others emitted, as programs take them.
    await expectEqual(plain, gradients(own(model), GRADIENT_RULES, ['x'], true), feeds, 3e-5);
  });

  test('scales no operand, and transposes nothing but heads', () => {
    const program = gradients(own(attention(6)), BLOCKED_RULES, ['x']);
    const perms = program.graph.nodes.flatMap(({ operator, attributes }) =>
      operator === 'Transpose' && attributes['perm']?.kind === 'ints' ? [attributes['perm'].value.join()] : [],
    );
    expect(new Set(perms)).toEqual(new Set(['0,2,1,3']));
    expect(perms).toHaveLength(8);
    // The seed, the sum of O dO, and P times what is left.
    expect(count(program, 'Mul')).toBe(3);
  });

  test('what somebody looks at stays as it is', () => {
    const model = attention(6);
    const names = (kept: readonly string[]) => own(model, kept).graph.nodes.flatMap(({ outputs }) => outputs);
    expect(names([])).not.toContain('kr');
    expect(names(['kr'])).toContain('kr');
    expect(names(['qr'])).toContain('qr');
  });

  test('weights may be transposed and scaled before a product: they stay, what follows is better fused', () => {
    const model = makeModel({
      inputs: [{ name: 'x', type: 'float32', dims: ['batch', 8] }],
      outputs: [{ name: 'y', type: 'float32', dims: undefined }],
      nodes: [makeNode('Mul', ['x', 'half'], ['h']), makeNode('MatMul', ['h', 'w'], ['y'])],
      initializers: [
        ['half', numbersWeight('float32', [], [0.5])],
        ['w', randomWeight([8, 8], 9)],
      ],
    });
    expect(own(model).graph.nodes.map(({ operator }) => operator)).toEqual(['Mul', 'MatMul']);
  });
});

describe('layer normalization has the gradients of the plain rules, first and second', () => {
  const norm = (axis: number, sized: readonly number[], bias: boolean) =>
    makeModel({
      inputs: [{ name: 'x', type: 'float32', dims: ['batch', 5, 8] }],
      outputs: [{ name: 'y', type: 'float32', dims: undefined }],
      nodes: [makeNode('LayerNormalization', bias ? ['x', 'g', 'b'] : ['x', 'g'], ['y'], { axis: int(axis) })],
      initializers: [
        ['g', randomWeight(sized, 40)],
        ['b', randomWeight(sized, 41)],
      ],
    });
  const cases = [
    ['over the last axis', norm(-1, [8], true), ['x', 'g', 'b']],
    ['over two axes', norm(1, [5, 8], true), ['x', 'g', 'b']],
    ['without a bias', norm(-1, [8], false), ['x', 'g']],
  ] as const;

  test.each(cases)('%s', async (_, model, wrt) => {
    const feeds = { x: randomTensor([2, 5, 8], 42) };
    const [plain, own] = [GRADIENT_RULES, BLOCKED_RULES].map((rules) => gradients(model, rules, wrt, true));
    await expectEqual(plain!, own!, feeds, 3e-5);
  });

  test.each(cases)('%s, of values far from 0', async (_, model, wrt) => {
    const { dims, data } = randomTensor([2, 5, 8], 43);
    const far = Float32Array.from(data as Float32Array, (value) => 30 + value);
    const [plain, own] = [GRADIENT_RULES, BLOCKED_RULES].map((rules) => gradients(model, rules, wrt));
    await expectEqual(plain!, own!, { x: { type: 'float32', dims, data: far } }, 1e-4);
  });
});

describe('GELU between two products', () => {
  const one = (value: number) => numbersWeight('float32', [], [value]);
  const erf = [
    makeNode('Div', ['h', 'root'], ['u']),
    makeNode('Erf', ['u'], ['e']),
    makeNode('Add', ['e', 'one'], ['f']),
  ];
  const FORMS = {
    'halved at the end': [...erf, makeNode('Mul', ['h', 'f'], ['g']), makeNode('Mul', ['g', 'half'], ['z'])],
    'halved at the beginning': [makeNode('Mul', ['h', 'half'], ['g']), ...erf, makeNode('Mul', ['g', 'f'], ['z'])],
    'twice as large': [...erf, makeNode('Mul', ['h', 'f'], ['z'])],
  };
  const layer = (nodes: readonly Node[], dims: readonly number[], bias: 'before' | 'behind' | 'none') =>
    makeModel({
      inputs: [{ name: 'x', type: 'float32', dims: [...dims, 8] }],
      outputs: [{ name: 'y', type: 'float32', dims: undefined }],
      nodes: [
        makeNode('MatMul', ['x', 'up'], [bias === 'none' ? 'h' : 'm']),
        ...(bias === 'none' ? [] : [makeNode('Add', bias === 'before' ? ['bias', 'm'] : ['m', 'bias'], ['h'])]),
        ...nodes,
        makeNode('MatMul', ['z', 'down'], ['y']),
      ],
      initializers: [
        ['up', randomWeight([8, 32], 50, 2)],
        ['down', randomWeight([32, 4], 51)],
        ['bias', randomWeight([32], 52)],
        ['root', one(Math.SQRT2)],
        ['one', one(1)],
        ['half', one(0.5)],
      ],
    });
  const usual = layer(FORMS['halved at the end'], [2, 5], 'before');
  const own = (model: Model, kept: readonly string[] = [], wrt?: readonly string[]) =>
    prepareFor({ set: 'blocked' }, model, ['x', 'y', ...kept], wrt);
  const operators = (model: Model) => model.graph.nodes.map(({ operator }) => operator);
  const SCALED = ['FusedMatMul', 'Add', 'Erf', 'HardSigmoid', 'Mul', 'FusedMatMul'];

  const biases = ['before', 'behind', 'none'] as const;
  const sizes = [[5], [2, 5], [2, 3, 5]];
  const halved = ['halved at the end', 'halved at the beginning'] as const;
  test.each(halved.flatMap((form) => biases.flatMap((bias) => sizes.map((dims) => [form, bias, dims] as const))))(
    '%s, a bias %s, rows %j: the same values, the gradients of the plain rules, first and second',
    async (form, bias, dims) => {
      const model = layer(FORMS[form], dims, bias);
      const feeds = { x: randomTensor([...dims, 8], 53) };
      expect(operators(own(model)).filter((operator) => operator !== 'Mul' && operator !== 'Add')).toEqual(
        SCALED.filter((operator) => operator !== 'Mul' && operator !== 'Add'),
      );
      await expectEqual(model, own(model), feeds, 1e-6);
      const plain = gradients(model, GRADIENT_RULES, ['x'], true);
      await expectEqual(plain, gradients(own(model), BLOCKED_RULES, ['x'], true), feeds, 3e-5);
      await expectEqual(plain, gradients(own(model), GRADIENT_RULES, ['x'], true), feeds, 3e-5);
    },
  );

  test('its erf is taken once, for both directions, and x is scaled by no pass of its own', () => {
    const program = gradients(own(usual), BLOCKED_RULES, ['x']);
    expect(count(program, 'Erf')).toBe(1);
    expect(count(gradients(usual, BLOCKED_RULES, ['x']), 'Erf')).toBe(2);
    // The small bias, u Phi, the seed, and of the slope the square, the density and the product with the gradient.
    expect(count(program, 'Mul')).toBe(6);
  });

  test('far from 0 its slope is 0 or 1, not NaN', async () => {
    const x = randomTensor([2, 5, 8], 54);
    const feeds = { x: { ...x, data: (x.data as Float32Array).map((value) => value * 1e4) } };
    await expectEqual(
      gradients(usual, GRADIENT_RULES, ['x']),
      gradients(own(usual), BLOCKED_RULES, ['x']),
      feeds,
      1e-5,
    );
  });

  test('stays as it is where no backward pass follows, or the gradient is taken behind it', () => {
    expect(operators(own(usual, [], []))).toEqual(operators(usual));
    expect(operators(own(usual, [], ['y']))).toEqual(operators(usual));
  });

  test.each(['h', 'u', 'e', 'f', 'g', 'z', 'm'])('stays as it is where somebody looks at "%s"', (name) => {
    expect(operators(own(usual, [name]))).toEqual(operators(usual));
  });

  test('stays as it is where it is not halved', () => {
    const model = layer(FORMS['twice as large'], [2, 5], 'before');
    expect(operators(own(model))).toEqual(operators(model));
  });

  test('a gradient asked for at what the product reads is whole', async () => {
    const model = own(usual);
    const { inputs } = model.graph.nodes.find(({ operator }) => operator === 'Mul')!;
    const all = [...inputs];
    const [plain, blocked] = [GRADIENT_RULES, BLOCKED_RULES].map((rules) => gradients(model, rules, all));
    await expectEqual(plain!, blocked!, { x: randomTensor([2, 5, 8], 55) });
  });
});
