import { UserError, sizeOf } from '../../onnx/index.ts';
import { defineMethod, quadrature } from '../../programs/index.ts';
import { doesNotAddUp } from './adds-up.ts';

/** More elements than this would be as many times `steps` second-order passes. */
const MOST_ELEMENTS = 512;

/**
 * Interactions: how much each pair of inputs contributes together. For i other than j
 *   G_ij = (x_i - b_i)(x_j - b_j) * integral of a c H_ij(b + a c (x - b)) over a, c in [0, 1],
 * and G_ii also has the first-order term. Of a smooth model rows sum to integrated gradients, and all of it to value -
 * baseline value.
 * The double integral over a c is taken as the single one over t = a c, of density -ln t, so `steps` points suffice.
 * Scores are one square matrix of all elements (tokens) under `INPUT pairs`, for one input of at most 512.
 * Known flaw: a ReLU has no second derivative, so networks of ReLUs show only first-order terms on the diagonal, and what
 * happens in the kinks is missing from the sum, which a warning says; the paper replaces ReLU by softplus.
 * Janizek, Sturmfels & Lee 2021, https://arxiv.org/abs/2002.04138.
 * Cost: for each element `steps` forward and second-order passes.
 */
export const integratedHessians = defineMethod({
  name: 'integrated-hessians',
  summary: 'how much each pair of inputs contributes together, by integrated second derivatives',
  options: { steps: { kind: 'integer', default: 20, min: 1, help: 'points on the path' } },
  usesBaseline: true,
  layers: 'none',
  async attribute(context, { steps }) {
    const [feature, ...others] = context.features;
    if (feature === undefined || others.length > 0)
      throw new UserError('integrated-hessians scores pairs within one input, but the model has several');
    const size = sizeOf(context.inputs[feature.input]!.dims);
    if (size > MOST_ELEMENTS)
      throw new UserError(
        `integrated-hessians is for inputs of at most ${MOST_ELEMENTS} elements or tokens, and "${feature.input}" has ${size}`,
      );
    // t = u^2 flattens the logarithm's peak at 0.
    const { alphas, weights } = quadrature('gauss-legendre', steps!);
    const points = alphas.map((u) => u * u);
    const density = alphas.map((u, at) => weights[at]! * -2 * Math.log(u) * 2 * u);

    const first = await context.open({ rows: 'alphas', backward: { reduction: 'times-difference' } });
    const target = await context.target(first);
    const linear = await first.run({ alphas: [0, ...points, 1], weights: [0, ...density, 0] }, target);
    const second = await context.open({
      rows: 'alphas',
      backward: { rules: { set: 'gradient' }, reduction: 'times-difference', pairs: true },
    });
    const matrix = new Float64Array(size * size);
    for (let element = 0; element < size; element++) {
      const direction = new Float32Array(size);
      direction[element] = 1;
      const { scores } = await second.run(
        { alphas: points, weights: density.map((weight, at) => weight * points[at]!), direction: () => direction },
        target,
        { part: { done: element * points.length, total: size * points.length } },
      );
      matrix.set(scores[feature.input]!.data, element * size);
      matrix[element * size + element]! += linear.scores[feature.input]!.data[element]!;
    }
    const scores = { [`${feature.input} pairs`]: { dims: [size, size], data: matrix } };
    const [baselineValue, value] = [linear.values[0]!, linear.values.at(-1)!];
    const reason = 'a second derivative is zero beside the kinks of ReLU, or there are too few steps';
    return {
      scores,
      value,
      baselineValue,
      sumsTo: 'difference',
      warnings: doesNotAddUp(scores, value - baselineValue, reason),
    };
  },
});
