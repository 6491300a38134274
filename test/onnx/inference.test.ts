/** What inference says of every value, against what onnxruntime gives: over all cases and their gradients' graphs. */
import { describe, expect, test } from 'vitest';
import {
  GraphBuilder,
  inferGraph,
  int,
  ints,
  isStatic,
  normalizeModel,
  numbersWeight,
  opsetOf,
  sizeOf,
  string,
} from '../../src/onnx/index.ts';
import type { Attribute, DenseTensor, Facts, Model, NamedTensors } from '../../src/onnx/index.ts';
import { SHAPES, caseFeeds, caseModel, variables } from '../autodiff/case.ts';
import type { Case, Shapes } from '../autodiff/case.ts';
import { CASES } from '../autodiff/cases/index.ts';
import { differentiateTwice, precisionOf } from '../autodiff/check.ts';
import { makeModel, makeNode, runModel } from '../models.ts';

/** The program of a case with every value as an output, run once. */
async function allValues(c: Case, shapes: Shapes): Promise<{ program: Model; results: NamedTensors }> {
  const precision = precisionOf(c);
  const program = differentiateTwice(c, precision, shapes).model;
  const b = new GraphBuilder(program);
  const names = program.graph.nodes.flatMap((node) => node.outputs.filter((name) => name !== ''));
  b.setOutputs(names.map((name) => ({ name, type: b.type(name), dims: undefined })));
  const feeds: Record<string, DenseTensor> = { ...caseFeeds(c, precision) };
  for (const name of variables(c)) feeds[`v_${name}`] = feeds[name]!;
  const { y } = await runModel(caseModel(c, precision, 'static'), caseFeeds(c, precision));
  const given = new Set(program.graph.inputs.map(({ name }) => name));
  if (given.has('seed')) feeds['seed'] = y!;
  return { program, results: await runModel(b.build(), feeds, { optimization: 'disabled' }) };
}

/** Numbers must be right, and one name must be one length wherever it stands. */
function expectTrue(facts: ReadonlyMap<string, Facts>, results: NamedTensors): void {
  const named = new Map<string, number>();
  for (const [name, { type, dims, data }] of Object.entries(results)) {
    const known = facts.get(name);
    if (known === undefined) continue;
    expect(known.type, `type of ${name}`).toBe(type);
    if (known.dims === undefined) continue;
    expect(known.dims.length, `rank of ${name}`).toBe(dims.length);
    known.dims.forEach((dim, axis) => {
      if (dim === undefined) return;
      const length = typeof dim === 'number' ? dim : (named.get(dim) ?? dims[axis]!);
      expect(dims[axis], `${dim}, axis ${axis} of ${name}`).toBe(length);
      if (typeof dim === 'string') named.set(dim, length);
    });
    known.values?.forEach((value, at) => {
      if (typeof value === 'number') expect(Number(data[at]), `element ${at} of ${name}`).toBe(value);
    });
  }
}

for (const [family, cases] of Object.entries(CASES))
  describe(`inferred types, dims and values are those of the run: ${family}`, () => {
    for (const c of cases)
      test(`${c.operator} ${c.name}`, async () => {
        for (const shapes of SHAPES) {
          if (shapes !== 'static' && c.staticOnly) continue;
          const { program, results } = await allValues(c, shapes);
          // Once with what the rules said of their values, once from the inputs alone.
          expectTrue(inferGraph(program.graph, opsetOf(program)), results);
          expectTrue(inferGraph({ ...program.graph, valueInfos: new Map() }, opsetOf(program)), results);
        }
      });
  });

test('with static inputs every value of every case has static dims, except where values decide', async () => {
  const unknown = Object.values(CASES)
    .flat()
    .filter((c) => {
      const { model } = differentiateTwice(c, precisionOf(c), 'static');
      const facts = inferGraph(model.graph, opsetOf(model));
      return model.graph.nodes.some(({ outputs }) => outputs.some((name) => name && !isStatic(facts.get(name)?.dims)));
    })
    .map((c) => `${c.operator} ${c.name}`)
    .filter((name) => !name.includes('computed'));
  expect(unknown).toEqual(['Range of floats', 'TopK of the smallest along an axis', 'NonZero has no slope']);
});

