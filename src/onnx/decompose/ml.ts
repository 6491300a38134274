/** Operators of ai.onnx.ml that are arithmetic: scalers, linear models, features put together. */
import type { GraphBuilder } from '../builder.ts';
import type { Node, ValueName } from '../model.ts';
import { floatAttribute, int, intAttribute, stringAttribute } from '../model.ts';
import type { Decomposition } from './decomposition.ts';

const floats = (node: Node, name: string): readonly number[] => {
  const attribute = node.attributes[name];
  return attribute?.kind === 'floats' ? attribute.value : [];
};
const vector = (b: GraphBuilder, values: readonly number[]) => b.constant('float32', [values.length], values);
const asFloat = (b: GraphBuilder, x: ValueName) => b.cast(x, 'float32');

// (x - offset) scale
const scaler: Decomposition = (b, node) => {
  const x = asFloat(b, node.inputs[0]!);
  return [b.mul(b.sub(x, vector(b, floats(node, 'offset'))), vector(b, floats(node, 'scale')))];
};

/** What stands for the model's post_transform; undefined for those that are not differentiable functions here. */
function transformed(b: GraphBuilder, node: Node, x: ValueName): ValueName | undefined {
  switch (stringAttribute(node, 'post_transform', 'NONE')) {
    case 'NONE':
      return x;
    case 'LOGISTIC':
      return b.sigmoid(x);
    case 'SOFTMAX':
      return b.softmax(x, -1);
    default:
      return undefined;
  }
}

// x C' + intercepts
const linearRegressor: Decomposition = (b, node) => {
  const coefficients = floats(node, 'coefficients');
  const targets = intAttribute(node, 'targets', 1);
  const matrix = b.constant('float32', [targets, coefficients.length / targets], coefficients);
  const product = b.matmul(asFloat(b, node.inputs[0]!), b.transpose(matrix, [1, 0]));
  const intercepts = floats(node, 'intercepts');
  const y = transformed(b, node, intercepts.length > 0 ? b.add(product, vector(b, intercepts)) : product);
  return y === undefined ? undefined : [y];
};

/** x / its norm along the last axis, by the largest, the sum or the root of squares. */
const normalizer: Decomposition = (b, node) => {
  const x = asFloat(b, node.inputs[0]!);
  const last = [b.rank(x) - 1];
  const kind = stringAttribute(node, 'norm', 'MAX');
  const norm =
    kind === 'MAX' ? b.max(x, last) : kind === 'L1' ? b.sum(b.abs(x), last) : b.sqrt(b.sum(b.square(x), last));
  // A row of zeros stays one.
  const zero = b.equal(norm, b.scalar(0, norm));
  return [b.div(x, b.where(zero, b.scalar(1, norm), norm))];
};

const arrayFeatureExtractor: Decomposition = (b, node) => {
  const [x, indices] = [node.inputs[0]!, node.inputs[1]!];
  if (b.rank(x) < 2) return undefined;
  return [b.gather(x, b.reshapeTo(indices, [-1]), b.rank(x) - 1)];
};

const imputer: Decomposition = (b, node) => {
  const [x, values] = [node.inputs[0]!, floats(node, 'imputed_value_floats')];
  if (values.length === 0) return undefined;
  const marked = floatAttribute(node, 'replaced_value_float', 0);
  const missing = Number.isNaN(marked) ? b.op('IsNaN', [x]) : b.equal(x, b.scalar(marked, x));
  return [b.where(missing, vector(b, values), x)];
};

const featureVectorizer: Decomposition = (b, node) => [
  b.op(
    'Concat',
    node.inputs.map((x) => asFloat(b, x)),
    { axis: int(1) },
  ),
];

export const mlFamily = {
  'ai.onnx.ml::Scaler': scaler,
  'ai.onnx.ml::LinearRegressor': linearRegressor,
  'ai.onnx.ml::Normalizer': normalizer,
  'ai.onnx.ml::ArrayFeatureExtractor': arrayFeatureExtractor,
  'ai.onnx.ml::Imputer': imputer,
  'ai.onnx.ml::FeatureVectorizer': featureVectorizer,
} satisfies Readonly<Record<string, Decomposition>>;
