/** Matrix products. */
import type { GraphBuilder, Node, ValueName } from '../../onnx/index.ts';
import { UserError, floatAttribute, intAttribute, int, string, stringAttribute } from '../../onnx/index.ts';
import { unbroadcast } from '../broadcasting.ts';
import type { Pullback, Rule } from '../rule.ts';
import { rule } from '../rule.ts';

/** Y = A B: dA = dY B^T, dB = A^T dY; vectors are matrices of one row or column, batches broadcast. */
const matmul = rule((b, node, dY) => {
  const [a, c] = [node.inputs[0]!, node.inputs[1]!];
  return [() => matmulLeft(b, a, c, dY), () => matmulRight(b, a, c, dY)];
});

/** The gradient and the two operands as matrices, for 1-D operands too. */
function asMatrices(b: GraphBuilder, a: ValueName, c: ValueName, dY: ValueName) {
  const [vectorLeft, vectorRight] = [b.rank(a) === 1, b.rank(c) === 1];
  let gradient = dY;
  // In the product the axis of a vector operand is missing; the last first, so that positions still hold.
  if (vectorRight) gradient = b.unsqueeze(gradient, [-1]);
  if (vectorLeft) gradient = b.unsqueeze(gradient, [-2]);
  return { left: vectorLeft ? b.unsqueeze(a, [0]) : a, right: vectorRight ? b.unsqueeze(c, [1]) : c, gradient };
}

export function matmulLeft(b: GraphBuilder, a: ValueName, c: ValueName, dY: ValueName): ValueName {
  const { left, right, gradient } = asMatrices(b, a, c, dY);
  const dA = unbroadcast(b, b.matmul(gradient, b.matrixTranspose(right)), left);
  return b.rank(a) === 1 ? b.squeeze(dA, [0]) : dA;
}

export function matmulRight(b: GraphBuilder, a: ValueName, c: ValueName, dY: ValueName): ValueName {
  const { left, right, gradient } = asMatrices(b, a, c, dY);
  if (b.rank(right) === 2 && b.rank(left) > 2) {
    // A weight shared by a batch: one product over all rows, not a sum of one product for each.
    const rows = (value: ValueName) =>
      b.reshape(value, b.concat([b.int64s([-1]), b.dimension(value, b.rank(value) - 1)], 0));
    const whole = b.matmul(b.transpose(rows(left), [1, 0]), rows(gradient));
    return b.rank(c) === 1 ? b.squeeze(whole, [1]) : whole;
  }
  const dC = unbroadcast(b, b.matmul(b.matrixTranspose(left), gradient), right);
  return b.rank(c) === 1 ? b.squeeze(dC, [1]) : dC;
}

/** How a product takes its operands: with the last two axes exchanged, and what it is multiplied with. */
export interface ProductForm {
  readonly transA?: boolean;
  readonly transB?: boolean;
  readonly alpha?: number;
}

/** alpha op(A) op(B) of two matrices or batches of them, in the operators of a set of rules. */
export type Product = (b: GraphBuilder, left: ValueName, right: ValueName, form: ProductForm) => ValueName;

const scaled = (b: GraphBuilder, x: ValueName, factor: number) => (factor === 1 ? x : b.mul(x, b.scalar(factor, x)));

const plainProduct: Product = (b, left, right, { transA = false, transB = false, alpha = 1 }) => {
  const turn = (x: ValueName, flip: boolean) => (flip ? b.matrixTranspose(x) : x);
  return scaled(b, b.matmul(turn(left, transA), turn(right, transB)), alpha);
};

/** Of Y = alpha op(A) op(B) the gradients, dA before it is summed over what A was broadcast along. */
export function productGradients(
  b: GraphBuilder,
  { a, c, dY }: { readonly a: ValueName; readonly c: ValueName; readonly dY: ValueName },
  { transA = false, transB = false, alpha = 1 }: ProductForm,
  product: Product,
): readonly [Pullback, Pullback] {
  return [
    () =>
      transA
        ? product(b, c, dY, { transA: transB, transB: true, alpha })
        : product(b, dY, c, { transB: !transB, alpha }),
    () =>
      transB
        ? product(b, dY, a, { transA: true, transB: transA, alpha })
        : product(b, a, dY, { transA: !transA, alpha }),
  ];
}

