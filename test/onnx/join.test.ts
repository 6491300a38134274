import { expect, test } from 'vitest';
import { joinModels, numbersWeight } from '../../src/onnx/index.ts';
import type { DenseTensor, Model } from '../../src/onnx/index.ts';
import { writeModel } from '../../src/onnx/index.ts';
import { openSession } from '../../src/runtime/index.ts';

const floats = (values: readonly number[]): DenseTensor => ({
  type: 'float32',
  dims: [1, values.length],
  data: Float32Array.from(values),
});

/** input times a weight called "weight", by a node and a value of the same name in every such file. */
function scaled(input: string, output: string, by: number, opset = 17): Model {
  const value = (name: string) => ({ name, type: 'float32' as const, dims: ['batch', 2] });
  const node = (operator: string, inputs: readonly string[], to: string) => ({
    name: `/${operator}`,
    operator,
    domain: '',
    inputs,
    outputs: [to],
    attributes: {},
  });
  return {
    irVersion: 8,
    producer: 'test',
    opsets: new Map([['', opset]]),
    functions: [],
    metadata: new Map(),
    graph: {
      name: 'main',
      inputs: [value(input)],
      outputs: [value(output)],
      nodes: [node('Mul', [input, 'weight'], 'product'), node('Neg', ['product'], output)],
      initializers: new Map([['weight', numbersWeight('float32', [1], [by])]]),
      valueInfos: new Map(),
      otherTypes: new Map(),
    },
  };
}

async function run(model: Model, feeds: Readonly<Record<string, DenseTensor>>): Promise<Record<string, number[]>> {
  const session = await openSession(writeModel(model), { threads: 1 });
  const results = await session.run(feeds);
  await session.release();
  return Object.fromEntries(
    Object.entries(results).map(([name, { data }]) => [name, Array.from(data as Float32Array)]),
  );
}

test('values, weights and nodes of one name in two files stay apart, and an input of one name is one', async () => {
  const parts = [
    { name: 'a', model: scaled('x', 'left', 2) },
    { name: 'b', model: scaled('x', 'right', 3) },
  ];
  const joined = joinModels(parts);
  expect(joined.graph.inputs.map(({ name }) => name)).toEqual(['x']);
  expect(joined.graph.nodes.map(({ name }) => name)).toEqual(['/Mul', '/Neg', 'b/Mul', 'b/Neg']);
  expect(await run(joined, { x: floats([1, 2]) })).toEqual({ left: [-2, -4], right: [-3, -6] });
});

test('what an encoder hands on is taken by its decoder, whichever is named first', async () => {
  const encoder = { name: 'encoder', model: scaled('pixel_values', 'last_hidden_state', 2) };
  const decoder = { name: 'decoder', model: scaled('encoder_hidden_states', 'logits', 5) };
  for (const parts of [
    [encoder, decoder],
    [decoder, encoder],
  ]) {
    const joined = joinModels(parts);
    expect(joined.graph.inputs.map(({ name }) => name)).toEqual(['pixel_values']);
    expect(joined.graph.outputs.map(({ name }) => name)).toEqual(['logits']);
    expect(await run(joined, { pixel_values: floats([1, -1]) })).toEqual({ logits: [10, -10] });
  }
});

test('files that cannot be one model are refused in a line', () => {
  const part = (name: string, model: Model) => ({ name, model });
  expect(() => joinModels([part('a', scaled('x', 'y', 1)), part('b', scaled('z', 'v', 1, 18))])).toThrow(
    'b uses operator set ai.onnx 18, another file 17: convert them to one with onnx.version_converter',
  );
  expect(() => joinModels([part('a', scaled('x', 'y', 1)), part('b', scaled('y', 'x', 1))])).toThrow(
    'a and b hand on to one another',
  );
});
