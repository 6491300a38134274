/** Selecting and placing along an axis. */
import { positiveAxis } from '../dims.ts';
import { int, intAttribute, stringAttribute } from '../model.ts';
import type { Decomposition } from './decomposition.ts';
import { given } from './decomposition.ts';

/** The elements whose flag is set: a Gather at the flags' positions. */
const compress: Decomposition = (b, node) => {
  const [x, condition] = [node.inputs[0]!, node.inputs[1]!];
  const axis = intAttribute(node, 'axis');
  const positions = b.reshapeTo(b.op('NonZero', [condition]), [-1]);
  return [axis === undefined ? b.gather(b.reshapeTo(x, [-1]), positions, 0) : b.gather(x, positions, b.axis(x, axis))];
};

/** Writes rows into a cache at each sample's own position. */
const tensorScatter: Decomposition = (b, node) => {
  const [cache, update] = [node.inputs[0]!, node.inputs[1]!];
  const rank = b.rank(cache);
  const axis = positiveAxis(intAttribute(node, 'axis', -2), rank);
  const along = (at: number) => Array.from({ length: rank }, (_, other) => other).filter((other) => other !== at);
  const starts = given(node, 2);
  let rows = b.unsqueeze(b.positions(update, axis), along(axis));
  if (starts !== undefined) rows = b.add(rows, b.unsqueeze(b.cast(starts, 'int64'), along(0)));
  if (stringAttribute(node, 'mode', 'linear') === 'circular') {
    const length = b.squeeze(b.dimension(cache, axis), [0]);
    rows = b.sub(rows, b.mul(b.div(rows, length), length));
  }
  const indices = b.op('Expand', [rows, b.shape(update)], {}, { dims: b.dims(update) });
  return [b.op('ScatterElements', [cache, indices, update], { axis: int(axis) })];
};

export const selectionFamily = { Compress: compress, TensorScatter: tensorScatter } satisfies Readonly<
  Record<string, Decomposition>
>;
