import type { Coalition } from '../programs/index.ts';
import { cholesky, solveFactored } from './linear.ts';

/** A coalition, and the answers with it and with its complement, less that with nobody. */
export interface Pair {
  readonly coalition: Coalition;
  readonly answer: number;
  readonly opposite: number;
}

export interface PairScores {
  readonly scores: Float64Array;
  /** Whether the pairs settle every score. If not, the scores are the nearest to equal ones that fit the pairs. */
  readonly determined: boolean;
}

/**
 * Least squares on pairs of a coalition and its complement, the sum of the coefficients held to the answer with everybody.
 * What is fitted is what the scores differ by from equal shares, which sums to nothing: with the rows less their means,
 * one half of the difference of a pair's answers, less equal shares, is its product with the row. What both answers share
 * does not come in, so that answers in which at most two players act together are fitted exactly.
 * Pairs come in rounds; kept of each are its coalition, in bits, and one number.
 */
export class PairFit {
  readonly #count: number;
  readonly #total: number;
  readonly #A: Float64Array;
  readonly #b: Float64Array;
  readonly #rounds: { readonly bits: Uint8Array; readonly halves: Float64Array }[] = [];
  #pairs = 0;

  constructor(count: number, total: number) {
    this.#count = count;
    this.#total = total;
    this.#A = new Float64Array(count * count);
    this.#b = new Float64Array(count);
  }

  add(pairs: readonly Pair[]): void {
    const n = this.#count;
    const bits = new Uint8Array(pairs.length * Math.ceil(n / 8));
    const halves = new Float64Array(pairs.length);
    const row = new Float64Array(n);
    pairs.forEach(({ coalition, answer, opposite }, at) => {
      pack(coalition, bits, at);
      const size = centred(bits, at, row);
      // s T / n and (n - s) T / n are the equal shares of a coalition of s players and of its complement.
      const half = (answer - opposite - ((2 * size - n) * this.#total) / n) / 2;
      halves[at] = half;
      for (let i = 0; i < n; i++) {
        this.#b[i]! += row[i]! * half;
        for (let j = 0; j <= i; j++) this.#A[i * n + j]! += row[i]! * row[j]!;
      }
    });
    this.#rounds.push({ bits, halves });
    this.#pairs += pairs.length;
  }

  solve(): PairScores {
    const n = this.#count;
    const L = this.#factored(0);
    // A trace of ridge where directions are open leaves them at nothing.
    const shares = solveFactored(L ?? this.#factored(1e-9)!, this.#b);
    return { scores: shares.map((share) => share + this.#total / n), determined: L !== undefined };
  }

  /**
   * 1.96 times the standard error of each score: of the pairs, which are independent, not of the samples, which are not. The
   * residual of a pair is taken as by a fit without it (HC3, MacKinnon & White 1985, https://doi.org/10.1016/0304-4076(85)90158-7),
   * since how far answers are from linear depends on the coalition. Infinity where the pairs settle nothing, or only just.
   */
  intervals({ scores, determined }: PairScores): Float64Array {
    const n = this.#count;
    const unknown = new Float64Array(n).fill(Infinity);
    if (!determined) return unknown;
    const L = this.#factored(0)!;
    const variances = new Float64Array(n);
    const row = new Float64Array(n);
    for (const { bits, halves } of this.#rounds)
      for (let at = 0; at < halves.length; at++) {
        centred(bits, at, row);
        const pull = solveFactored(L, row);
        let [residual, leverage] = [halves[at]!, 0];
        for (let i = 0; i < n; i++) {
          residual -= row[i]! * scores[i]!;
          leverage += row[i]! * pull[i]!;
        }
        if (leverage > 1 - 1e-9) return unknown;
        for (let i = 0; i < n; i++) variances[i]! += ((pull[i]! * residual) / (1 - leverage)) ** 2;
      }
    return variances.map((variance) => 1.96 * Math.sqrt(variance));
  }

  /** With the direction of equal shares, which no row has, closed. */
  #factored(ridge: number): Float64Array | undefined {
    const n = this.#count;
    if (ridge === 0 && this.#pairs < n - 1) return undefined;
    let scale = 0;
    for (let at = 0; at < n; at++) scale += this.#A[at * n + at]! / n;
    const closed = this.#A.map((each) => each + scale / n);
    for (let at = 0; at < n; at++) closed[at * n + at]! += ridge * scale;
    return cholesky(closed, n);
  }
}

function pack(coalition: Coalition, bits: Uint8Array, at: number): void {
  const start = at * Math.ceil(coalition.length / 8);
  coalition.forEach((each, player) => (bits[start + (player >> 3)]! |= each << (player & 7)));
}

/** Reads a coalition into a row of 0 and 1 less their mean; returns its size. */
function centred(bits: Uint8Array, at: number, row: Float64Array): number {
  const n = row.length;
  const start = at * Math.ceil(n / 8);
  let size = 0;
  for (let player = 0; player < n; player++) size += row[player] = (bits[start + (player >> 3)]! >> (player & 7)) & 1;
  for (let player = 0; player < n; player++) row[player]! -= size / n;
  return size;
}
