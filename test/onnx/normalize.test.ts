/** The canonical form: constants lifted, padding explicit, shapes folded, what is not used gone. */
import { describe, expect, test } from 'vitest';
import { differentiate } from '../../src/autodiff/index.ts';
import type { Attribute, Model, Node } from '../../src/onnx/index.ts';
import {
  inferGraph,
  int,
  ints,
  normalizeModel,
  numbersWeight,
  opsetOf,
  pruneModel,
  string,
  tensorWeight,
  weightNumbers,
} from '../../src/onnx/index.ts';
import { chance, makeModel, makeNode, numbersOf, runModel } from '../models.ts';

const operators = ({ graph }: Model) => graph.nodes.map(({ operator }) => operator);
const i = (name: string, ...values: number[]) => [name, numbersWeight('int64', [values.length], values)] as const;

describe('Constant nodes become weights', () => {
  const forms: [string, Attribute, number[], number[]][] = [
    ['value', { kind: 'tensor', value: numbersWeight('float32', [2], [1, 2]) }, [2], [1, 2]],
    ['value_float', { kind: 'float', value: 0.5 }, [], [0.5]],
    ['value_floats', { kind: 'floats', value: [0.5, 1] }, [2], [0.5, 1]],
    ['value_int', int(3), [], [3]],
    ['value_ints', ints([3, 4]), [2], [3, 4]],
  ];
  test.each(forms)('in the form %s', async (name, attribute, dims, values) => {
    const integers = name.startsWith('value_int');
    const type = integers ? 'int64' : 'float32';
    const model = makeModel({
      inputs: [],
      outputs: [{ name: 'y', type, dims: undefined }],
      nodes: [makeNode('Constant', [], ['c'], { [name]: attribute }), makeNode('Identity', ['c'], ['y'])],
      opset: 13,
    });
    const normal = normalizeModel(model);
    expect(operators(normal)).not.toContain('Constant');
    const [expected, actual] = [await runModel(model, {}), await runModel(normal, {})];
    expect(actual['y']).toEqual(expected['y']);
    expect([actual['y']!.dims, numbersOf(actual['y']!)]).toEqual([dims, values]);
  });

  test('of strings stay nodes', () => {
    const model = makeModel({
      inputs: [],
      outputs: [{ name: 'y', type: 'string', dims: undefined }],
      nodes: [makeNode('Constant', [], ['y'], { value_string: string('a') })],
    });
    expect(operators(normalizeModel(model))).toEqual(['Constant']);
  });
});

