/** The answer as a distribution over classes, at the place the target lies. */
import { sizeOf } from '../../onnx/index.ts';
import type { DenseTensor } from '../../onnx/index.ts';
import type { TargetRef } from '../../explanation/index.ts';
import { numbers } from '../../programs/index.ts';
import { softmax } from './divergence.ts';
import type { Question } from './question.ts';
import type { Row } from './rows.ts';

/** How an answer becomes a distribution: it is one, by softmax over its last axis, or by a sigmoid where that has one place. */
export type Link = 'none' | 'softmax' | 'sigmoid';

/** The place of the target's row of classes in an answer, and how it becomes a distribution. */
export interface ClassRow {
  readonly start: number;
  readonly size: number;
  readonly link: Link;
  /** Index of the target within the row. */
  readonly target: number;
}

export function classRow({ indices }: TargetRef, answer: DenseTensor): ClassRow {
  const dims = answer.dims.slice(1);
  const size = dims.at(-1) ?? 1;
  const flat = indices.reduce((at, index, axis) => at * dims[axis]! + index, 0);
  const start = flat - (flat % size);
  const row = Array.from(numbers(answer).subarray(start, start + size));
  const sum = row.reduce((left, right) => left + right, 0);
  const isDistribution = size > 1 && row.every((value) => value >= 0 && value <= 1) && Math.abs(sum - 1) < 1e-3;
  return { start, size, target: flat % size, link: size === 1 ? 'sigmoid' : isDistribution ? 'none' : 'softmax' };
}

/** A row of classes as probabilities; of a single number, of it and its opposite. */
export function toDistribution(row: ArrayLike<number>, link: Link): Float64Array {
  if (link === 'softmax') return softmax(row);
  if (link === 'none') return Float64Array.from(row);
  const yes = 1 / (1 + Math.exp(-row[0]!));
  return Float64Array.of(yes, 1 - yes);
}

/** The distribution for the input, and for each row. */
export async function readDistributions(
  { chain, run, target, targetRef }: Question,
  rows: readonly Row[],
): Promise<{ readonly before: Float64Array; readonly after: readonly Float64Array[] }> {
  const place = classRow(targetRef, run.answer);
  // An answer cut to the target's position begins with its row.
  const inner = sizeOf(run.answer.dims.slice(2));
  const start = target.position === undefined ? place.start : place.start % inner;
  const answers = await chain.answers(run, rows, target.position);
  const read = (answer: ArrayLike<number>, from: number) =>
    toDistribution(Array.prototype.slice.call(answer, from, from + place.size), place.link);
  return { before: read(numbers(run.answer), place.start), after: answers.map((answer) => read(answer, start)) };
}
