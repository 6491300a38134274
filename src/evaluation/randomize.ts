/** The sanity check of Adebayo et al. 2018 (https://arxiv.org/abs/1810.03292): a model whose last layers forgot what they learned. */
import { normalRandom, seededRandom } from '../inputs/core.ts';
import { numbersWeight, weightTensor } from '../onnx/index.ts';
import type { Model, ValueName } from '../onnx/index.ts';

const WEIGHTED = new Set(['Conv', 'ConvTranspose', 'Gemm', 'MatMul']);

/** Names of the weights of a model's layers, from the last layer to the first. */
export function layerWeights({ graph }: Model): ValueName[] {
  const names = graph.nodes.flatMap(({ operator, inputs }) =>
    WEIGHTED.has(operator) ? inputs.slice(0, 2).filter((name) => graph.initializers.get(name)?.type === 'float32') : [],
  );
  return [...new Set(names)].toReversed();
}

/**
 * The model with the weights of its last `count` layers drawn anew from a normal distribution with the mean and deviation
 * of the old ones; biases stay. The same seed gives the same numbers to a layer whatever `count` is.
 */
export function randomizeLayers(model: Model, count: number, seed = 0): Model {
  const initializers = new Map(model.graph.initializers);
  layerWeights(model)
    .slice(0, count)
    .forEach((name, order) => {
      const weight = initializers.get(name)!;
      const tensor = weightTensor(weight);
      if (tensor === undefined || !(tensor.data instanceof Float32Array)) return;
      const values = tensor.data;
      let [sum, squares] = [0, 0];
      for (const value of values) {
        sum += value;
        squares += value * value;
      }
      const mean = sum / values.length;
      const deviation = Math.sqrt(Math.max(0, squares / values.length - mean * mean));
      const random = normalRandom(seededRandom(seed * 1000 + order));
      initializers.set(
        name,
        numbersWeight(
          'float32',
          weight.dims,
          Array.from({ length: values.length }, () => mean + deviation * random()),
        ),
      );
    });
  return { ...model, graph: { ...model.graph, initializers } };
}

/** Spearman's rank correlation, ties by their mean rank: 1 for the same order, 0 for no relation. */
export function rankCorrelation(left: ArrayLike<number>, right: ArrayLike<number>): number {
  const [a, b] = [ranks(left), ranks(right)];
  const middle = (a.length - 1) / 2;
  let [product, first, second] = [0, 0, 0];
  for (let at = 0; at < a.length; at++) {
    product += (a[at]! - middle) * (b[at]! - middle);
    first += (a[at]! - middle) ** 2;
    second += (b[at]! - middle) ** 2;
  }
  return first === 0 || second === 0 ? 0 : product / Math.sqrt(first * second);
}

function ranks(values: ArrayLike<number>): Float64Array {
  const order = Array.from({ length: values.length }, (_, at) => at).sort((i, j) => values[i]! - values[j]!);
  const result = new Float64Array(values.length);
  for (let start = 0; start < order.length;) {
    let end = start;
    while (end + 1 < order.length && values[order[end + 1]!] === values[order[start]!]) end++;
    for (let at = start; at <= end; at++) result[order[at]!] = (start + end) / 2;
    start = end + 1;
  }
  return result;
}
