/** Rows of which each is a pair, such as a picture with a text: how alike its two sides are. */
import type { GraphBuilder, ValueName } from '../onnx/index.ts';
import type { PairForm } from './request.ts';

/**
 * [rows, 1]: the diagonal of an output [rows, rows], or the cosine of the angle between two outputs [rows, size]. The model
 * itself compares all rows of a batch with one another; so each row depends on itself alone.
 */
export function comparePairs(
  b: GraphBuilder,
  output: ValueName,
  form: PairForm,
  renamed: ReadonlyMap<ValueName, ValueName>,
): ValueName {
  if (form.with === undefined) {
    const own = b.equal(b.unsqueeze(b.positions(output, 0), [1]), b.unsqueeze(b.positions(output, 1), [0]));
    return b.sum(b.mul(output, b.cast(own, b.type(output))), [1]);
  }
  const other = renamed.get(form.with) ?? form.with;
  const square = b.mul(b.sum(b.square(output), [1]), b.sum(b.square(other), [1]));
  return b.div(b.sum(b.mul(output, other), [1]), b.sqrt(square));
}
