/** The rules for the CPU's blocked layout: the plain rules' gradients, and onnxruntime does not leave its layout for them. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { InferenceSession } from 'onnxruntime-node';
import { describe, expect, test } from 'vitest';
import { BLOCKED_RULES, GRADIENT_RULES, appendGradients, prepareFor } from '../../src/autodiff/index.ts';
import type { RuleTable } from '../../src/autodiff/index.ts';
import {
  GraphBuilder,
  float,
  int,
  ints,
  normalizeModel,
  numbersWeight,
  pruneModel,
  readModel,
  writeModel,
} from '../../src/onnx/index.ts';
import type { Attribute, DenseTensor, Model, Node, Weight } from '../../src/onnx/index.ts';
import { randomTensor, randomWeight } from '../handmade.ts';
import { makeModel, makeNode, runModel } from '../models.ts';

const conv = (from: string, to: string, weight: string, attributes: Record<string, Attribute> = {}) =>
  makeNode('Conv', [from, weight], [to], attributes);
const same = { pads: ints([1, 1, 1, 1]) };
const halved = { strides: ints([2, 2]) };

/** x [batch, 3, size, size] to a mean over pixels of what `nodes` make of its 32 channels `a`. */
function net(
  nodes: ReturnType<typeof makeNode>[],
  last: string,
  weights: readonly (readonly [string, Weight])[],
  size = 8,
): Model {
  return makeModel({
    inputs: [{ name: 'x', type: 'float32', dims: ['batch', 3, size, size] }],
    outputs: [{ name: 'y', type: 'float32', dims: undefined }],
    nodes: [conv('x', 'a', 'first', same), ...nodes, makeNode('GlobalAveragePool', [last], ['y'])],
    initializers: [['first', randomWeight([32, 3, 3, 3], 1)], ...weights],
  });
}

const NETS: Readonly<Record<string, Model>> = {
  'a rectifier in a residual block': net(
    [
      makeNode('Relu', ['a'], ['r']),
      conv('r', 'c', 'w', same),
      makeNode('Add', ['c', 'r'], ['s']),
      makeNode('Relu', ['s'], ['t']),
    ],
    't',
    [['w', randomWeight([32, 32, 3, 3], 2, 0.2)]],
  ),
  'x sigmoid(x)': net(
    [makeNode('Sigmoid', ['a'], ['s']), makeNode('Mul', ['a', 's'], ['m']), conv('m', 'c', 'w')],
    'c',
    [['w', randomWeight([32, 32, 1, 1], 3)]],
  ),
  'sigmoid(x) x, the sigmoid read once more': net(
    [makeNode('Sigmoid', ['a'], ['s']), makeNode('Mul', ['s', 'a'], ['m']), makeNode('Add', ['m', 's'], ['c'])],
    'c',
    [],
  ),
  'squeeze and excitation': net(
    [
      makeNode('GlobalAveragePool', ['a'], ['p']),
      conv('p', 'q', 'w'),
      makeNode('Sigmoid', ['q'], ['g']),
      makeNode('Mul', ['g', 'a'], ['m']),
      conv('m', 'c', 'v'),
    ],
    'c',
    [
      ['w', randomWeight([32, 32, 1, 1], 4)],
      ['v', randomWeight([32, 32, 1, 1], 5)],
    ],
  ),
  'a hard swish': net([makeNode('HardSwish', ['a'], ['m']), conv('m', 'c', 'w')], 'c', [
    ['w', randomWeight([32, 32, 1, 1], 3)],
  ]),
  'squeeze and excitation of a hard swish by a hard sigmoid': net(
    [
      makeNode('HardSwish', ['a'], ['z']),
      makeNode('GlobalAveragePool', ['z'], ['p']),
      conv('p', 'q', 'w'),
      makeNode('HardSigmoid', ['q'], ['g'], { alpha: float(1 / 6) }),
      makeNode('Mul', ['g', 'z'], ['m']),
      conv('m', 'c', 'v'),
    ],
    'c',
    [
      ['w', randomWeight([32, 32, 1, 1], 4)],
      ['v', randomWeight([32, 32, 1, 1], 5)],
    ],
  ),
  'batch normalization between rectifiers': net(
    [
      makeNode('Relu', ['a'], ['r']),
      makeNode('BatchNormalization', ['r', 'scale', 'shift', 'mean', 'variance'], ['n']),
      conv('n', 'c', 'v'),
    ],
    'c',
    [
      ['scale', randomWeight([32], 6)],
      ['shift', randomWeight([32], 7)],
      ['mean', randomWeight([32], 8)],
      [
        'variance',
        numbersWeight(
          'float32',
          [32],
          Array.from({ length: 32 }, (_, at) => 0.5 + at / 16),
        ),
      ],
      ['v', randomWeight([32, 32, 1, 1], 9)],
    ],
  ),
  'a 1 x 1 convolution with strides': net([conv('a', 'c', 'w', halved)], 'c', [
    ['w', randomWeight([48, 32, 1, 1], 10)],
  ]),
  ...Object.fromEntries(
    [
      [3, 1, 8],
      [5, 2, 8],
      [3, 1, 9],
      [5, 2, 7],
    ].map(([kernel, pad, size]) => [
      `a depthwise convolution with strides: kernel ${kernel}, ${size} pixels`,
      net(
        [conv('a', 'c', 'w', { ...halved, group: int(32), pads: ints([pad!, pad!, pad!, pad!]) })],
        'c',
        [['w', randomWeight([32, 1, kernel!, kernel!], 11)]],
        size!,
      ),
    ]),
  ),
};