describe('shape arithmetic is folded', () => {
  test('conditions among it, and they go on deciding what is still symbolic', () => {
    // As exporters write expand(n, -1): where(target = -1, own lengths, target).
    const [own, target] = ['batch', 'rest'] as const;
    const model = makeModel({
      inputs: [
        { name: 'x', type: 'float32', dims: [own, 3] },
        { name: 'token', type: 'float32', dims: [1, 2] },
      ],
      outputs: [{ name: 'y', type: 'float32', dims: undefined }],
      initializers: [i('first', 0), i('marker', -1), i(target, 2)],
      nodes: [
        makeNode('Shape', ['x'], ['shape']),
        makeNode('Gather', ['shape', 'first'], ['rows'], { axis: int(0) }),
        makeNode('Concat', ['rows', target], ['wanted'], { axis: int(0) }),
        makeNode('Equal', ['wanted', 'marker'], ['open']),
        makeNode('Where', ['open', 'marker', 'wanted'], ['lengths']),
        makeNode('Expand', ['token', 'lengths'], ['y']),
      ],
    });
    const normal = normalizeModel(model);
    expect(operators(normal)).not.toContain('Equal');
    expect(inferGraph(normal.graph, opsetOf(normal)).get('y')?.dims).toEqual(['batch', 2]);
  });

  test('remainders too, by which exporters count an axis from the front', () => {
    const mod = (a: number, b: number, fmod: number) =>
      normalizeModel(
        makeModel({
          inputs: [],
          outputs: [{ name: 'y', type: 'int64', dims: [1] }],
          nodes: [makeNode('Mod', ['a', 'b'], ['y'], { fmod: int(fmod) })],
          initializers: [i('a', a), i('b', b)],
        }),
      ).graph.initializers.get('y');
    for (const [a, b, fmod, expected] of [
      [2, 3, 0, 2],
      [-1, 3, 0, 2],
      [4, -3, 0, -2],
      [-4, 3, 1, -1],
    ] as const)
      expect(weightNumbers(mod(a, b, fmod)!), `${a} mod ${b}`).toEqual([expected]);
    expect(mod(1, 0, 0)).toBeUndefined();
  });

  /** PyTorch's x.view(x.size(0), x.size(1), heads, -1). */
  const view = (dims: (number | string)[]): Model =>
    makeModel({
      inputs: [{ name: 'x', type: 'float32', dims }],
      outputs: [{ name: 'y', type: 'float32', dims: undefined }],
      nodes: [
        makeNode('Shape', ['x'], ['s0']),
        makeNode('Gather', ['s0', 'zero'], ['d0'], { axis: int(0) }),
        makeNode('Shape', ['x'], ['s1']),
        makeNode('Gather', ['s1', 'one'], ['d1'], { axis: int(0) }),
        makeNode('Unsqueeze', ['d0', 'axis'], ['u0']),
        makeNode('Unsqueeze', ['d1', 'axis'], ['u1']),
        makeNode('Concat', ['u0', 'u1', 'heads', 'rest'], ['shape'], { axis: int(0) }),
        makeNode('Reshape', ['x', 'shape'], ['y']),
      ],
      initializers: [
        ['zero', numbersWeight('int64', [], [0])],
        ['one', numbersWeight('int64', [], [1])],
        i('axis', 0),
        i('heads', 2),
        i('rest', -1),
      ],
    });

  test('to a constant where dims are numbers', () => {
    const normal = normalizeModel(view([2, 3, 8]));
    expect(operators(normal)).toEqual(['Reshape']);
    expect(weightNumbers(normal.graph.initializers.get('shape')!)).toEqual([2, 3, 2, -1]);
  });

  test('not where dims are names, and the model still runs', async () => {
    const model = view(['batch', 'length', 8]);
    const x = { type: 'float32', dims: [2, 3, 8], data: Float32Array.from({ length: 48 }, (_, at) => at) } as const;
    expect((await runModel(normalizeModel(model), { x }))['y']!.dims).toEqual([2, 3, 2, 4]);
  });

  test('once names are given numbers', () => {
    const normal = normalizeModel(view(['batch', 'length', 8]), { dims: { x: [1, 128, 8] } });
    expect(operators(normal)).toEqual(['Reshape']);
  });

  test('through slices, arithmetic, comparison and selection, as in expanded masks', async () => {
    // Where(Equal(shape, -1), ones, shape), the pattern of torch.expand.
    const model = makeModel({
      inputs: [{ name: 'x', type: 'float32', dims: [1, 3, 1] }],
      outputs: [{ name: 'y', type: 'float32', dims: undefined }],
      nodes: [
        makeNode('Shape', ['x'], ['shape']),
        makeNode('Slice', ['shape', 'from', 'to'], ['middle']),
        makeNode('Mul', ['middle', 'two'], ['doubled']),
        makeNode('Concat', ['two', 'minus', 'doubled'], ['wanted'], { axis: int(0) }),
        makeNode('ConstantOfShape', ['three'], ['ones'], {
          value: { kind: 'tensor', value: numbersWeight('int64', [1], [1]) },
        }),
        makeNode('Equal', ['wanted', 'minus'], ['keep']),
        makeNode('Where', ['keep', 'ones', 'wanted'], ['target']),
        makeNode('Expand', ['x', 'target'], ['y']),
      ],
      initializers: [i('from', 1), i('to', 2), i('two', 2), i('minus', -1), i('three', 3)],
    });
    const normal = normalizeModel(model);
    expect(operators(normal)).toEqual(['Expand']);
    const x = { type: 'float32', dims: [1, 3, 1], data: Float32Array.of(1, 2, 3) } as const;
    expect(await runModel(normal, { x })).toEqual(await runModel(model, { x }));
  });

  test('not where a row meets a column, whose elements make a matrix', async () => {
    const model = makeModel({
      inputs: [{ name: 'x', type: 'float32', dims: [3, 2] }],
      outputs: [{ name: 'y', type: 'bool', dims: undefined }],
      nodes: [
        makeNode('Shape', ['x'], ['shape']),
        makeNode('Unsqueeze', ['shape', 'first'], ['row']),
        makeNode('Unsqueeze', ['shape', 'second'], ['column']),
        makeNode('Add', ['row', 'column'], ['sum']),
        makeNode('Equal', ['sum', 'column'], ['same']),
        makeNode('Where', ['same', 'row', 'column'], ['chosen']),
        makeNode('Equal', ['chosen', 'row'], ['y']),
      ],
      initializers: [
        ['first', numbersWeight('int64', [1], [0])],
        ['second', numbersWeight('int64', [1], [1])],
      ],
    });
    const feeds = { x: { type: 'float32', dims: [3, 2], data: new Float32Array(6) } } as const;
    const { y } = await runModel(normalizeModel(model), feeds);
    expect(y).toEqual((await runModel(model, feeds))['y']);
    expect(y!.dims).toEqual([2, 2]);
  });

  test('a remainder has the sign of the divisor, or with fmod of the dividend', async () => {
    const model = makeModel({
      inputs: [{ name: 'x', type: 'float32', dims: [7, 3] }],
      outputs: [
        { name: 'y', type: 'int64', dims: undefined },
        { name: 'z', type: 'int64', dims: undefined },
      ],
      nodes: [
        makeNode('Shape', ['x'], ['shape']),
        makeNode('Neg', ['shape'], ['negative']),
        makeNode('Mod', ['negative', 'two'], ['y']),
        makeNode('Mod', ['negative', 'two'], ['z'], { fmod: int(1) }),
      ],
      initializers: [i('two', 2)],
    });
    const normal = normalizeModel(model);
    expect(operators(normal)).toEqual([]);
    const feeds = { x: { type: 'float32', dims: [7, 3], data: new Float32Array(21) } } as const;
    const results = await runModel(model, feeds);
    for (const name of ['y', 'z'])
      expect(weightNumbers(normal.graph.initializers.get(name)!)).toEqual(numbersOf(results[name]!));
  });

  test('integer division rounds as onnxruntime does', async () => {
    const model = makeModel({
      inputs: [{ name: 'x', type: 'float32', dims: [7, 5] }],
      outputs: [{ name: 'y', type: 'int64', dims: undefined }],
      nodes: [
        makeNode('Shape', ['x'], ['shape']),
        makeNode('Div', ['shape', 'by'], ['part']),
        makeNode('Sub', ['part', 'ten'], ['y']),
      ],
      initializers: [i('by', 2, -2), i('ten', 10)],
    });
    const x = { type: 'float32', dims: [7, 5], data: new Float32Array(35) } as const;
    const [normal] = [normalizeModel(model)];
    expect(numbersOf((await runModel(model, { x }))['y']!)).toEqual([-7, -12]);
    expect(weightNumbers(normal.graph.initializers.get('y')!)).toEqual([-7, -12]);
  });
});