test('elements picked from a table of whole numbers are those of its rows and columns', async () => {
  // Read as one list, a row of the table was its second element, and the model could no longer be loaded.
  const table = numbersWeight('int64', [2, 3], [1, 2, 3, 4, 5, 6]);
  const picks: [number, number[], number[]][] = [
    [0, [], [1]],
    [0, [2], [1, 0]],
    [1, [], [-1]],
    [1, [1, 2], [0, 2]],
  ];
  for (const [axis, dims, indices] of picks) {
    const model = makeModel({
      inputs: [],
      outputs: [{ name: 'y', type: 'int64', dims: undefined }],
      nodes: [makeNode('Gather', ['table', 'indices'], ['y'], { axis: int(axis) })],
      initializers: [
        ['table', table],
        ['indices', numbersWeight('int64', dims, indices)],
      ],
    });
    const expected = await runModel(model, {});
    expectTrue(inferGraph(model.graph, opsetOf(model)), expected);
    expect(await runModel(normalizeModel(model), {})).toEqual(expected);
  }
});

test('a length that is scaled is rounded as onnxruntime rounds it, in float32', async () => {
  const lengths = [10, 7, 13, 100, 21];
  for (const scale of [0.7, 1.1, 1.3, 0.6, 1 / 3, 0.9]) {
    const model = makeModel({
      inputs: [{ name: 'x', type: 'float32', dims: lengths.slice(0, 2).concat(lengths.slice(2, 4)) }],
      outputs: [{ name: 'y', type: 'float32', dims: undefined }],
      nodes: [makeNode('Resize', ['x', '', 'scales'], ['y'], { mode: string('nearest') })],
      initializers: [['scales', numbersWeight('float32', [4], [scale, scale, scale, scale])]],
    });
    const dims = lengths.slice(0, 4);
    const x: DenseTensor = { type: 'float32', dims, data: new Float32Array(sizeOf(dims)) };
    expectTrue(inferGraph(model.graph, opsetOf(model)), await runModel(model, { x }));
  }
});

test('what says its type in an attribute is of that type', async () => {
  const made: [string, Record<string, Attribute>, string[]][] = [
    ['EyeLike', { dtype: int(11) }, ['whole']],
    ['RandomUniform', { dtype: int(11), shape: ints([2, 3]) }, []],
    ['RandomNormal', { shape: ints([2, 3]) }, []],
    ['RandomUniformLike', { dtype: int(11) }, ['whole']],
    ['RandomNormalLike', {}, ['x']],
    ['Bernoulli', { dtype: int(7) }, ['half']],
    ['Multinomial', { sample_size: int(4), dtype: int(7) }, ['half']],
  ];
  for (const [operator, attributes, inputs] of made) {
    const model = makeModel({
      inputs: [],
      outputs: [{ name: 'y', type: 'float32', dims: undefined }],
      nodes: [makeNode(operator, inputs, ['y'], attributes)],
      initializers: [
        ['whole', numbersWeight('int64', [2, 3], [0, 0, 0, 0, 0, 0])],
        ['x', numbersWeight('float64', [2, 3], [0, 0, 0, 0, 0, 0])],
        ['half', numbersWeight('float32', [2, 3], [0.5, 0.5, 0.5, 0.5, 0.5, 0.5])],
      ],
    });
    const facts = inferGraph(model.graph, opsetOf(model)).get('y')!;
    const typed = { ...model, graph: { ...model.graph, outputs: [{ name: 'y', type: facts.type, dims: undefined }] } };
    const { y } = await runModel(typed, {});
    expect([operator, facts.type, facts.dims]).toEqual([operator, y!.type, y!.dims]);
  }
});