/** Its maximum says where it was found, which onnxruntime does in the plain layout. */
const POOLED = net(
  [
    makeNode('Relu', ['a'], ['r']),
    makeNode('MaxPool', ['r'], ['m'], { kernel_shape: ints([3, 3]), ...halved, ...same }),
    conv('m', 'c', 'w'),
  ],
  'c',
  [['w', randomWeight([32, 32, 1, 1], 12)]],
);

/** Strides, kernel, padding at the begin and end of each axis, size of the picture; and whether phases make it up. */
const STRIDED = (
  [
    [[2, 2], 3, [1, 1, 1, 1], 8, true],
    [[2, 2], 2, [0, 0, 0, 0], 8, true],
    [[2, 2], 4, [1, 1, 1, 1], 8, true],
    [[2, 2], 7, [3, 3, 3, 3], 8, true],
    [[2, 2], 3, [0, 1, 1, 0], 8, true],
    [[3, 3], 3, [0, 0, 0, 0], 9, true],
    [[2, 1], 3, [1, 1, 1, 1], 8, true],
    // A phase that the next element alone reaches, a kernel smaller than the strides, a picture that is no multiple of them.
    [[3, 3], 3, [1, 1, 1, 1], 9, false],
    [[3, 3], 2, [0, 0, 0, 0], 9, false],
    [[2, 2], 3, [1, 1, 1, 1], 9, false],
    [[2, 2], 3, [0, 0, 0, 0], 8, false],
  ] as const
).map(([strides, kernel, pads, size, byPhases]) => ({
  name: `a convolution with strides ${strides.join(' and ')}, kernel ${kernel}, padding ${pads.join(' ')}, ${size} pixels`,
  byPhases,
  model: net(
    [conv('a', 'c', 'w', { strides: ints([...strides]), pads: ints([...pads]) })],
    'c',
    [['w', randomWeight([48, 32, kernel, kernel], 13)]],
    size,
  ),
}));
const STRIDED_NETS = STRIDED.map(({ name, model }) => [name, model] as const);

/** Large enough for the backward pass to compute values again, and the values it then still reads of the forward pass. */
const LARGE_NETS: Readonly<Record<string, readonly [Model, readonly string[]]>> = {
  'x sigmoid(x) of many pixels': [
    net(
      [makeNode('Sigmoid', ['a'], ['s']), makeNode('Mul', ['a', 's'], ['m']), conv('m', 'c', 'w')],
      'c',
      [['w', randomWeight([32, 32, 1, 1], 3)]],
      192,
    ),
    ['a'],
  ],
  'squeeze and excitation of x sigmoid(x) of many pixels': [
    net(
      [
        makeNode('Sigmoid', ['a'], ['s']),
        makeNode('Mul', ['a', 's'], ['z']),
        makeNode('GlobalAveragePool', ['z'], ['p']),
        conv('p', 'q', 'w'),
        makeNode('Sigmoid', ['q'], ['g']),
        makeNode('Mul', ['g', 'z'], ['m']),
        conv('m', 'c', 'v'),
      ],
      'c',
      [
        ['w', randomWeight([32, 32, 1, 1], 4)],
        ['v', randomWeight([32, 32, 1, 1], 5)],
      ],
      192,
    ),
    ['a', 'z'],
  ],
};
const RESIDUAL = net(
  [
    makeNode('Relu', ['a'], ['r']),
    conv('r', 'c', 'w'),
    makeNode('Relu', ['c'], ['d']),
    conv('d', 'e', 'v'),
    makeNode('Add', ['e', 'r'], ['f']),
    makeNode('Relu', ['f'], ['t']),
    conv('t', 'h', 'w'),
    makeNode('Relu', ['h'], ['i']),
    conv('i', 'j', 'v'),
    makeNode('Add', ['t', 'j'], ['k']),
    makeNode('Relu', ['k'], ['l']),
  ],
  'l',
  [
    ['w', randomWeight([32, 32, 1, 1], 13)],
    ['v', randomWeight([32, 32, 1, 1], 14)],
  ],
  96,
);
const LARGE = [
  ...Object.entries(LARGE_NETS).map(([name, [model]]) => [name, model] as const),
  ['a residual stream of rectifiers of many pixels', RESIDUAL] as const,
];

