/** Operators of ai.onnx.ml that are arithmetic: scalers, linear models, features put together. */
import type { GraphBuilder } from '../builder.ts';
import type { ValueName } from '../model.ts';
import { floatAttribute, floatsAttribute, int, intAttribute, stringAttribute } from '../model.ts';
import type { Decomposition } from './decomposition.ts';
import { transformed } from './post-transform.ts';

const vector = (b: GraphBuilder, values: readonly number[]) => b.constant('float32', [values.length], values);
const asFloat = (b: GraphBuilder, x: ValueName) => b.cast(x, 'float32');

// (x - offset) scale
const scaler: Decomposition = (b, node) => {
  const x = asFloat(b, node.inputs[0]!);
  return [b.mul(b.sub(x, vector(b, floatsAttribute(node, 'offset'))), vector(b, floatsAttribute(node, 'scale')))];
};

// x C' + intercepts
const linearRegressor: Decomposition = (b, node) => {
  const coefficients = floatsAttribute(node, 'coefficients');
  const targets = intAttribute(node, 'targets', 1);
  const matrix = b.constant('float32', [targets, coefficients.length / targets], coefficients);
  const product = b.matmul(asFloat(b, node.inputs[0]!), b.transpose(matrix, [1, 0]));
  const intercepts = floatsAttribute(node, 'intercepts');
  const y = transformed(b, node, intercepts.length > 0 ? b.add(product, vector(b, intercepts)) : product);
  return y === undefined ? undefined : [y];
};

/**
 * The scores of a linear classifier, one per class; its label stays with the operator. A single score of two classes
 * becomes two: those of no and yes.
 */
const linearClassifier: Decomposition = (b, node) => {
  const [coefficients, intercepts] = [floatsAttribute(node, 'coefficients'), floatsAttribute(node, 'intercepts')];
  const classes = intercepts.length;
  if (classes === 0) return undefined;
  const matrix = b.constant('float32', [classes, coefficients.length / classes], coefficients);
  const score = b.add(b.matmul(asFloat(b, node.inputs[0]!), b.transpose(matrix, [1, 0])), vector(b, intercepts));
  const labels = ['classlabels_ints', 'classlabels_strings'].map((name) => node.attributes[name]);
  const named = labels.some((each) => (each?.kind === 'ints' || each?.kind === 'strings') && each.value.length === 2);
  const logistic = stringAttribute(node, 'post_transform', 'NONE') === 'LOGISTIC';
  const single = classes === 1 && named;
  const y = single
    ? b.concat(
        [logistic ? b.sigmoid(b.neg(score)) : b.sub(b.scalar(1, score), score), logistic ? b.sigmoid(score) : score],
        1,
      )
    : transformed(b, node, score);
  if (y === undefined) return undefined;
  const [label] = node.outputs;
  if (label) b.push({ ...node, outputs: [label, b.unusedName(`${node.name || label}/scores`)] });
  return [undefined, y];
};

/** x / its norm along the last axis, by the largest, the sum or the root of squares. */
const normalizer: Decomposition = (b, node) => {
  const x = asFloat(b, node.inputs[0]!);
  const last = [b.rank(x) - 1];
  const kind = stringAttribute(node, 'norm', 'MAX');
  const sum = kind === 'MAX' ? b.max(x, last) : kind === 'L1' ? b.sum(b.abs(x), last) : b.sum(b.square(x), last);
  // A row of zeros stays one; its root is not taken, whose slope there is infinite.
  const norm = b.where(b.equal(sum, b.scalar(0, sum)), b.scalar(1, sum), sum);
  return [b.div(x, kind === 'L2' ? b.sqrt(norm) : norm)];
};

const arrayFeatureExtractor: Decomposition = (b, node) => {
  const [x, indices] = [node.inputs[0]!, node.inputs[1]!];
  if (b.rank(x) < 2) return undefined;
  return [b.gather(x, b.reshapeTo(indices, [-1]), b.rank(x) - 1)];
};

const imputer: Decomposition = (b, node) => {
  const [x, values] = [node.inputs[0]!, floatsAttribute(node, 'imputed_value_floats')];
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
  'ai.onnx.ml::LinearClassifier': linearClassifier,
  'ai.onnx.ml::Normalizer': normalizer,
  'ai.onnx.ml::ArrayFeatureExtractor': arrayFeatureExtractor,
  'ai.onnx.ml::Imputer': imputer,
  'ai.onnx.ml::FeatureVectorizer': featureVectorizer,
} satisfies Readonly<Record<string, Decomposition>>;