describe('auto_pad becomes pads', () => {
  const random = chance(3);
  const cases = ['Conv', 'ConvTranspose', 'MaxPool', 'AveragePool'].flatMap((operator) =>
    ['SAME_UPPER', 'SAME_LOWER', 'VALID'].flatMap((mode) =>
      [1, 2, 3].map((stride): [string, string, number] => [operator, mode, stride]),
    ),
  );
  test.each(cases)('%s %s with stride %d', async (operator, mode, stride) => {
    const attributes = { auto_pad: string(mode), strides: ints([stride, 1]), kernel_shape: ints([3, 2]) };
    const weighted = operator.startsWith('Conv');
    const model = makeModel({
      inputs: [{ name: 'x', type: 'float32', dims: [1, 2, 7, 5] }],
      outputs: [{ name: 'y', type: 'float32', dims: undefined }],
      nodes: [makeNode(operator, weighted ? ['x', 'w'] : ['x'], ['y'], attributes)],
      initializers: [
        [
          'w',
          numbersWeight(
            'float32',
            [2, 2, 3, 2],
            Array.from({ length: 24 }, () => random()),
          ),
        ],
      ],
    });
    const normal = normalizeModel(model);
    expect(normal.graph.nodes[0]!.attributes['auto_pad']).toBeUndefined();
    const x = { type: 'float32', dims: [1, 2, 7, 5], data: Float32Array.from({ length: 70 }, () => random()) } as const;
    const [expected, actual] = [await runModel(model, { x }), await runModel(normal, { x })];
    expect(actual['y']!.dims).toEqual(expected['y']!.dims);
    numbersOf(expected['y']!).forEach((value, at) => expect(numbersOf(actual['y']!)[at]).toBeCloseTo(value, 5));
  });
});

