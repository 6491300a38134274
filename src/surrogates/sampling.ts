/** Random coalitions. */
import type { Random } from '../inputs/core.ts';
import { seededRandom } from '../inputs/core.ts';
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
function* evenCoalitions(count: number, samples: number, random: Random): Generator<Coalition> {
  for (let sample = 0; sample < samples; sample++)
    yield Uint8Array.from({ length: count }, () => (random() < 0.5 ? 0 : 1));
}

/**
 * The two halves of LIME's samples, the first with the whole input at its head. Each is drawn from a seed of its own, so
 * that what differs between them is what another seed would change.
 */
export function limeHalves(count: number, samples: number, seed: number): readonly Iterable<Coalition>[] {
  const seeds = seededRandom(seed);
  const [first, second] = [seeds(), seeds()].map((each) => seededRandom(Math.floor(each * 2 ** 32)));
  const size = Math.ceil(samples / 2);
  return [
    (function* () {
      yield new Uint8Array(count).fill(1);
      yield* evenCoalitions(count, size - 1, first!);
    })(),
    evenCoalitions(count, samples - size, second!),
  ];
}
