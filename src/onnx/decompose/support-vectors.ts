/** Support vector machines of ai.onnx.ml. */
import type { GraphBuilder } from '../builder.ts';
import type { Node, ValueName } from '../model.ts';
import { floatsAttribute, int, intAttribute, ints, intsAttribute, stringAttribute } from '../model.ts';
import type { Decomposition } from './decomposition.ts';
import { transformed } from './post-transform.ts';

/** The kernel of each row of x with each of `count` support vectors: [batch, count]; undefined for an unknown kernel. */
function kernelOf(b: GraphBuilder, node: Node, x: ValueName, count: number): ValueName | undefined {
  const vectors = floatsAttribute(node, 'support_vectors');
  const [gamma = 0, coefficient = 0, degree = 0] = floatsAttribute(node, 'kernel_params');
  const support = b.constant('float32', [count, vectors.length / count], vectors);
  const product = () => b.matmul(x, b.transpose(support, [1, 0]));
  const affine = () => b.add(b.mul(product(), b.scalar(gamma, x)), b.scalar(coefficient, x));
  const kernels: Readonly<Record<string, () => ValueName>> = {
    LINEAR: product,
    POLY: () => b.pow(affine(), b.scalar(degree, x)),
    SIGMOID: () => b.tanh(affine()),
    RBF: () => {
      const distance = b.sum(b.square(b.sub(b.unsqueeze(x, [1]), b.unsqueeze(support, [0]))), [2], false);
      return b.exp(b.mul(distance, b.scalar(-gamma, x)));
    },
  };
  return kernels[stringAttribute(node, 'kernel_type', 'LINEAR')]?.();
}

/** The sum over support vectors of coefficient times kernel, plus rho; without support vectors a linear model. */
const regressor: Decomposition = (b, node) => {
  const coefficients = floatsAttribute(node, 'coefficients');
  const [rho = 0] = floatsAttribute(node, 'rho');
  // Only the side of a boundary.
  if (intAttribute(node, 'one_class', 0) === 1 || stringAttribute(node, 'post_transform', 'NONE') !== 'NONE')
    return undefined;
  const x = b.cast(node.inputs[0]!, 'float32');
  const supports = intAttribute(node, 'n_supports', 0);
  const weights = b.constant('float32', [coefficients.length, 1], coefficients);
  const kernel = supports === 0 ? x : kernelOf(b, node, x, supports);
  return kernel === undefined ? undefined : [b.add(b.matmul(kernel, weights), b.scalar(rho, x))];
};

/**
 * The scores of a support vector classifier; its label stays with the operator. Without support vectors they are a linear
 * model's, one per class. With them, one per pair of classes (of two classes, the score's negative and the score), or where the model has prob_a and prob_b the probabilities of the classes that the pairs agree on.
 */
const classifier: Decomposition = (b, node) => {
  const x = b.cast(node.inputs[0]!, 'float32');
  if (b.rank(x) !== 2) return undefined;
  const labels = ['classlabels_ints', 'classlabels_strings'].map((name) => node.attributes[name]);
  const classes = labels.reduce(
    (count, each) => count || (each?.kind === 'ints' || each?.kind === 'strings' ? each.value.length : 0),
    0,
  );
  const perClass = intsAttribute(node, 'vectors_per_class') ?? [];
  const scores = perClass.some((count) => count > 0)
    ? ofPairs(b, node, x, classes, perClass)
    : linear(b, node, x, classes);
  if (scores === undefined) return undefined;
  const [label] = node.outputs;
  if (label) b.push({ ...node, outputs: [label, b.unusedName(`${node.name || label}/scores`)] });
  return [undefined, scores];
};

function linear(b: GraphBuilder, node: Node, x: ValueName, classes: number): ValueName | undefined {
  const coefficients = floatsAttribute(node, 'coefficients');
  if (classes === 0) return undefined;
  const matrix = b.constant('float32', [classes, coefficients.length / classes], coefficients);
  const [rho = 0] = floatsAttribute(node, 'rho');
  const scores = b.add(b.matmul(x, b.transpose(matrix, [1, 0])), b.scalar(rho, x));
  return classes === 1 ? scores : transformed(b, node, scores);
}

