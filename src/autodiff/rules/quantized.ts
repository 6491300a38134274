/**
 * Quantised chains, straight-through: rounding and clamping count as the identity, scales and zero points as constants,
 * so the gradient is that of the float model the chain stands for.
 */
import type { ValueName } from '../../onnx/index.ts';
import { UserError } from '../../onnx/index.ts';
import type { Rule } from '../rule.ts';
import { rule } from '../rule.ts';
import { matmulLeft, matmulRight } from './linear.ts';

// y = round(x / scale) + zero
const dynamicQuantize: Rule = (b, node, [dY]) => [
  dY === undefined ? undefined : () => b.div(dY, b.siblingOutput(node.outputs[0]!, 1)),
];
const quantize = rule((b, node, dY) => [() => b.div(dY, b.cast(node.inputs[1]!, b.type(dY))), undefined, undefined]);
// y = scale (x - zero); scales per axis would need their axis: per tensor only
const dequantize = rule((b, node, dY) => {
  const scale = node.inputs[1]!;
  return [
    () => {
      if (b.rank(scale) !== 0 && b.dims(scale)?.[0] !== 1)
        throw new UserError(
          `DequantizeLinear "${node.name}": scales per axis have no gradient rule for the quantised input`,
        );
      return b.mul(dY, scale);
    },
    undefined,
    undefined,
  ];
});

/** Y = (A - za)(B - zb), integers; the gradient is taken as of floats. */
const matmulInteger = rule((b, node, dY) => {
  const [a, w, zeroA, zeroW] = node.inputs as [ValueName, ValueName, ValueName?, ValueName?];
  const centred = (value: ValueName, zero: ValueName | undefined, column: boolean) => {
    const float = b.cast(value, 'float32');
    if (!zero) return float;
    const offset = b.cast(zero, 'float32');
    // Zero points per row of A stand in a column.
    return b.sub(float, column && b.rank(zero) === 1 && b.dims(zero)?.[0] !== 1 ? b.unsqueeze(offset, [-1]) : offset);
  };
  return [
    () => matmulLeft(b, a, centred(w, zeroW, false), dY),
    () => matmulRight(b, centred(a, zeroA, true), w, dY),
    undefined,
    undefined,
  ];
});

export const quantized = {
  DynamicQuantizeLinear: dynamicQuantize,
  QuantizeLinear: quantize,
  DequantizeLinear: dequantize,
  MatMulInteger: matmulInteger,
} satisfies Readonly<Record<string, Rule>>;
