/** Units of a layer or an answer as weights of its elements. */
import { UsageError, UserError, sizeOf } from '../onnx/index.ts';
import type { ExplainableModel } from '../attribution/core.ts';
import { parseTarget } from '../tasks/core.ts';
import type { Place, Wanted } from './place.ts';

export interface Unit {
  readonly label: string;
  readonly indices: readonly number[];
  /** Weight of each element of the place's value. */
  readonly aim: Float32Array;
}

export function unitsOf({ folder }: ExplainableModel, wanted: Wanted, { path, dims, axis }: Place): readonly Unit[] {
  const size = sizeOf(dims);
  if ('target' in wanted) {
    const blank = { type: 'float32', dims: [1, ...dims], data: new Float32Array(size) } as const;
    const { label, indices, minus, terms } = parseTarget(wanted.target, blank, folder.labels);
    if (minus !== undefined || terms !== undefined)
      throw new UsageError('a picture is found for one class at a time: give --target one label or index');
    return [{ label, indices, aim: oneAt(indices, dims) }];
  }
  if ('neuron' in wanted) {
    const { neuron } = wanted;
    const inside = neuron.length === dims.length && neuron.every((index, at) => isIndex(index, dims[at]!));
    if (!inside)
      throw new UserError(
        `neuron ${neuron.join(',')} is not in layer "${path}", which is [${dims.join(', ')}] after the batch axis`,
      );
    return [{ label: `${path}[${neuron.join(',')}]`, indices: neuron, aim: oneAt(neuron, dims) }];
  }
  const count = dims[axis]!;
  const inner = sizeOf(dims.slice(axis + 1));
  const positions = size / count;
  if ('direction' in wanted) {
    if (wanted.direction.length !== count)
      throw new UserError(
        `the direction has ${wanted.direction.length} numbers, but layer "${path}" has ${count} channels`,
      );
    const aim = Float32Array.from(
      { length: size },
      (_, at) => wanted.direction[Math.floor(at / inner) % count]! / positions,
    );
    return [{ label: `${path} direction`, indices: [], aim }];
  }
  if (wanted.channels.length === 0)
    throw new UserError(`no channel of layer "${path}" is named: it has ${count}, from 0`);
  return wanted.channels.map((channel) => {
    if (!isIndex(channel, count))
      throw new UserError(`layer "${path}" has no channel ${channel}: it has ${count}, from 0`);
    const aim = Float32Array.from({ length: size }, (_, at) =>
      Math.floor(at / inner) % count === channel ? 1 / positions : 0,
    );
    return { label: `${path}[${channel}]`, indices: [channel], aim };
  });
}

function oneAt(indices: readonly number[], dims: readonly number[]): Float32Array {
  const aim = new Float32Array(sizeOf(dims));
  aim[indices.reduce((flat, index, axis) => flat * dims[axis]! + index, 0)] = 1;
  return aim;
}

/** Whether a number counts one of `count` things from 0. */
export const isIndex = (index: number, count: number): boolean =>
  Number.isInteger(index) && index >= 0 && index < count;
