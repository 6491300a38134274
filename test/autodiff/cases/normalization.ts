import { float, int } from '../../../src/onnx/index.ts';
import type { Case } from '../case.ts';
import { one, w, x } from '../case.ts';

const positive = { range: [0.5, 2] } as const;

export const normalization: Case[] = [
  one('BatchNormalization', 'of images', [x([2, 3, 2, 2]), w([3]), w([3]), w([3]), w([3], positive)]),
  one('BatchNormalization', 'of vectors', [x([4, 3]), w([3]), w([3]), w([3]), w([3], positive)], {
    epsilon: float(1e-3),
  }),
  one('BatchNormalization', 'of sequences', [x([2, 3, 4]), w([3]), w([3]), w([3]), w([3], positive)]),
  one('LayerNormalization', 'over the last axis', [x([2, 3, 4]), w([4]), w([4])]),
  one('LayerNormalization', 'without a bias', [x([2, 4]), w([4])], { epsilon: float(1e-3) }),
  one('LayerNormalization', 'over two axes', [x([2, 3, 4]), w([3, 4]), w([3, 4])], { axis: int(1) }),
  one('LayerNormalization', 'over a negative axis with a broadcast scale', [x([2, 3, 4]), w([4]), w([4])], {
    axis: int(-2),
  }),
  one(
    'LayerNormalization',
    'with mean and deviation as outputs',
    [x([2, 4]), w([4]), w([4])],
    {},
    { outputs: 3, float32: 'mean and deviation come in float32' },
  ),
  one('RMSNormalization', 'over the last axis', [x([2, 3, 4]), w([4])], {}, { opset: 23 }),
  one(
    'RMSNormalization',
    'over two axes',
    [x([2, 3, 4]), w([3, 4])],
    { axis: int(1), epsilon: float(1e-3) },
    { opset: 23 },
  ),
  one('InstanceNormalization', 'of images', [x([2, 3, 2, 3]), w([3]), w([3])]),
  one('InstanceNormalization', 'of sequences', [x([2, 2, 4]), w([2]), w([2])], { epsilon: float(1e-3) }),
  one('GroupNormalization', 'with a scale per group', [x([2, 4, 3]), w([2]), w([2])], { num_groups: int(2) }),
  one(
    'GroupNormalization',
    'with a scale per channel',
    [x([2, 4, 2, 2]), w([4]), w([4])],
    { num_groups: int(2) },
    { opset: 21, float32: 'the kernel computes in float32' },
  ),
  one('LpNormalization', 'by length', [x([2, 3, 2], { away: [0] })]),
  one('LpNormalization', 'by sum along an axis', [x([2, 3, 2], { away: [0] })], { axis: int(1), p: int(1) }),
  one('LRN', 'over an odd window', [x([2, 5, 2, 2])], { size: int(3), alpha: float(0.3), beta: float(0.6) }),
  one('LRN', 'by another bias', [x([1, 4, 2, 2])], { size: int(5), alpha: float(0.3), bias: float(1.5) }),
  one('MeanVarianceNormalization', 'over batch and space', [x([2, 3, 2, 2])]),
];
