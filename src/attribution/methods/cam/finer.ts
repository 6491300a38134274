import { UserError } from '../../../onnx/index.ts';
import type { DenseTensor } from '../../../onnx/index.ts';
import { defineMethod, numbers, zeros } from '../../../programs/index.ts';
import { MAP_OPTIONS, drawMap } from './draw.ts';

/**
 * Finer-CAM: Grad-CAM of what sets a class apart from those most like it, T = sum_d p_d (y_c - alpha y_d) / sum_d p_d
 * over the `similar` classes d whose answers are nearest to y_c, p the softmax of the answers.
 * Known flaw: where nothing is similar, it compares with what the model hardly considers.
 * Zhang et al. 2025, https://arxiv.org/abs/2501.11309. Cost as Grad-CAM.
 */
export const finerCam = defineMethod({
  name: 'finer-cam',
  summary: 'Grad-CAM of what sets a class apart from the classes most like it',
  options: {
    ...MAP_OPTIONS,
    similar: { kind: 'integer', default: 3, min: 1, help: 'classes to compare with' },
    alpha: { kind: 'number', default: 1, above: 0, help: 'how strongly they are subtracted' },
  },
  usesBaseline: false,
  layers: 'own-layer',
  attribute: (context, { similar, alpha, ...options }) =>
    drawMap(context, {
      ...options,
      method: 'finer-cam',
      form: 'grad-cam',
      retarget: (answer, weights) => finerTarget(answer, weights, similar, alpha),
    }),
});

/** The gradient of T at the answer: weights that pick T to first order, which is all that Grad-CAM sees. */
function finerTarget(answer: DenseTensor, weights: DenseTensor, similar: number, alpha: number): DenseTensor {
  const [scores, picked] = [numbers(answer), numbers(weights)];
  const main = picked.findIndex((weight) => weight === 1);
  if (answer.dims.length !== 2 || main < 0 || picked.some((weight, at) => weight !== 0 && at !== main))
    throw new UserError('finer-cam compares one class with others: give a class of a classifier as the target');
  const others = Array.from(scores, (score, index) => ({ index, gap: Math.abs(score - scores[main]!) }))
    .filter(({ index }) => index !== main)
    .sort((left, right) => left.gap - right.gap)
    .slice(0, similar);
  if (others.length === 0) throw new UserError('finer-cam needs at least two classes');
  const largest = Math.max(...others.map(({ index }) => scores[index]!));
  const shares = others.map(({ index }) => Math.exp(scores[index]! - largest));
  const total = shares.reduce((sum, share) => sum + share, 0);
  const margins = others.map(({ index }) => scores[main]! - alpha * scores[index]!);
  const mean = margins.reduce((sum, margin, at) => sum + (shares[at]! / total) * margin, 0);
  const target = zeros(weights.type, weights.dims);
  const data = target.data as Float32Array;
  data[main] = 1;
  others.forEach(({ index }, at) => {
    data[index] = (shares[at]! / total) * (margins[at]! - mean - alpha);
  });
  return target;
}
