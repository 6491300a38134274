import type { Scores } from '../../explanation/index.ts';
import { sumOfScores } from '../../explanation/index.ts';

/** Of the change that is explained: what may be missing without a word. */
const TOLERATED = 0.01;

/** A warning with the reason, where scores meant to sum to `change` do so only with a gap of over a hundredth. */
export function doesNotAddUp(
  scores: Readonly<Record<string, Scores>>,
  change: number,
  reason: string,
): readonly string[] {
  const gap = Math.abs(sumOfScores(scores) - change);
  if (gap <= TOLERATED * Math.max(Math.abs(change), 1e-4)) return [];
  const part = ((100 * gap) / Math.max(Math.abs(change), Number.MIN_VALUE)).toPrecision(2);
  return [`the scores do not add up: ${Number(part)}% of the change of the answer are missing; ${reason}`];
}
