import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { inferGraph, intAttribute, opsetOf, readModel } from '../../src/onnx/index.ts';
import type { Node } from '../../src/onnx/index.ts';

/** The models that `cam.test.ts` compares with the references. */
const models = ['convolutions', 'norms', 'vit', 'windows'].map((name) =>
  readModel(readFileSync(path.join(import.meta.dirname, 'fixtures', `${name}.onnx`))),
);
const all = models.flatMap((model) => {
  const facts = inferGraph(model.graph, opsetOf(model));
  return model.graph.nodes.map((node) => ({ node, model, facts }));
});
const list = ({ attributes }: Node, name: string): number[] => {
  const found = attributes[name];
  return found?.kind === 'ints' ? found.value.map(Number) : [];
};
const text = ({ attributes }: Node, name: string): string => {
  const found = attributes[name];
  return found?.kind === 'string' ? String(found.value) : '';
};
type Place = (typeof all)[number];

const ITEMS: Readonly<Record<string, (place: Place) => boolean>> = {
  'max pooling': ({ node }) => node.operator === 'MaxPool',
  'a strided convolution': ({ node }) => node.operator === 'Conv' && list(node, 'strides').some((each) => each > 1),
  'a dilated convolution': ({ node }) => node.operator === 'Conv' && list(node, 'dilations').some((each) => each > 1),
  'a grouped convolution': ({ node, model }) => {
    const group = intAttribute(node, 'group', 1);
    return node.operator === 'Conv' && group > 1 && group < model.graph.initializers.get(node.inputs[1]!)!.dims[0]!;
  },
  'a depthwise convolution': ({ node, model }) => {
    const group = intAttribute(node, 'group', 1);
    return node.operator === 'Conv' && group > 1 && group === model.graph.initializers.get(node.inputs[1]!)!.dims[0];
  },
  'a transposed convolution': ({ node }) => node.operator === 'ConvTranspose',
  // By one row or column: no padding of both sides alike is odd.
  'asymmetric padding': ({ node, facts }) => {
    const [before, after] = [facts.get(node.inputs[0]!)?.dims?.[2], facts.get(node.outputs[0]!)?.dims?.[2]];
    return node.operator === 'Pad' && (Number(after) - Number(before)) % 2 === 1;
  },
  'batch norm': ({ node }) => node.operator === 'BatchNormalization',
  'instance norm': ({ node, facts }) =>
    node.operator === 'InstanceNormalization' && facts.get(node.inputs[0]!)?.dims?.length === 4,
  // Exported as an instance norm of [1, groups, rest].
  'group norm': ({ node, facts }) =>
    node.operator === 'GroupNormalization' ||
    (node.operator === 'InstanceNormalization' && facts.get(node.inputs[0]!)?.dims?.length === 3),
  'layer norm': ({ node }) => node.operator === 'LayerNormalization',
  'a nearest resize': ({ node }) => node.operator === 'Resize' && text(node, 'mode') === 'nearest',
  'a linear resize': ({ node }) =>
    node.operator === 'Resize' &&
    text(node, 'mode') === 'linear' &&
    text(node, 'coordinate_transformation_mode') === 'half_pixel',
  'a linear resize corner on corner': ({ node }) =>
    node.operator === 'Resize' &&
    text(node, 'mode') === 'linear' &&
    text(node, 'coordinate_transformation_mode') === 'align_corners',
  'a cubic resize': ({ node }) => node.operator === 'Resize' && text(node, 'mode') === 'cubic',
};

test.each(Object.entries(ITEMS))('maps are compared with references through %s', (_, is) => {
  expect(all.filter(is).length).toBeGreaterThan(0);
});
