/** Cases by rule family, one file each as in src/autodiff/rules/. */
import type { Case } from '../case.ts';
import { activation } from './activation.ts';
import { constant } from './constant.ts';
import { convolution } from './convolution.ts';
import { elementwise } from './elementwise.ts';
import { indexing } from './indexing.ts';
import { linear } from './linear.ts';
import { normalization } from './normalization.ts';
import { pooling } from './pooling.ts';
import { reduction } from './reduction.ts';
import { resize } from './resize.ts';
import { shape } from './shape.ts';

export const CASES: Readonly<Record<string, readonly Case[]>> = {
  elementwise,
  activation,
  linear,
  convolution,
  pooling,
  normalization,
  reduction,
  shape,
  indexing,
  resize,
  constant,
};

/** Rules that differences cannot check, and why. */
export const UNCHECKED: Readonly<Record<string, string>> = {
  ...Object.fromEntries(
    ['And', 'Or', 'Xor', 'Not', 'BitwiseAnd', 'BitwiseOr', 'BitwiseNot', 'BitwiseXor', 'BitShift'].map((operator) => [
      operator,
      'takes no floats',
    ]),
  ),
  ConstantOfShape: 'takes no floats',
  Constant: 'takes nothing',
  NonMaxSuppression: 'gives indices',
  ...Object.fromEntries(
    ['Multinomial', 'RandomNormalLike', 'RandomUniformLike', 'Bernoulli'].map((operator) => [operator, 'is random']),
  ),
  ...Object.fromEntries(
    ['QuantizeLinear', 'DequantizeLinear', 'DynamicQuantizeLinear', 'MatMulInteger', 'ConvInteger'].map((operator) => [
      operator,
      'is straight-through: quantized.test.ts compares it to the float model',
    ]),
  ),
};