test.each(['MaxPool', 'AveragePool'])(
  '%s leaves out a last window that begins behind the input, and loads',
  async (operator) => {
    const model = makeModel({
      inputs: [{ name: 'x', type: 'float32', dims: [1, 2, 8, 5] }],
      outputs: [{ name: 'y', type: 'float32', dims: undefined }],
      nodes: [
        makeNode(operator, ['x'], ['p'], {
          kernel_shape: ints([1, 2]),
          strides: ints([2, 3]),
          pads: ints([0, 1, 0, 1]),
          ceil_mode: int(1),
        }),
        makeNode('Shape', ['p'], ['shape']),
        makeNode('ConstantOfShape', ['shape'], ['zeros']),
        makeNode('Add', ['p', 'zeros'], ['y']),
      ],
    });
    const data = Float32Array.from({ length: 80 }, (_, at) => Math.sin(at));
    const x = { type: 'float32', dims: [1, 2, 8, 5], data } as const;
    const pooled = {
      ...model,
      graph: {
        ...model.graph,
        nodes: model.graph.nodes.slice(0, 1),
        outputs: [{ ...model.graph.outputs[0]!, name: 'p' }],
      },
    };
    const [expected, actual] = [await runModel(pooled, { x }), await runModel(normalizeModel(model), { x })];
    expect(expected['p']!.dims).toEqual([1, 2, 4, 2]);
    expect(actual['y']!.dims).toEqual([1, 2, 4, 2]);
    numbersOf(expected['p']!).forEach((value, at) => expect(numbersOf(actual['y']!)[at]).toBeCloseTo(value, 6));
    const { model: program, gradients } = differentiate(normalizeModel(model), { of: 'y', wrt: ['x'] });
    const gradient = numbersOf((await runModel(program, { x }))[gradients.get('x')!]!);
    expect(gradient.some((slope) => slope !== 0)).toBe(true);
  },
);

test.each(['SAME_UPPER', 'SAME_LOWER'])('a transposed convolution whose stride skips its kernel, %s', async (mode) => {
  // What a kernel does not reach is not made up, and output_padding counts.
  for (const [strides, extra] of [
    [[3, 3], undefined],
    [
      [3, 3],
      [1, 2],
    ],
    [
      [4, 2],
      [3, 0],
    ],
  ] as const) {
    const attributes = { auto_pad: string(mode), strides: ints([...strides]) };
    const model = makeModel({
      inputs: [{ name: 'x', type: 'float32', dims: [1, 1, 3, 2] }],
      outputs: [{ name: 'y', type: 'float32', dims: undefined }],
      nodes: [
        makeNode(
          'ConvTranspose',
          ['x', 'w'],
          ['y'],
          extra === undefined ? attributes : { ...attributes, output_padding: ints([...extra]) },
        ),
      ],
      initializers: [['w', numbersWeight('float32', [1, 2, 1, 2], [1, 2, 3, 4])]],
    });
    const x = { type: 'float32', dims: [1, 1, 3, 2], data: Float32Array.of(1, 2, 3, 4, 5, 6) } as const;
    const [expected, actual] = [await runModel(model, { x }), await runModel(normalizeModel(model), { x })];
    expect(actual['y']!.dims).toEqual(expected['y']!.dims);
    expect(numbersOf(actual['y']!)).toEqual(numbersOf(expected['y']!));
    const { model: program, gradients } = differentiate(normalizeModel(model), { of: 'y', wrt: ['x'] });
    expect((await runModel(program, { x }))[gradients.get('x')!]!.dims).toEqual([1, 1, 3, 2]);
  }
});

test('auto_pad becomes pads within branches too', async () => {
  const conv = (output: string, attributes: Record<string, Attribute>) =>
    ({
      kind: 'graph',
      value: {
        name: output,
        inputs: [],
        outputs: [{ name: output, type: 'float32', dims: undefined }],
        nodes: [makeNode('Conv', ['x', 'w'], [output], { strides: ints([2, 2]), ...attributes })],
        initializers: new Map(),
        valueInfos: new Map(),
        otherTypes: new Map(),
      },
    }) as const;
  const random = chance(4);
  const some = (length: number) => Array.from({ length }, () => random());
  const model = makeModel({
    inputs: [
      { name: 'x', type: 'float32', dims: [1, 1, 5, 5] },
      { name: 'flag', type: 'bool', dims: [] },
    ],
    outputs: [{ name: 'y', type: 'float32', dims: undefined }],
    nodes: [
      makeNode('If', ['flag'], ['y'], {
        then_branch: conv('upper', { auto_pad: string('SAME_UPPER') }),
        else_branch: conv('lower', { auto_pad: string('SAME_LOWER') }),
      }),
    ],
    initializers: [['w', numbersWeight('float32', [1, 1, 2, 2], some(4))]],
  });
  const { model: program } = differentiate(normalizeModel(model), { of: 'y', wrt: ['x'] });
  for (const flag of [0, 1]) {
    const feeds = {
      x: { type: 'float32', dims: [1, 1, 5, 5], data: Float32Array.from(some(25)) },
      flag: { type: 'bool', dims: [], data: Uint8Array.of(flag) },
    } as const;
    const [expected, actual] = [await runModel(model, feeds), await runModel(program, feeds)];
    numbersOf(expected['y']!).forEach((value, at) => expect(numbersOf(actual['y']!)[at]).toBeCloseTo(value, 5));
  }
});

