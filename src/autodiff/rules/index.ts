/** The table of gradient rules, one file per operator family. */
import { UserError, nodeLabel, stringAttribute } from '../../onnx/index.ts';
import type { Rule, RuleEntry, RuleTable } from '../rule.ts';
import { PIECEWISE_CONSTANT } from '../rule.ts';
import { activation } from './activation.ts';
import { control } from './control.ts';
import { convolution } from './convolution.ts';
import { cumulative } from './cumulative.ts';
import { elementwise } from './elementwise.ts';
import { indexing } from './indexing.ts';
import { linear } from './linear.ts';
import { normalization } from './normalization.ts';
import { pooling } from './pooling.ts';
import { quantized } from './quantized.ts';
import { quantizedLinear } from './quantized-linear.ts';
import { reductions } from './reduction.ts';
import { resizing } from './resize.ts';
import { scattering } from './scatter.ts';
import { selection } from './selection.ts';
import { shaping } from './shape.ts';

/** What normalizeModel leaves of a classifier: its label. Scores with a transform that has no decomposition have no gradient. */
const labelOnly: Rule = (_b, node, [, scores]) => {
  if (scores === undefined) return [];
  const transform = stringAttribute(node, 'post_transform', 'NONE');
  throw new UserError(`${node.operator} "${nodeLabel(node)}": no gradient rule with post_transform ${transform}`);
};

/** Operators with no gradient in any input. */
const constant = {
  And: PIECEWISE_CONSTANT,
  Or: PIECEWISE_CONSTANT,
  Xor: PIECEWISE_CONSTANT,
  Not: PIECEWISE_CONSTANT,
  Equal: PIECEWISE_CONSTANT,
  Less: PIECEWISE_CONSTANT,
  LessOrEqual: PIECEWISE_CONSTANT,
  Greater: PIECEWISE_CONSTANT,
  GreaterOrEqual: PIECEWISE_CONSTANT,
  IsNaN: PIECEWISE_CONSTANT,
  IsInf: PIECEWISE_CONSTANT,
  BitCast: PIECEWISE_CONSTANT,
  Sign: PIECEWISE_CONSTANT,
  Floor: PIECEWISE_CONSTANT,
  Ceil: PIECEWISE_CONSTANT,
  Round: PIECEWISE_CONSTANT,
  Shape: PIECEWISE_CONSTANT,
  Size: PIECEWISE_CONSTANT,
  ConstantOfShape: PIECEWISE_CONSTANT,
  Constant: PIECEWISE_CONSTANT,
  EyeLike: PIECEWISE_CONSTANT,
  NonZero: PIECEWISE_CONSTANT,
  ArgMax: PIECEWISE_CONSTANT,
  ArgMin: PIECEWISE_CONSTANT,
  BitwiseAnd: PIECEWISE_CONSTANT,
  BitwiseOr: PIECEWISE_CONSTANT,
  BitwiseNot: PIECEWISE_CONSTANT,
  BitwiseXor: PIECEWISE_CONSTANT,
  BitShift: PIECEWISE_CONSTANT,
  NonMaxSuppression: PIECEWISE_CONSTANT,
  Multinomial: PIECEWISE_CONSTANT,
  RandomNormalLike: PIECEWISE_CONSTANT,
  RandomUniformLike: PIECEWISE_CONSTANT,
  Bernoulli: PIECEWISE_CONSTANT,
  Hardmax: PIECEWISE_CONSTANT,
  'ai.onnx.ml::LinearClassifier': labelOnly,
  'ai.onnx.ml::SVMClassifier': labelOnly,
  'ai.onnx.ml::CategoryMapper': PIECEWISE_CONSTANT,
  'ai.onnx.ml::OneHotEncoder': PIECEWISE_CONSTANT,
  'ai.onnx.ml::LabelEncoder': PIECEWISE_CONSTANT,
  'ai.onnx.ml::TreeEnsembleClassifier': PIECEWISE_CONSTANT,
  'ai.onnx.ml::TreeEnsembleRegressor': PIECEWISE_CONSTANT,
  'ai.onnx.ml::TreeEnsemble': PIECEWISE_CONSTANT,
  'ai.onnx.ml::Binarizer': PIECEWISE_CONSTANT,
  RandomNormal: PIECEWISE_CONSTANT,
  RandomUniform: PIECEWISE_CONSTANT,
  HannWindow: PIECEWISE_CONSTANT,
  HammingWindow: PIECEWISE_CONSTANT,
  BlackmanWindow: PIECEWISE_CONSTANT,
  MelWeightMatrix: PIECEWISE_CONSTANT,
  TfIdfVectorizer: PIECEWISE_CONSTANT,
} satisfies Readonly<Record<string, RuleEntry>>;

/** The gradient. `satisfies` keeps the promise that what rules emit can be differentiated again. */
export const GRADIENT_RULES: RuleTable = {
  ...elementwise,
  ...activation,
  ...linear,
  ...convolution,
  ...pooling,
  ...normalization,
  ...reductions,
  ...shaping,
  ...indexing,
  ...scattering,
  ...selection,
  ...resizing,
  ...quantized,
  ...quantizedLinear,
  ...control,
  ...cumulative,
  ...constant,
} satisfies RuleTable;