function gradientOf(model: Model, rules: RuleTable): Model {
  const b = new GraphBuilder(model);
  b.setOutputs([]);
  // Every output weighs differently.
  const seed = b.mul('y', 'y');
  b.addOutput(appendGradients(b, { of: 'y', wrt: ['x'], seed, rules }).get('x')!, 'gradient');
  return pruneModel(b.build());
}

const blocked = (model: Model) =>
  gradientOf(prepareFor({ set: 'blocked' }, normalizeModel(model), ['x', 'y']), BLOCKED_RULES);

const POOLING = ['a maximum over rectified windows', POOLED] as const;

test.each([...Object.entries(NETS), ...STRIDED_NETS, ...LARGE, POOLING])(
  '%s has the gradient of the plain rules',
  async (_, model) => {
    const size = model.graph.inputs[0]!.dims![2] as number;
    const feeds = { x: randomTensor([2, 3, size, size], 12) };
    const [plain, own] = [
      await runModel(gradientOf(normalizeModel(model), GRADIENT_RULES), feeds),
      await runModel(blocked(model), feeds),
    ].map((results) => results['gradient']!.data as Float32Array);
    const largest = plain!.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    const difference = own!.reduce((most, value, at) => Math.max(most, Math.abs(value - plain![at]!)), 0);
    expect(largest).toBeGreaterThan(0);
    expect(difference).toBeLessThan(1e-5 * largest);
  },
);

test.each([...Object.entries(NETS), ...STRIDED_NETS])(
  '%s has the second derivatives of the plain rules',
  async (_, model) => {
    const size = model.graph.inputs[0]!.dims![2] as number;
    const second = (given: Model, rules: RuleTable) => {
      const b = new GraphBuilder(given);
      b.setOutputs([]);
      const first = appendGradients(b, { of: 'y', wrt: ['x'], seed: b.mul('y', 'y'), rules }).get('x')!;
      b.addOutput(appendGradients(b, { of: first, wrt: ['x'], seed: first, rules }).get('x')!, 'gradient');
      return runModel(pruneModel(b.build()), { x: randomTensor([2, 3, size, size], 12) });
    };
    const [plain, own] = [
      await second(normalizeModel(model), GRADIENT_RULES),
      await second(prepareFor({ set: 'blocked' }, normalizeModel(model), ['x', 'y']), BLOCKED_RULES),
    ].map((results) => results['gradient']!.data as Float32Array);
    const largest = plain!.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    const difference = own!.reduce((most, value, at) => Math.max(most, Math.abs(value - plain![at]!)), 0);
    expect(largest).toBeGreaterThan(0);
    expect(difference).toBeLessThan(1e-5 * largest);
  },
);

test.each(STRIDED)('$name is differentiated by phases: $byPhases', ({ model, byPhases }) => {
  const { nodes } = blocked(model).graph;
  const moved = nodes.filter(({ operator }) => operator === 'ConvTranspose');
  expect(moved.map(({ attributes }) => attributes['group'])).toEqual(byPhases ? [int(32)] : [int(1)]);
  expect(nodes.some(({ operator }) => operator === 'Unsqueeze')).toBe(byPhases);
});

