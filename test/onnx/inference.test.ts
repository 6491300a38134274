/** What inference says of every value, against what onnxruntime gives: over all cases and their gradients' graphs. */
import { describe, expect, test } from 'vitest';
import { GraphBuilder, inferGraph, isStatic, opsetOf } from '../../src/onnx/index.ts';
import type { DenseTensor, Facts, Model, NamedTensors } from '../../src/onnx/index.ts';
import { SHAPES, caseFeeds, caseModel, variables } from '../autodiff/case.ts';
import type { Case, Shapes } from '../autodiff/case.ts';
import { CASES } from '../autodiff/cases/index.ts';
import { differentiateTwice, precisionOf } from '../autodiff/check.ts';
import { runModel } from '../models.ts';

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
