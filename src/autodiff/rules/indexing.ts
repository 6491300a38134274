/** Selecting elements by index, and putting them back. */
import type { GraphBuilder, ValueName } from '../../onnx/index.ts';
import { int, intAttribute, string, stringAttribute } from '../../onnx/index.ts';
import type { Rule } from '../rule.ts';
import { rule } from '../rule.ts';
import { placeAlong, scatterAlong } from './shape.ts';

/** dData: dY added in at the indices. One constant index, the usual way to take a token, is a padding. */
const gather = rule((b, node, dY) => [
  () => {
    const [data, indices] = [node.inputs[0]!, node.inputs[1]!];
    const axis = b.axis(data, intAttribute(node, 'axis', 0));
    const index = b.rank(indices) === 0 ? b.numbers(indices)?.[0] : undefined;
    if (index !== undefined) {
      const length = b.dims(data)?.[axis];
      const at =
        index >= 0
          ? b.int64s([index])
          : typeof length === 'number'
            ? b.int64s([index + length])
            : b.add(b.dimension(data, axis), b.int64s([index]));
      return placeAlong(b, b.unsqueeze(dY, [axis]), data, at, axis);
    }
    return scatterAlong(b, dY, data, b.cast(indices, 'int64'), axis);
  },
  undefined,
]);

const gatherElements = rule((b, node, dY) => [
  () =>
    b.op('ScatterElements', [b.zerosOf(node.inputs[0]!, dY), node.inputs[1]!, dY], {
      axis: int(intAttribute(node, 'axis', 0)),
      reduction: string('add'),
    }),
  undefined,
]);

const gatherND = rule((b, node, dY) => {
  if (intAttribute(node, 'batch_dims', 0) !== 0)
    throw new Error(`GatherND "${node.name}": batch_dims has no gradient rule`);
  return [() => b.scatterAdd(b.zerosOf(node.inputs[0]!, dY), node.inputs[1]!, dY), undefined];
});

/** Scatter: the overwritten elements get nothing, the updates what stands at their place; sums give to both. */
function scatter(
  pick: (b: GraphBuilder, dY: ValueName, indices: ValueName, axis: number) => ValueName,
  blank: (b: GraphBuilder, dY: ValueName, indices: ValueName, updates: ValueName, axis: number) => ValueName,
): Rule {
  return rule((b, node, dY) => {
    const [, indices, updates] = node.inputs as [ValueName, ValueName, ValueName];
    const reduction = stringAttribute(node, 'reduction', 'none');
    if (reduction !== 'none' && reduction !== 'add')
      throw new Error(`${node.operator} "${node.name}": reduction "${reduction}" has no gradient rule`);
    const axis = intAttribute(node, 'axis', 0);
    return [
      () => (reduction === 'add' ? dY : blank(b, dY, indices, updates, axis)),
      undefined,
      () => pick(b, dY, indices, axis),
    ];
  });
}

const scatterElements = scatter(
  (b, dY, indices, axis) => b.op('GatherElements', [dY, indices], { axis: int(axis) }),
  (b, dY, indices, updates, axis) =>
    b.op('ScatterElements', [dY, indices, b.zerosOf(updates, dY)], { axis: int(axis) }),
);

const scatterND = scatter(
  (b, dY, indices) => b.op('GatherND', [dY, indices]),
  (b, dY, indices, updates) => b.op('ScatterND', [dY, indices, b.zerosOf(updates, dY)]),
);

/** The gradient goes to the selected elements. */
const topK: Rule = (b, node, [dY]) => [
  dY === undefined
    ? undefined
    : () => {
        const x = node.inputs[0]!;
        const indices = b.siblingOutput(node.outputs[0]!, 1);
        return b.op('ScatterElements', [b.zerosOf(x, dY), indices, dY], {
          axis: int(intAttribute(node, 'axis', -1)),
          reduction: string('add'),
        });
      },
  undefined,
];

export const indexing = {
  Gather: gather,
  GatherElements: gatherElements,
  GatherND: gatherND,
  ScatterElements: scatterElements,
  ScatterND: scatterND,
  TopK: topK,
} satisfies Readonly<Record<string, Rule>>;