function ofPairs(
  b: GraphBuilder,
  node: Node,
  x: ValueName,
  classes: number,
  perClass: readonly number[],
): ValueName | undefined {
  const count = perClass.reduce((sum, each) => sum + each, 0);
  const kernel = kernelOf(b, node, x, count);
  if (kernel === undefined || classes < 2 || perClass.length !== classes) return undefined;
  const decisions = b.add(
    b.matmul(kernel, pairCoefficients(b, node, perClass)),
    b.constant('float32', [pairsOf(classes).length], floatsAttribute(node, 'rho').slice(0, pairsOf(classes).length)),
  );
  if (floatsAttribute(node, 'prob_a').length > 0)
    return transformed(b, node, coupledProbabilities(b, node, decisions, classes));
  if (classes > 2) return transformed(b, node, decisions);
  return twoColumns(b, node, decisions);
}

/** The two columns onnxruntime makes of one score. A softmax it does not take; a probit of it is not defined there. */
function twoColumns(b: GraphBuilder, node: Node, score: ValueName): ValueName | undefined {
  switch (stringAttribute(node, 'post_transform', 'NONE')) {
    case 'NONE':
      return b.concat([b.neg(score), score], 1);
    case 'LOGISTIC':
      return b.concat([b.sigmoid(b.neg(score)), b.sigmoid(score)], 1);
    case 'SOFTMAX':
    case 'SOFTMAX_ZERO':
      return b.concat([b.sub(b.scalar(1, score), score), score], 1);
    default:
      return undefined;
  }
}

/** The pairs of classes in the order of their scores. */
const pairsOf = (classes: number): [number, number][] =>
  Array.from({ length: classes }, (_, i) => i).flatMap((i) =>
    Array.from({ length: classes - 1 - i }, (_, j): [number, number] => [i, i + 1 + j]),
  );

/**
 * What each support vector contributes to each pair's score: [vectors, pairs]. The attribute holds classes - 1 rows; a
 * vector of class i stands against class j in row j - 1, one of class j against class i in row i.
 */
function pairCoefficients(b: GraphBuilder, node: Node, perClass: readonly number[]): ValueName {
  const coefficients = floatsAttribute(node, 'coefficients');
  const count = perClass.reduce((sum, each) => sum + each, 0);
  const owner = perClass.flatMap((each, index) => Array<number>(each).fill(index));
  const pairs = pairsOf(perClass.length);
  const values = owner.flatMap((own, vector) =>
    pairs.map(([i, j]) => {
      const row = own === i ? j - 1 : own === j ? i : undefined;
      return row === undefined ? 0 : coefficients[row * count + vector]!;
    }),
  );
  return b.constant('float32', [count, pairs.length], values);
}

/** As many sweeps as onnxruntime (and libsvm) make at most; once a row is within the tolerance it stays as it is. */
const SWEEPS = 100;

/**
 * Class probabilities that agree best with those of the pairs: the p of sum 1 with the least sum of (r_ji p_i - r_ij p_j)^2,
 * by libsvm's sweeps over the classes (Wu, Lin & Weng 2004, algorithm 2), as many as onnxruntime makes for each row.
 * Its gradient is that of what the file computes: the sweeps stop at a residual of 0.005 / classes, and so does it.
 */
