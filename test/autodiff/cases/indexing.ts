import { int, string } from '../../../src/onnx/index.ts';
import type { Case } from '../case.ts';
import { i, ids, late, one, typed, x } from '../case.ts';

const linear = { linear: true };
const gather = (name: string, dims: number[], values: number[] | number, axis: number, at?: number[]): Case[] => [
  one('Gather', name, [x(dims), i(values, at)], { axis: int(axis) }, linear),
  one('Gather', `${name}, computed`, [x(dims), ids(values, at)], { axis: int(axis) }, linear),
];
const add = { reduction: string('add') };

export const indexing: Case[] = [
  ...gather('of a scalar index', [4, 3], 2, 0),
  ...gather('of a negative scalar index', [4, 3], -1, 1),
  ...gather('of a vector', [4, 3], [2, 0], 0),
  ...gather('of repeated indices', [4, 3], [1, 1, 3, 1], 0),
  ...gather('of negative indices', [2, 4, 3], [-1, 0, -1], 1),
  ...gather('of a matrix of indices', [4, 3], [0, 3, 2, 0], 0, [2, 2]),
  ...gather('of a matrix along the last axis', [2, 4], [0, 3, 2, 0], -1, [2, 2]),
  ...gather('of one index in a vector', [4, 3], [2], 0),
  one('Gather', 'of int32 indices', [x([4, 3]), typed('int32', [2], [3, -1])], { axis: int(0) }, linear),
  one('GatherElements', 'along an axis', [x([3, 3]), i([0, 2, 1, 1, 1, 1], [2, 3])], { axis: int(0) }, linear),
  one('GatherElements', 'of negative indices', [x([3, 3]), ids([-1, 0, 1, -2], [2, 2])], { axis: int(-1) }, linear),
  one('GatherND', 'of elements', [x([3, 4]), i([0, 1, 2, 3, 0, 1], [3, 2])], {}, linear),
  one('GatherND', 'of slices with negative indices', [x([3, 4]), late([0, -1, 0], [3, 1])], {}, linear),
  one('GatherND', 'with a batch axis', [x([2, 4, 3]), i([1, 3], [2, 1])], { batch_dims: int(1) }, linear),
  one(
    'GatherND',
    'with two batch axes',
    [x([2, 2, 4]), late([1, 3, 0, -1], [2, 2, 1])],
    { batch_dims: int(2) },
    linear,
  ),
  one(
    'ScatterElements',
    'overwriting',
    [x([3, 3]), i([0, 2, 1, 1, 0, 2], [2, 3]), x([2, 3])],
    { axis: int(0) },
    linear,
  ),
  one(
    'ScatterElements',
    'overwriting along a negative axis',
    [x([3, 4]), ids([-1, 0, 2, 1, -2, 0], [3, 2]), x([3, 2])],
    { axis: int(-1) },
    linear,
  ),
  one(
    'ScatterElements',
    'adding',
    [x([3, 3]), i([0, 0, 1, 1, 0, 2], [2, 3]), x([2, 3])],
    { axis: int(0), ...add },
    linear,
  ),
  one('ScatterND', 'overwriting elements', [x([3, 4]), i([0, 1, 2, 3], [2, 2]), x([2])], {}, linear),
  one('ScatterND', 'overwriting slices', [x([4, 2]), late([0, -1], [2, 1]), x([2, 2])], {}, linear),
  one('ScatterND', 'adding', [x([3, 4]), i([0, 1, 0, 1], [2, 2]), x([2])], add, linear),
  one('TopK', 'along the last axis', [x([2, 5]), i([3])], {}, { extraOutputs: 1 }),
  one(
    'TopK',
    'of the smallest along an axis',
    [x([5, 2]), late([2])],
    { axis: int(0), largest: int(0) },
    { extraOutputs: 1 },
  ),
  one('OneHot', 'of its values', [i([0, 2, -1]), i(3), x([2])], {}, linear),
  one(
    'OneHot',
    'of its values along the first axis',
    [i([0, 2, 1, 1], [2, 2]), i([3]), x([2])],
    { axis: int(0) },
    linear,
  ),
  one('ReverseSequence', 'of batches', [x([4, 2, 2]), i([3, 4])], { time_axis: int(0), batch_axis: int(1) }, linear),
];
