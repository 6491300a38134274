import { int } from '../../../src/onnx/index.ts';
import type { CaseInput, Case } from '../case.ts';
import { i, late, one, x } from '../case.ts';

const cases = (operator: string, options: Partial<CaseInput> = {}, linear = false): Case[] => [
  one(operator, 'over everything', [x([2, 3, 2], options)], {}, { linear }),
  one(operator, 'over an axis', [x([2, 3, 2], options), i([1])], {}, { linear }),
  one(
    operator,
    'over negative axes without keeping them',
    [x([2, 3, 2], options), i([-1, 0])],
    { keepdims: int(0) },
    { linear },
  ),
  one(operator, 'over everything without keeping it', [x([2, 3], options)], { keepdims: int(0) }, { linear }),
  one(operator, 'over an axis of length 1', [x([2, 1, 3], options), i([1])], { keepdims: int(0) }, { linear }),
];

export const reduction: Case[] = [
  ...cases('ReduceSum', {}, true),
  one('ReduceSum', 'over no axes', [x([2, 3]), i([])], { noop_with_empty_axes: int(1) }, { linear: true }),
  one('ReduceSum', 'over all axes by an empty list', [x([2, 3]), i([])], {}, { linear: true }),
  one('ReduceSum', 'of a scalar', [x([])], {}, { linear: true }),
  ...cases('ReduceMean', {}, true),
  ...cases('ReduceMax'),
  ...cases('ReduceMin'),
  ...cases('ReduceProd'),
  one(
    'ReduceProd',
    'with zeros',
    [x([3, 3], { values: [0, 0.7, -1.2, 0, 0, 1.3, 0.4, 0.9, -0.6] }), i([1])],
    {},
    { firstOrder: 'second derivatives at exact zeros are not followed' },
  ),
  ...['ReduceSum', 'ReduceMean', 'ReduceMax', 'ReduceProd', 'ReduceLogSumExp'].flatMap((operator): Case[] => [
    one(operator, 'over computed axes', [x([2, 3, 2]), late([-1, 0])]),
    one(operator, 'over computed axes without keeping them', [x([2, 3, 2]), late([1])], { keepdims: int(0) }),
  ]),
  ...cases('ReduceL1', { away: [0] }),
  ...cases('ReduceL2', { away: [0] }),
  ...cases('ReduceSumSquare'),
  ...cases('ReduceLogSum', { range: [0.5, 2] }),
  ...cases('ReduceLogSumExp'),
  ...['Softmax', 'LogSoftmax'].flatMap((operator): Case[] => [
    one(operator, 'along the last axis', [x([2, 3, 4])]),
    one(operator, 'along the first axis', [x([3, 2])], { axis: int(0) }),
    one(operator, 'along a negative axis', [x([2, 3, 2])], { axis: int(-2) }),
  ]),
];
