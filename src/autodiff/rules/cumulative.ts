/** Running products. */
import { int, intAttribute } from '../../onnx/index.ts';
import type { Rule } from '../rule.ts';
import { rule } from '../rule.ts';

/** y_i = prod_{j <= i} x_j, so dx_j = sum_{i >= j} dy_i y_i / x_j. Where an element is exactly 0 its gradient is taken as 0. */
const cumProd = rule((b, node, dY) => [
  () => {
    const [x, axis, y] = [node.inputs[0]!, node.inputs[1]!, node.outputs[0]!];
    const sums = b.op('CumSum', [b.mul(dY, y), axis], {
      exclusive: int(intAttribute(node, 'exclusive', 0)),
      reverse: int(1 - intAttribute(node, 'reverse', 0)),
    });
    const zero = b.equal(x, b.scalar(0, x));
    return b.where(zero, b.scalar(0, x), b.div(sums, b.where(zero, b.scalar(1, x), x)));
  },
  undefined,
]);

export const cumulative = { CumProd: cumProd } satisfies Readonly<Record<string, Rule>>;