describe('pruning', () => {
  const branch = (node: Node) =>
    makeModel({ inputs: [], outputs: [{ name: node.outputs[0]!, type: 'float32', dims: [] }], nodes: [node] }).graph;
  const model = makeModel({
    inputs: [{ name: 'x', type: 'float32', dims: [] }],
    outputs: [{ name: 'y', type: 'float32', dims: [] }],
    nodes: [
      makeNode('Neg', ['x'], ['unused']),
      makeNode('Abs', ['unused'], ['also_unused']),
      makeNode('Exp', ['x'], ['inner']),
      makeNode('If', ['flag'], ['y'], {
        then_branch: { kind: 'graph', value: branch(makeNode('Add', ['inner', 'w'], ['a'])) },
        else_branch: { kind: 'graph', value: branch(makeNode('Identity', ['w'], ['b'])) },
      }),
    ],
    initializers: [
      ['flag', tensorWeight({ type: 'bool', dims: [], data: Uint8Array.of(1) })],
      ['w', numbersWeight('float32', [], [1])],
      ['spare', numbersWeight('float32', [], [1])],
    ],
  });

  test('drops nodes and weights no output depends on, and keeps what only a subgraph reads', () => {
    const pruned = pruneModel(model);
    expect(operators(pruned)).toEqual(['Exp', 'If']);
    expect([...pruned.graph.initializers.keys()]).toEqual(['flag', 'w']);
    expect(pruned.graph.inputs).toEqual(model.graph.inputs);
  });

  test('leaves the model it was given as it was', () => {
    pruneModel(model);
    expect(model.graph.nodes.length).toBe(4);
    expect(model.graph.initializers.size).toBe(3);
  });
});

describe('a Resize whose length onnxruntime reckons in two ways has the one of its kernel', () => {
  const resize = (mode: string, coordinate: string, scales: number[], axes?: number[]) =>
    makeModel({
      inputs: [{ name: 'x', type: 'float32', dims: axes === undefined ? [1, 2, 10, 10] : ['batch', 2, 10, 10] }],
      outputs: [{ name: 'y', type: 'float32', dims: undefined }],
      nodes: [
        makeNode('Resize', ['x', '', 'scales'], ['y'], {
          mode: string(mode),
          coordinate_transformation_mode: string(coordinate),
          ...(axes === undefined ? {} : { axes: ints(axes) }),
        }),
      ],
      initializers: [['scales', numbersWeight('float32', [scales.length], scales)]],
    });
  const cases = ['nearest', 'linear', 'cubic'].flatMap((mode) =>
    ['half_pixel', 'asymmetric', 'align_corners', 'pytorch_half_pixel'].flatMap((coordinate) => [
      [`${mode}, ${coordinate}`, resize(mode, coordinate, [1, 1, 0.7, 1.13])] as const,
      [`${mode}, ${coordinate}, on chosen axes`, resize(mode, coordinate, [1.13, 0.7], [-2, -1])] as const,
    ]),
  );
  test.each(cases)('%s', async (_, model) => {
    const random = chance(3);
    const data = Float32Array.from({ length: 200 }, () => random());
    const feeds = { x: { type: 'float32', dims: [1, 2, 10, 10], data } } as const;
    const [expected, found] = [await runModel(model, feeds), await runModel(normalizeModel(model), feeds)];
    expect(found['y']!.dims).toEqual(expected['y']!.dims);
    expect(expected['y']!.dims).toContain(7);
    const values = numbersOf(expected['y']!);
    numbersOf(found['y']!).forEach((value, at) => expect(value).toBeCloseTo(values[at]!, 5));
  });
});