function coupledProbabilities(b: GraphBuilder, node: Node, decisions: ValueName, classes: number): ValueName {
  const pairs = pairsOf(classes);
  const row = (name: string) =>
    b.constant('float32', [pairs.length], floatsAttribute(node, name).slice(0, pairs.length));
  const number = (value: number) => b.scalar(value, decisions);
  // The first class of each pair against the second: 1 - sigmoid(a s + b).
  const raw = b.sigmoid(b.neg(b.add(b.mul(decisions, row('prob_a')), row('prob_b'))));
  const first = b.op('Clip', [raw, number(1e-7), number(1 - 1e-7)]);
  const both = b.concat([first, b.sub(number(1), first)], 1);
  const ratio = (i: number, j: number) => {
    const pair = pairs.findIndex(([low, high]) => low === Math.min(i, j) && high === Math.max(i, j));
    return b.gather(both, b.int64s([i < j ? pair : pairs.length + pair]), 1);
  };
  const all = Array.from({ length: classes }, (_, index) => index);
  // Q [batch, classes, classes]
  const q = b.concat(
    all.map((i) => {
      const cells = all.map((j) => {
        if (i !== j) return b.neg(b.mul(ratio(j, i), ratio(i, j)));
        return all
          .filter((other) => other !== i)
          .map((other) => b.square(ratio(other, i)))
          .reduce(b.add);
      });
      return b.unsqueeze(b.concat(cells, 1), [1]);
    }),
    1,
  );
  const start = b.add(
    b.mul(b.slice(both, b.int64s([0]), b.int64s([1]), [1]), number(0)),
    b.constant(
      'float32',
      [1, classes],
      all.map(() => 1 / classes),
    ),
  );
  const scope = b.unusedName('onnxray/coupling');
  const state = { name: `${scope}/p`, type: b.type(start), dims: [b.dims(decisions)?.[0], classes] };
  const sweepInfo = { name: `${scope}/sweep`, type: b.type(start), dims: [] };
  const body = b.subgraph([state, sweepInfo], (inner) => {
    const after = sweep(inner, q, state.name, classes);
    return [after, inner.op('Identity', [sweepInfo.name])];
  });
  return b.emit(
    'Scan',
    [start, b.constant('float32', [SWEEPS], Array<number>(SWEEPS).fill(0))],
    { body: { kind: 'graph', value: body }, num_scan_inputs: int(1), scan_input_directions: ints([0]) },
    {
      outputs: 2,
      facts: [
        { type: b.type(start), dims: state.dims },
        { type: b.type(start), dims: [SWEEPS] },
      ],
    },
  )[0]!;
}

/** One sweep over the classes from p [batch, classes]; rows that are within the tolerance stay. */
function sweep(b: GraphBuilder, q: ValueName, before: ValueName, classes: number): ValueName {
  const number = (value: number) => b.scalar(value, before);
  const at = (x: ValueName, index: number) => b.slice(x, b.int64s([index]), b.int64s([index + 1]), [1]);
  const rowOfQ = (index: number) => b.gather(q, b.constant('int64', [], [index]), 1);
  let p = before;
  // Q p, and p' Q p.
  let product = b.sum(b.mul(q, b.unsqueeze(p, [1])), [2], false);
  let form = b.sum(b.mul(p, product), [1]);
  const residual = b.max(b.abs(b.sub(product, form)), [1]);
  const active = b.greaterOrEqual(residual, number(0.005 / classes));
  for (let index = 0; index < classes; index++) {
    const row = rowOfQ(index);
    const [own, diagonal] = [at(product, index), at(row, index)];
    const step = b.div(b.sub(form, own), diagonal);
    const scale = b.add(step, number(1));
    const unit = b.constant(
      'float32',
      [1, classes],
      Array.from({ length: classes }, (_, each) => (each === index ? 1 : 0)),
    );
    form = b.div(b.add(form, b.mul(step, b.add(b.mul(step, diagonal), b.mul(own, number(2))))), b.square(scale));
    product = b.div(b.add(product, b.mul(step, row)), scale);
    p = b.div(b.add(p, b.mul(step, unit)), scale);
  }
  return b.where(active, p, before);
}

export const supportVectorFamily = {
  'ai.onnx.ml::SVMRegressor': regressor,
  'ai.onnx.ml::SVMClassifier': classifier,
} satisfies Readonly<Record<string, Decomposition>>;
