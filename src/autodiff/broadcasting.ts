import { int } from '../onnx/index.ts';
import type { GraphBuilder, ValueName } from '../onnx/index.ts';

/**
 * Sums a gradient over the axes along which `like` was broadcast: the one place where broadcasting is undone.
 * Which axes those are is decided now when the shapes tell, and by the graph itself when they do not.
 */
export function unbroadcast(b: GraphBuilder, gradient: ValueName, like: ValueName): ValueName {
  const [from, to] = [b.dims(gradient), b.dims(like)];
  if (from === undefined || to === undefined || from.length < to.length) return unbroadcastAtRunTime(b, gradient, like);
  const added = from.length - to.length;
  const axes = Array.from({ length: added }, (_, axis) => axis);
  for (let axis = 0; axis < to.length; axis++) {
    const [wide, narrow] = [from[axis + added], to[axis]];
    if (narrow === 1 && wide !== 1) axes.push(axis + added);
    else if (typeof narrow !== 'number' && narrow !== undefined ? narrow !== wide : narrow === undefined)
      return unbroadcastAtRunTime(b, gradient, like);
  }
  const summed = b.sum(gradient, axes);
  return added === 0 ? summed : b.squeeze(summed, axes.slice(0, added));
}

function unbroadcastAtRunTime(b: GraphBuilder, gradient: ValueName, like: ValueName): ValueName {
  const added = b.rank(gradient) - b.rank(like);
  const wide = b.op('Shape', [gradient]);
  const narrow = added > 0 ? b.concat([b.int64s(Array<number>(added).fill(1)), b.shape(like)], 0) : b.shape(like);
  const broadcast = b.not(b.equal(wide, narrow));
  const axes = b.reshapeTo(b.op('NonZero', [broadcast]), [-1]);
  const summed = b.op('ReduceSum', [gradient, axes], { keepdims: int(1), noop_with_empty_axes: int(1) });
  return b.reshape(summed, b.shape(like), b.dims(like));
}
