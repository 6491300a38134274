/** Random orders of players. */
import type { Random } from '../inputs/core.ts';

/** Players in an order drawn with equal chances (Fisher & Yates). */
export function randomOrder(count: number, random: Random): number[] {
  const order = Array.from({ length: count }, (_, index) => index);
  for (let at = count - 1; at > 0; at--) {
    const other = Math.floor(random() * (at + 1));
    [order[at], order[other]] = [order[other]!, order[at]!];
  }
  return order;
}

/** The mean of estimates of each player, and its standard error. */
export class Estimates {
  readonly #mean: Float64Array;
  /** Sums of squared distances from the mean. */
  readonly #squares: Float64Array;
  #count = 0;

  constructor(players: number) {
    this.#mean = new Float64Array(players);
    this.#squares = new Float64Array(players);
  }

  /** By Welford's update, which does not take squares of large numbers from each other. */
  add(estimate: ArrayLike<number>): void {
    this.#count++;
    for (let player = 0; player < this.#mean.length; player++) {
      const before = estimate[player]! - this.#mean[player]!;
      this.#mean[player]! += before / this.#count;
      this.#squares[player]! += before * (estimate[player]! - this.#mean[player]!);
    }
  }

  get mean(): Float64Array {
    return this.#mean;
  }

  /** The largest of all players; null for a single estimate, which tells nothing of it. */
  get standardError(): number | null {
    if (this.#count < 2) return null;
    const most = this.#squares.reduce((largest, each) => Math.max(largest, each), 0);
    return Math.sqrt(most / (this.#count - 1) / this.#count);
  }
}
