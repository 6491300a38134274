/** Biases by relative position. */
import type { GraphBuilder } from '../builder.ts';
import type { ValueName } from '../model.ts';
import { intAttribute } from '../model.ts';
import type { Decomposition } from './decomposition.ts';

/** 0, 1, ... up to a length given as a tensor of one element. */
const places = (b: GraphBuilder, length: ValueName) =>
  b.op('Range', [
    b.constant('int64', [], [0]),
    b.op('Reshape', [b.cast(length, 'int64'), b.int64s([])]),
    b.constant('int64', [], [1]),
  ]);

/**
 * T5's buckets (Raffel et al. 2020): near distances have one each, far ones share them by the logarithm of the distance,
 * and with `is_bidirectional` half of them are for keys behind the query. [queries, keys], int64.
 */
function buckets(b: GraphBuilder, distance: ValueName, count: number, farthest: number, both: boolean): ValueName {
  const whole = (value: number) => b.constant('int64', [], [value]);
  const own = both ? count / 2 : count;
  const near = both ? b.abs(distance) : b.op('Max', [b.neg(distance), whole(0)]);
  const exact = Math.floor(own / 2);
  // Where the distance is small the logarithm is not used, so it may be that of 1.
  const far = b.log(b.div(b.cast(b.op('Max', [near, whole(1)]), 'float32'), b.constant('float32', [], [exact])));
  const step = (own - exact) / Math.log(farthest / exact);
  const shared = b.add(b.cast(b.mul(far, b.constant('float32', [], [step])), 'int64'), whole(exact));
  const bucket = b.where(b.less(near, whole(exact)), near, b.op('Min', [shared, whole(own - 1)]));
  return both ? b.add(bucket, b.where(b.greater(distance, whole(0)), whole(own), whole(0))) : bucket;
}

/** The table's numbers stand head by head, though its dims are [buckets, heads]. The bias is [1, heads, queries, keys]. */
const relativePositionBias: Decomposition = (b, node) => {
  const [table, queries, keys] = node.inputs as [ValueName, ValueName, ValueName];
  const [count, heads] = b.dims(table) ?? [];
  if (typeof count !== 'number' || typeof heads !== 'number') return undefined;
  const distance = b.sub(b.unsqueeze(places(b, keys), [0]), b.unsqueeze(places(b, queries), [1]));
  const both = intAttribute(node, 'is_bidirectional', 0) === 1;
  const bucket = buckets(b, distance, count, intAttribute(node, 'max_distance', 128), both);
  return [b.unsqueeze(b.gather(b.reshapeTo(table, [heads, count]), bucket, 1), [0])];
};

export const relativePositionFamily = {
  'com.microsoft::RelativePositionBias': relativePositionBias,
} satisfies Readonly<Record<string, Decomposition>>;
