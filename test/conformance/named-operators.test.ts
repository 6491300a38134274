/** Operators that exports and onnxruntime's optimiser and quantiser write: each has a rule or is taken apart. */
import { expect, test } from 'vitest';
import { GRADIENT_RULES, PIECEWISE_CONSTANT } from '../../src/autodiff/index.ts';
import { COMPOSITE_OPERATORS } from '../../src/onnx/index.ts';

const microsoft = [
  'Attention',
  'MultiHeadAttention',
  'GroupQueryAttention',
  'RotaryEmbedding',
  'RelativePositionBias',
  'SkipLayerNormalization',
  'SkipSimplifiedLayerNormalization',
  'EmbedLayerNormalization',
  'QEmbedLayerNormalization',
  'Gelu',
  'BiasGelu',
  'FastGelu',
  'QuickGelu',
  'FusedMatMul',
  'FusedGemm',
  'FusedConv',
  'MatMulNBits',
  'QAttention',
  'MatMulIntegerToFloat',
  'DynamicQuantizeMatMul',
  'DynamicQuantizeLSTM',
  'QuantizeLinear',
  'DequantizeLinear',
  'QGemm',
  'QLinearAdd',
  'QLinearMul',
  'QLinearAveragePool',
  'QLinearGlobalAveragePool',
  'QLinearReduceMean',
  'QLinearConcat',
  'QLinearConv',
  'QLinearLeakyRelu',
  'QLinearSigmoid',
  'QLinearSoftmax',
  'QLinearWhere',
  'MoE',
  'QMoE',
  'MatMulBnb4',
  'MRotaryEmbedding',
  'LinearAttention',
  'LinearAttentionGate',
  'CausalConvWithState',
  'GatedRMSNorm',
  'Inverse',
  'Trilu',
  'GatherND',
  'GridSample',
  'Pad',
  'ExpandDims',
  'CDist',
  'GatedAdd',
  'BiasAdd',
  'BiasSplitGelu',
  'GroupNorm',
  'SkipGroupNorm',
].map((operator) => `com.microsoft::${operator}`);

const ml = [
  'ArrayFeatureExtractor',
  'FeatureVectorizer',
  'Imputer',
  'LinearClassifier',
  'LinearRegressor',
  'Normalizer',
  'SVMClassifier',
  'SVMRegressor',
  'Scaler',
].map((operator) => `ai.onnx.ml::${operator}`);

const standard = [
  // Registered in ai.onnx by onnxruntime, without a place in the standard.
  'SimplifiedLayerNormalization',
  'LayerNormalization',
  'RMSNormalization',
  'Attention',
  'RotaryEmbedding',
  'Gelu',
  'Swish',
  'LSTM',
  'GRU',
  'RNN',
  'Scan',
  'Loop',
  'If',
  'Einsum',
  'Resize',
  'GridSample',
  'DeformConv',
  'RoiAlign',
  'ScatterND',
  'ScatterElements',
  'Gather',
  'GatherND',
  'GatherElements',
  'TopK',
  'CumSum',
  'Trilu',
  'DFT',
  'NegativeLogLikelihoodLoss',
  'SoftmaxCrossEntropyLoss',
  'DynamicQuantizeLinear',
  'MatMulInteger',
  'ConvInteger',
  'QLinearConv',
  'QLinearMatMul',
  'QuantizeLinear',
  'DequantizeLinear',
];

test.each([...standard, ...microsoft, ...ml])('%s has a gradient that is not zero everywhere', (operator) => {
  const rule = GRADIENT_RULES[operator];
  const differentiable = (rule !== undefined && rule !== PIECEWISE_CONSTANT) || COMPOSITE_OPERATORS.includes(operator);
  expect(differentiable).toBe(true);
});

test('rows of a table of block-quantised integers are constants: the gradient goes to what reads them', () => {
  expect(GRADIENT_RULES['com.microsoft::GatherBlockQuantized']).toBe(PIECEWISE_CONSTANT);
});