/** The gradient of the sum of an activation from a to m, in blocks, at each element of x, [1, 16, ...]. */
async function slopesAt(x: DenseTensor, activation: readonly Node[]): Promise<Float32Array> {
  const between = makeModel({
    inputs: [{ name: 'x', type: 'float32', dims: ['batch', ...x.dims.slice(1)] }],
    outputs: [{ name: 'y', type: 'float32', dims: undefined }],
    nodes: [
      makeNode('Conv', ['x', 'eye'], ['a'], { group: int(16) }),
      ...activation,
      makeNode('Conv', ['m', 'eye'], ['y'], { group: int(16) }),
    ],
    initializers: [['eye', numbersWeight('float32', [16, 1, 1, 1], Array<number>(16).fill(1))]],
  });
  const b = new GraphBuilder(prepareFor({ set: 'blocked' }, normalizeModel(between), ['x', 'y']));
  b.setOutputs([]);
  const seed = b.onesLike('y');
  b.addOutput(appendGradients(b, { of: 'y', wrt: ['x'], seed, rules: BLOCKED_RULES }).get('x')!, 'gradient');
  return (await runModel(pruneModel(b.build()), { x }))['gradient']!.data as Float32Array;
}

test('a hard swish has its slopes at both ends, next to them and far away', async () => {
  const slopes: readonly (readonly [number, number])[] = [
    [-1e30, 0],
    [-3 - 2 ** -22, 0],
    [-3, 0],
    [-3 + 2 ** -22, -1 / 2],
    [-1, 1 / 6],
    [0, 1 / 2],
    [3 - 2 ** -22, 3 / 2],
    [3, 1],
    [3 + 2 ** -22, 1],
    [1e30, 1],
  ];
  const data = Float32Array.from({ length: 16 * slopes.length }, (_, at) => slopes[at % slopes.length]![0]);
  const x = { type: 'float32', dims: [1, 16, 1, slopes.length], data } as const;
  const found = await slopesAt(x, [makeNode('HardSwish', ['a'], ['m'])]);
  found.forEach((value, at) => expect(value).toBeCloseTo(slopes[at % slopes.length]![1], 6));
});

test('what comes before a maximum over windows is not kept for the backward pass', () => {
  const model = normalizeModel(POOLED);
  const { nodes } = blocked(model).graph;
  const producer = new Map(nodes.flatMap((node) => node.outputs.map((output) => [output, node] as const)));
  const wide = nodes.filter(({ inputs }) => inputs.some((name) => name === 'a' || name === 'r'));
  expect(wide.map(({ operator }) => operator)).toEqual(['MaxPool']);
  expect(producer.get('m')?.operator).toBe('Relu');
  // A rectifier that somebody looks at stays where it is.
  expect(prepareFor({ set: 'blocked' }, model, ['r'])).toBe(model);
});

/** The nodes that onnxruntime makes of a model. */
async function optimize(model: Model, graphOptimizationLevel: 'basic' | 'all'): Promise<readonly Node[]> {
  const folder = mkdtempSync(path.join(tmpdir(), 'onnxray-blocked-'));
  const optimizedModelFilePath = path.join(folder, 'optimized.onnx');
  const options = { optimizedModelFilePath, logSeverityLevel: 4, graphOptimizationLevel } as const;
  await (await InferenceSession.create(writeModel(model), options)).release();
  const { nodes } = readModel(readFileSync(optimizedModelFilePath)).graph;
  rmSync(folder, { recursive: true });
  return nodes;
}

/** Planes of the forward pass that onnxruntime has to keep for the backward pass: none that it finds to be the same. */
async function kept(model: Model): Promise<string[]> {
  const nodes = await optimize(blocked(model), 'basic');
  const forward = new Set<string>();
  const needed = new Set(['y']);
  for (const { inputs, outputs } of nodes.toReversed())
    if (outputs.some((name) => needed.has(name))) {
      for (const name of inputs) needed.add(name);
      for (const name of outputs) forward.add(name);
    }
  const later = nodes.filter(({ outputs }) => !outputs.some((name) => forward.has(name)));
  const planes = new Set(model.graph.nodes.flatMap(({ outputs }) => outputs).filter((name) => !'ypqg'.includes(name)));
  return [...new Set(later.flatMap(({ inputs }) => inputs))].filter((name) => planes.has(name));
}

test.each(Object.entries(LARGE_NETS))('of %s the backward pass keeps little', async (_, [model, names]) => {
  expect((await kept(model)).toSorted()).toEqual([...names].toSorted());
});

