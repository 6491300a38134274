/** Operators that work element by element, with broadcasting. */
import { addDims, broadcastDims, isStatic, multiplyDims, subtractDims } from '../dims.ts';
import { MAX_SHAPE_VALUES } from '../facts.ts';
import { intAttribute } from '../model.ts';
import { TYPE_BY_NUMBER } from '../read.ts';
import type { Dim } from '../tensor.ts';
import { sizeOf } from '../tensor.ts';
import type { InferenceInput, InferenceRule } from './rule.ts';

const same: InferenceRule = (input) =>
  [input.facts(0), input.facts(0)].map((facts) => facts && { type: facts.type, dims: facts.dims });

const identity: InferenceRule = (input) => [input.facts(0)];

function broadcast(input: InferenceInput): Dim[] | undefined {
  const shapes = input.node.inputs.map((_, index) => input.dims(index));
  return shapes.every((dims) => dims !== undefined) ? broadcastDims(shapes as Dim[][]) : undefined;
}

const broadcasting: InferenceRule = (input) => [{ type: input.type(0), dims: broadcast(input) }];

const comparison: InferenceRule = (input) => [{ type: 'bool', dims: broadcast(input) }];

/**
 * The elements of a result from those of its operands, where each operand has one element or all of them. Others, such
 * as a column and a row, stay unknown: none of their elements stand where the result's do.
 */
function elements(
  dims: readonly Dim[] | undefined,
  operands: readonly (readonly Dim[] | undefined)[],
  combine: (...values: Dim[]) => Dim,
): readonly Dim[] | undefined {
  if (!isStatic(dims)) return undefined;
  const size = sizeOf(dims);
  if (size > MAX_SHAPE_VALUES || !operands.every((list) => list?.length === 1 || list?.length === size))
    return undefined;
  return Array.from({ length: size }, (_, index) =>
    combine(...operands.map((list) => (list!.length === 1 ? list![0] : list![index]))),
  );
}

/** Integer arithmetic on shapes is carried out on the symbols. */
function arithmetic(combine: (a: Dim, b: Dim) => Dim): InferenceRule {
  return (input) => {
    const dims = broadcast(input);
    const binary = input.node.inputs.length === 2;
    const values = binary ? elements(dims, [input.values(0), input.values(1)], combine) : undefined;
    return [{ type: input.type(0), dims, values }];
  };
}

const divide = (a: Dim, b: Dim): Dim => {
  if (typeof a === 'number' && typeof b === 'number' && b !== 0) return Math.trunc(a / b);
  return b === 1 ? a : a === undefined || b === undefined ? undefined : `(${a}/${b})`;
};

/** As in Python the remainder has the sign of the divisor; with fmod, of the dividend. */
const remainder =
  (fmod: boolean) =>
  (a: Dim, b: Dim): Dim => {
    if (typeof a !== 'number' || typeof b !== 'number' || b === 0) return undefined;
    const rest = a % b;
    return !fmod && rest !== 0 && rest < 0 !== b < 0 ? rest + b : rest;
  };

const ofNumbers =
  (combine: (a: number, b: number) => number) =>
  (a: Dim, b: Dim): Dim =>
    typeof a === 'number' && typeof b === 'number' ? combine(a, b) : a === b ? a : undefined;

const where: InferenceRule = (input) => {
  const dims = broadcast(input);
  const operands = [input.values(0), input.values(1), input.values(2)];
  const values = elements(dims, operands, (flag, yes, no) => (flag === undefined ? undefined : flag ? yes : no));
  return [{ type: input.type(1), dims, values }];
};

const equal: InferenceRule = (input) => {
  // A symbolic dimension is never 0, -1 or another negative marker; beyond that, names decide nothing.
  const same = (x: Dim, y: Dim): Dim => {
    if (typeof x === 'number' && typeof y === 'number') return x === y ? 1 : 0;
    if (x !== undefined && x === y) return 1;
    const number = typeof x === 'number' ? x : typeof y === 'number' ? y : undefined;
    return number !== undefined && number < 0 ? 0 : undefined;
  };
  const dims = broadcast(input);
  return [{ type: 'bool', dims, values: elements(dims, [input.values(0), input.values(1)], same) }];
};