/** The attributes of Gemm and FusedMatMul. */
export const formOf = (node: Node): Required<ProductForm> => ({
  transA: intAttribute(node, 'transA', 0) === 1,
  transB: intAttribute(node, 'transB', 0) === 1,
  alpha: floatAttribute(node, 'alpha', 1),
});

/** Y = alpha op(A) op(B) + beta C */
const gemm = rule((b, node, dY) => {
  const [a, c, bias] = node.inputs;
  return [
    ...productGradients(b, { a: a!, c: c!, dY }, formOf(node), plainProduct),
    bias ? () => unbroadcast(b, scaled(b, dY, floatAttribute(node, 'beta', 1)), bias) : undefined,
  ];
});

/** Y = alpha op(A) op(B), batches broadcast, as programs for onnxruntime's CPU have it; those of files are decomposed. */
export const fusedMatMul = (product: Product) =>
  rule((b, node, dY) => {
    const [a, c] = [node.inputs[0]!, node.inputs[1]!];
    const [left, right] = productGradients(b, { a, c, dY }, formOf(node), product);
    return [() => unbroadcast(b, left(), a), () => unbroadcast(b, right(), c)];
  });

/**
 * Each operand's gradient is the einsum of dY with the other operands, by exchanging letters. A letter that only
 * one operand has is summed over, so its gradient is broadcast back along it.
 */
const einsum = rule((b, node, dY) => {
  const { operands, output } = parseEinsum(stringAttribute(node, 'equation', ''));
  return node.inputs.map((x, index): Pullback => () => {
    const others = operands.filter((_, at) => at !== index);
    const available = new Set([output, ...others].join(''));
    const letters = [...operands[index]!];
    const reachable = letters.filter((letter) => available.has(letter)).join('');
    const inputs = [dY, ...node.inputs.filter((_, at) => at !== index)];
    const equation = `${[output, ...others].join(',')}->${reachable}`;
    const product = b.op('Einsum', inputs, { equation: string(equation) });
    const missing = letters.flatMap((letter, axis) => (available.has(letter) ? [] : [axis]));
    return missing.length === 0 ? product : b.expandLike(b.unsqueeze(product, missing), x);
  });
});

function parseEinsum(equation: string): { operands: string[]; output: string } {
  const [left, right] = equation.replaceAll(' ', '').split('->');
  const operands = left!.split(',');
  if (equation.includes('.') || operands.some((letters) => new Set(letters).size !== letters.length))
    throw new UserError(`einsum "${equation}": ellipses and diagonals have no gradient rule`);
  const count = (letter: string) => operands.join('').split(letter).length - 1;
  const implicit = [...new Set(operands.join(''))]
    .filter((letter) => count(letter) === 1)
    .sort()
    .join('');
  return { operands, output: right ?? implicit };
}

/** y_i = sum_{j <= i} x_j, so dx_j = sum_{i >= j} dy_i: the same sum from the other end. */
const cumSum = rule((b, node, dY) => [
  () =>
    b.op('CumSum', [dY, node.inputs[1]!], {
      exclusive: int(intAttribute(node, 'exclusive', 0)),
      reverse: int(1 - intAttribute(node, 'reverse', 0)),
    }),
  undefined,
]);

// y_i = start + i delta; the limit only says how many
const range = rule((b, node, dY) => {
  const [start, , delta] = node.inputs as [ValueName, ValueName, ValueName];
  const total = (value: ValueName, like: ValueName) =>
    b.reshapeLike(b.op('ReduceSum', [value], { keepdims: int(0) }), like);
  return [() => total(dY, start), undefined, () => total(b.mul(dY, b.cast(b.positions(dY, 0), b.type(dY))), delta)];
});

// d(X^-1) = -X^-1 dX X^-1
const inverse = rule((b, node, dY) => [
  () => {
    const turned = b.matrixTranspose(node.outputs[0]!);
    return b.neg(b.matmul(b.matmul(turned, dY), turned));
  },
]);

export const linear = {
  MatMul: matmul,
  Gemm: gemm,
  'com.microsoft::FusedMatMul': fusedMatMul(plainProduct),
  Einsum: einsum,
  CumSum: cumSum,
  Range: range,
  'com.microsoft::Inverse': inverse,
} satisfies Readonly<Record<string, Rule>>;
