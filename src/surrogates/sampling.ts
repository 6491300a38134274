/** Random coalitions. */
import type { Random } from '../inputs/core.ts';
import type { Coalition } from '../programs/index.ts';

/** The Shapley kernel by size: (n - 1) / (k (n - k)), for all coalitions of that size together. */
const kernel = (count: number, size: number) => (count - 1) / (size * (count - size));

/**
 * Coalitions of 1 to n - 1 of n players, sizes drawn by the Shapley kernel, players of a size with equal chances. With
 * the complement of each they are the pairs of Covert & Lee 2021.
 */
export function kernelCoalitions(count: number, samples: number, random: Random): Coalition[] {
  const weights = Array.from({ length: count - 1 }, (_, at) => kernel(count, at + 1));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return Array.from({ length: samples }, () => {
    let [size, rest] = [1, random() * total];
    while (size < count - 1 && rest > weights[size - 1]!) rest -= weights[size++ - 1]!;
    const players = Array.from({ length: count }, (_, player) => player);
    const coalition = new Uint8Array(count);
    for (let at = 0; at < size; at++) {
      const other = at + Math.floor(random() * (count - at));
      [players[at], players[other]] = [players[other]!, players[at]!];
      coalition[players[at]!] = 1;
    }
    return coalition;
  });
}

export const complement = (coalition: Coalition): Coalition => coalition.map((each) => 1 - each);

/** Coalitions that each player is in with probability 1/2. */
export function evenCoalitions(count: number, samples: number, random: Random): Coalition[] {
  return Array.from({ length: samples }, () => Uint8Array.from({ length: count }, () => (random() < 0.5 ? 0 : 1)));
}
