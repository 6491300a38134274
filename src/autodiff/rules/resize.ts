/** Resize is linear along each axis: its gradient is the product with the transposed matrices. */
import { multiplyAlong, resizedAxes } from '../../onnx/index.ts';
import type { Rule } from '../rule.ts';
import { rule } from '../rule.ts';

const resize = rule((b, node, dY) => [
  () =>
    resizedAxes(b, node).reduce(
      (gradient, { axis, matrix }) => multiplyAlong(b, gradient, b.transpose(matrix(), [1, 0]), axis),
      dY,
    ),
]);

export const resizing = { Resize: resize } satisfies Readonly<Record<string, Rule>>;
