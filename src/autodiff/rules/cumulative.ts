/** Running products. */
import type { GraphBuilder, Node, ValueName } from '../../onnx/index.ts';
import { int, intAttribute } from '../../onnx/index.ts';
import type { Rule } from '../rule.ts';
import { rule } from '../rule.ts';

/**
 * y_i = prod_{j <= i} x_j, so dx_j = sum_{i >= j} dy_i y_i / x_j. The first exact 0 on the way gets sum_{i >= j} dy_i y'_i with
 * products y' that leave it out; behind it every gradient is 0. Second derivatives at exact zeros are not followed.
 */
const cumProd = rule((b, node, dY) => [
  () => {
    const [x, axis, y] = [node.inputs[0]!, node.inputs[1]!, node.outputs[0]!];
    const ways = { exclusive: int(intAttribute(node, 'exclusive', 0)), reverse: int(intAttribute(node, 'reverse', 0)) };
    const behind = (products: ValueName) =>
      b.op('CumSum', [b.mul(dY, products), axis], { ...ways, reverse: int(1 - intAttribute(node, 'reverse', 0)) });
    const zero = b.equal(x, b.scalar(0, x));
    const first = b.and(zero, b.equal(zerosBefore(b, node, zero), b.scalar(0, x)));
    const others = b.op('CumProd', [b.where(first, b.scalar(1, x), x), axis], ways);
    const quotient = b.div(behind(y), b.where(zero, b.scalar(1, x), x));
    return b.where(first, behind(others), b.where(zero, b.scalar(0, x), quotient));
  },
  undefined,
]);

/** How many zeros a running product has met before each element. */
function zerosBefore(b: GraphBuilder, node: Node, zero: ValueName): ValueName {
  const [x, axis] = [node.inputs[0]!, node.inputs[1]!];
  const reverse = int(intAttribute(node, 'reverse', 0));
  return b.op('CumSum', [b.cast(zero, b.type(x)), axis], { exclusive: int(1), reverse });
}

export const cumulative = { CumProd: cumProd } satisfies Readonly<Record<string, Rule>>;
