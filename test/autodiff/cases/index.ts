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
  Unique: 'checked in selection.test.ts',
  CumProd: 'of opset 26: checked in npm run conformance and in test/conformance',
  BitCast: 'is piecewise constant',
  'com.microsoft::FusedMatMul': 'checked in transformer.test.ts',
  ...Object.fromEntries(
    ['Optional', 'OptionalGetElement'].map((operator) => [operator, 'checked in npm run conformance']),
  ),
  ...Object.fromEntries(
    [
      'QLinearMatMul',
      'QLinearConv',
      'com.microsoft::MatMulNBits',
      'com.microsoft::MatMulBnb4',
      'com.microsoft::GatherBlockQuantized',
      'com.microsoft::Inverse',
    ].map((operator) => [operator, 'checked in test/conformance']),
  ),
  ...Object.fromEntries(
    [
      'Binarizer',
      'TreeEnsemble',
      'TreeEnsembleRegressor',
      'TreeEnsembleClassifier',
      'LabelEncoder',
      'OneHotEncoder',
      'CategoryMapper',
    ].map((operator) => [`ai.onnx.ml::${operator}`, 'is piecewise constant']),
  ),
  'ai.onnx.ml::LinearClassifier': 'checked in test/conformance/ml.test.ts',
  'ai.onnx.ml::SVMClassifier': 'checked in test/conformance/ml.test.ts',
  'com.microsoft::QuantizeLinear': 'checked in test/conformance/quantized.test.ts',
  'com.microsoft::DequantizeLinear': 'checked in test/conformance/quantized.test.ts',
  ...Object.fromEntries(['If', 'Scan', 'Loop'].map((operator) => [operator, 'checked in control.test.ts'])),
  ...Object.fromEntries(
    ['HannWindow', 'HammingWindow', 'BlackmanWindow', 'MelWeightMatrix', 'TfIdfVectorizer'].map((operator) => [
      operator,
      'has no differentiable input',
    ]),
  ),
  ...Object.fromEntries(['RandomNormal', 'RandomUniform'].map((operator) => [operator, 'is random'])),
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
