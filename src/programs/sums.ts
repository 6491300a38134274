/** What batches add up to. */
import { sizeOf } from '../onnx/index.ts';
import type { NamedTensors } from '../onnx/index.ts';
import type { Scores } from '../explanation/index.ts';
import { numbers } from './numbers.ts';
import { PROGRAM } from './names.ts';

/** What the names of outputs begin with, before the input's. */
export const SCORES = PROGRAM.scores('');
const SPREAD = PROGRAM.spread('');

/** Sums over batches, in float64. */
export type Sums = Map<string, { readonly dims: readonly number[]; readonly data: Float64Array }>;

/** Adds a batch's scores of each input. */
export function addSums(sums: Sums, results: NamedTensors): void {
  for (const [name, tensor] of Object.entries(results)) {
    if (!name.startsWith(SCORES)) continue;
    const key = name.slice(SCORES.length);
    const part = numbers(tensor);
    const total = sums.get(key)?.data;
    if (total === undefined) sums.set(key, { dims: tensor.dims, data: new Float64Array(part) });
    else for (let index = 0; index < part.length; index++) total[index]! += part[index]!;
  }
}

/** Of the rows of the batches so far: their weight, the weighted mean, and the weighted sum of squared distances from it. */
export interface Spread {
  weight: number;
  readonly dims: readonly number[];
  readonly mean: Float64Array;
  readonly squares: Float64Array;
}

/** Batches are joined as Chan, Golub & LeVeque 1983 do, https://doi.org/10.1080/00031305.1983.10483115. */
export function addSpread(spreads: Map<string, Spread>, results: NamedTensors, weights: readonly number[]): void {
  const added = weights.reduce((sum, weight) => sum + weight, 0);
  for (const [name, tensor] of Object.entries(results)) {
    if (!name.startsWith(SPREAD) || added === 0) continue;
    const input = name.slice(SPREAD.length);
    const size = sizeOf(tensor.dims);
    const known = spreads.get(input) ?? {
      weight: 0,
      dims: tensor.dims,
      mean: new Float64Array(size),
      squares: new Float64Array(size),
    };
    spreads.set(input, known);
    const [squares, sum] = [numbers(tensor), numbers(results[SCORES + input]!)];
    const share = added / (known.weight + added);
    for (let at = 0; at < size; at++) {
      const delta = sum[at]! / added - known.mean[at]!;
      known.squares[at]! += squares[at]! + delta * delta * known.weight * share;
      known.mean[at]! += delta * share;
    }
    known.weight += added;
  }
}

export function toVariances(spreads: ReadonlyMap<string, Spread>): Readonly<Record<string, Scores>> {
  return Object.fromEntries(
    Array.from(spreads, ([input, { dims, squares, weight }]) => [
      input,
      { dims, data: squares.map((s) => s / weight) },
    ]),
  );
}

export function toScores(sums: Sums): Readonly<Record<string, Scores>> {
  return Object.fromEntries(Array.from(sums, ([input, { dims, data }]) => [input, { dims, data }]));
}