describe('GELU as exporters spell it', () => {
  const one = (value: number) => numbersWeight('float32', [], [value]);
  const forms: Readonly<Record<string, ReturnType<typeof makeNode>[]>> = {
    'x (1 + erf(x / sqrt 2)), halved': [
      makeNode('Div', ['h', 'root'], ['u']),
      makeNode('Erf', ['u'], ['e']),
      makeNode('Add', ['e', 'one'], ['f']),
      makeNode('Mul', ['h', 'f'], ['g']),
      makeNode('Mul', ['g', 'half'], ['z']),
    ],
    '(x / 2) (1 + erf(x / sqrt 2))': [
      makeNode('Mul', ['h', 'half'], ['g']),
      makeNode('Div', ['h', 'root'], ['u']),
      makeNode('Erf', ['u'], ['e']),
      makeNode('Add', ['e', 'one'], ['f']),
      makeNode('Mul', ['g', 'f'], ['z']),
    ],
  };
  const mlp = (nodes: ReturnType<typeof makeNode>[]) =>
    makeModel({
      inputs: [{ name: 'x', type: 'float32', dims: ['batch', 8] }],
      outputs: [{ name: 'y', type: 'float32', dims: undefined }],
      nodes: [makeNode('MatMul', ['x', 'up'], ['h']), ...nodes, makeNode('MatMul', ['z', 'down'], ['y'])],
      initializers: [
        ['up', randomWeight([8, 32], 15, 3)],
        ['down', randomWeight([32, 4], 16)],
        ['root', one(Math.SQRT2)],
        ['one', one(1)],
        ['half', one(0.5)],
      ],
    });

  test.each(Object.entries(forms))('%s has the gradient of its operators, and is fused', async (_, nodes) => {
    const model = normalizeModel(mlp(nodes));
    const feeds = { x: randomTensor([5, 8], 17) };
    const [plain, own] = [
      await runModel(gradientOf(model, GRADIENT_RULES), feeds),
      await runModel(gradientOf(model, BLOCKED_RULES), feeds),
    ].map((results) => results['gradient']!.data as Float32Array);
    const largest = Math.max(...plain!.map(Math.abs));
    own!.forEach((value, at) => expect(Math.abs(value - plain![at]!)).toBeLessThan(2e-6 * largest));
    const optimized = await optimize(gradientOf(model, BLOCKED_RULES), 'all');
    expect(optimized.filter(({ operator }) => operator === 'Gelu')).toHaveLength(1);
  });

  test('far from 0 its slope is 0 or 1, not NaN', async () => {
    const model = normalizeModel(mlp(forms['x (1 + erf(x / sqrt 2)), halved']!));
    const far = randomTensor([5, 8], 17);
    const feeds = { x: { ...far, data: (far.data as Float32Array).map((value) => value * 1e4) } };
    const gradient = (await runModel(gradientOf(model, BLOCKED_RULES), feeds))['gradient']!.data as Float32Array;
    expect(gradient.every(Number.isFinite)).toBe(true);
  });
});

describe('x sigmoid(x)', () => {
  const model = normalizeModel(NETS['x sigmoid(x)']!);

  test('is one activation, whose slope takes another and a sigmoid of its own, however small: x is all that is kept', async () => {
    expect(await kept(model)).toEqual(['a']);
    const optimized = await optimize(blocked(model), 'all');
    expect(optimized.filter(({ operator }) => operator === 'QuickGelu')).toHaveLength(2);
    expect(optimized.filter(({ operator }) => operator === 'Sigmoid')).toHaveLength(1);
  });

  test('is differentiated the same way in a file that has it as QuickGelu', async () => {
    const quick = { ...makeNode('QuickGelu', ['a'], ['m'], { alpha: float(1) }), domain: 'com.microsoft' };
    const given = net([quick, conv('m', 'c', 'w')], 'c', [['w', randomWeight([32, 32, 1, 1], 3)]]);
    const feeds = { x: randomTensor([2, 3, 8, 8], 12) };
    const [spelled, fused] = [await runModel(blocked(model), feeds), await runModel(blocked(given), feeds)].map(
      (results) => results['gradient']!.data,
    );
    expect(fused).toEqual(spelled);
    expect(blocked(given).graph.nodes.filter(({ operator }) => operator === 'QuickGelu')).toHaveLength(1);
  });

  test('stays two operators where somebody looks at the sigmoid', () => {
    const { nodes } = prepareFor({ set: 'blocked' }, model, ['s', 'y']).graph;
    expect(nodes.map(({ operator }) => operator)).toContain('Sigmoid');
    expect(nodes.map(({ operator }) => operator)).not.toContain('QuickGelu');
  });

  test.each([1, 8, 30, 1000])('has the slope that float64 gives it, for |x| up to %d', async (most) => {
    const random = randomTensor([1, 16, 32, 32], 21);
    const x = (random.data as Float32Array).map((value) => value * most);
    const gated = [makeNode('Sigmoid', ['a'], ['s']), makeNode('Mul', ['a', 's'], ['m'])];
    const found = await slopesAt({ ...random, data: x }, gated);
    const sigmoid = (value: number) => 1 / (1 + Math.exp(-value));
    found.forEach((value, at) => {
      const s = sigmoid(x[at]!);
      const slope = s * (1 + x[at]! * sigmoid(-x[at]!));
      // The sigmoid's own error, 2^-23 of 1, times x where it still has a slope.
      expect(Math.abs(value - slope)).toBeLessThan(2e-7 * (1 + Math.min(Math.abs(x[at]!), 18)));
    });
  });
});