const cast: InferenceRule = (input) => {
  const type = TYPE_BY_NUMBER[intAttribute(input.node, 'to', 1)] ?? 'float32';
  return [{ type, dims: input.dims(0), values: type === 'int64' || type === 'int32' ? input.values(0) : undefined }];
};

export const elementwise: Readonly<Record<string, InferenceRule>> = {
  ...Object.fromEntries(
    [
      'Abs',
      'Acos',
      'Acosh',
      'Asin',
      'Asinh',
      'Atan',
      'Atanh',
      'BitwiseNot',
      'Ceil',
      'Celu',
      'Clip',
      'Cos',
      'Cosh',
      'CumProd',
      'CumSum',
      'Elu',
      'Erf',
      'Exp',
      'Floor',
      'Gelu',
      'HardSigmoid',
      'HardSwish',
      'Hardmax',
      'InstanceNormalization',
      'GroupNormalization',
      'LRN',
      'LeakyRelu',
      'Log',
      'LogSoftmax',
      'LpNormalization',
      'MeanVarianceNormalization',
      'Mish',
      'Not',
      'RMSNormalization',
      'Reciprocal',
      'Relu',
      'ReverseSequence',
      'Round',
      'ScatterElements',
      'ScatterND',
      'Selu',
      'Shrink',
      'Sigmoid',
      'Sign',
      'Sin',
      'Sinh',
      'Softmax',
      'Softplus',
      'Softsign',
      'Sqrt',
      'Swish',
      'Tan',
      'Tanh',
      'ThresholdedRelu',
      'Trilu',
      'BatchNormalization',
    ].map((operator) => [operator, same]),
  ),
  ...Object.fromEntries(
    ['BitShift', 'BitwiseAnd', 'BitwiseOr', 'BitwiseXor', 'Mean', 'PRelu', 'Pow', 'Sum'].map((operator) => [
      operator,
      broadcasting,
    ]),
  ),
  ...Object.fromEntries(
    ['And', 'Greater', 'GreaterOrEqual', 'Less', 'LessOrEqual', 'Or', 'Xor'].map((operator) => [operator, comparison]),
  ),
  Identity: identity,
  Optional: identity,
  OptionalGetElement: identity,
  Dropout: (input) => [input.facts(0), { type: 'bool', dims: input.dims(0) }],
  IsInf: (input) => [{ type: 'bool', dims: input.dims(0) }],
  IsNaN: (input) => [{ type: 'bool', dims: input.dims(0) }],
  Add: arithmetic(addDims),
  Sub: arithmetic(subtractDims),
  Mul: arithmetic(multiplyDims),
  Div: arithmetic(divide),
  Mod: (input) => arithmetic(remainder(intAttribute(input.node, 'fmod', 0) === 1))(input),
  Max: arithmetic(ofNumbers(Math.max)),
  Min: arithmetic(ofNumbers(Math.min)),
  Neg: (input) => [
    {
      type: input.type(0),
      dims: input.dims(0),
      values: input.values(0)?.map((value) => (typeof value === 'number' ? 0 - value : undefined)),
    },
  ],
  Where: where,
  Equal: equal,
  Cast: cast,
  CastLike: (input) => [{ type: input.type(1), dims: input.dims(0) }],
  QuantizeLinear: (input) => [{ type: input.facts(2)?.type ?? 'uint8', dims: input.dims(0) }],
  DequantizeLinear: (input) => [{ type: input.type(1), dims: input.dims(0) }],
  DynamicQuantizeLinear: (input) => [
    { type: 'uint8', dims: input.dims(0) },
    { type: 'float32', dims: [] },
    { type: 'uint8', dims: [] },
  ],
};
