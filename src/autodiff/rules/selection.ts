/** Values that are picked as they are. */
import { intAttribute } from '../../onnx/index.ts';
import type { Rule } from '../rule.ts';
import { rule } from '../rule.ts';
import { scatterAlong } from './shape.ts';

/** The gradient goes to the first of equal elements, whose place the second output tells. */
const unique: Rule = (b, node, [dY]) => [
  dY === undefined
    ? undefined
    : () => {
        const x = node.inputs[0]!;
        const places = b.siblingOutput(node.outputs[0]!, 1);
        const axis = intAttribute(node, 'axis');
        if (axis !== undefined) return scatterAlong(b, dY, x, places, b.axis(x, axis));
        return b.reshapeLike(scatterAlong(b, dY, b.reshapeTo(x, [-1]), places, 0), x);
      },
];

export const selection = {
  Unique: unique,
  // A tensor that may be absent, and is there.
  Optional: rule((_, _node, dY) => [() => dY]),
  OptionalGetElement: rule((_, _node, dY) => [() => dY]),
} satisfies Readonly<Record<string, Rule>>;