test('small planes of factors are kept, large ones spread again', async () => {
  const planes = (model: Model) =>
    blocked(model).graph.nodes.filter(({ operator, outputs }) => operator === 'MaxPool' && outputs.length === 1).length;
  const [small, large] = [
    NETS['squeeze and excitation']!,
    LARGE_NETS['squeeze and excitation of x sigmoid(x) of many pixels']![0],
  ];
  // Beside the factors' own, the means' gradients: the pooled answer's and the squeezed one's.
  expect(planes(small)).toBe(3);
  expect(planes(large)).toBe(4);
});

test('a residual sum is added into a copy that nobody else reads', async () => {
  const optimized = await optimize(blocked(RESIDUAL), 'all');
  const sums = optimized.filter(
    ({ operator, inputs }) => operator === 'Conv' && inputs.length === 4 && inputs[3] !== '',
  );
  const forward = sums.slice(0, 2).map(({ inputs }) => inputs[3]!);
  for (const sum of forward) {
    expect(optimized.find(({ outputs }) => outputs.includes(sum))?.operator).toBe('Relu');
    expect(optimized.filter(({ inputs }) => inputs.includes(sum))).toHaveLength(1);
  }
});

test('the sigmoid of x sigmoid(x) has a gradient of its own where it is asked for', async () => {
  const gradient = (rules: RuleTable) => {
    const b = new GraphBuilder(normalizeModel(NETS['x sigmoid(x)']!));
    b.setOutputs([]);
    const gradients = appendGradients(b, { of: 'y', wrt: ['x', 's'], seed: b.onesLike('y'), rules });
    for (const [value, name] of gradients) b.addOutput(name, value === 's' ? 'of s' : 'of x');
    return pruneModel(b.build());
  };
  const feeds = { x: randomTensor([2, 3, 8, 8], 12) };
  const [plain, own] = [
    await runModel(gradient(GRADIENT_RULES), feeds),
    await runModel(gradient(BLOCKED_RULES), feeds),
  ] as const;
  for (const name of ['of s', 'of x']) {
    const [expected, got] = [plain, own].map((results) => results[name]!.data as Float32Array);
    const largest = Math.max(...expected!.map(Math.abs));
    expect(largest).toBeGreaterThan(0);
    got!.forEach((value, at) => expect(Math.abs(value - expected![at]!)).toBeLessThan(1e-5 * largest));
  }
});

test.each([...Object.entries(NETS), ...LARGE])(
  '%s leaves the layout for the answer and the gradient only',
  async (_, model) => {
    const optimized = await optimize(blocked(model), 'all');
    const known = new Set(optimized.flatMap(({ operator, inputs }) => (operator === 'ReorderOutput' ? inputs : [])));
    // The seed is made of the answer, in the plain layout.
    expect(known.size).toBeLessThanOrEqual(2);
    const outside = optimized.filter(
      ({ operator, domain }) => domain === '' && !['Add', 'Mul', 'Sigmoid'].includes(operator),
    );
    expect(
      outside.map(({ operator }) => operator).filter((operator) => /Cast|Where|Sub|ConvTranspose/.test(operator)),
    ).toEqual([]);
  },
);
