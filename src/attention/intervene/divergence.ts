/** How far apart two distributions are, and two rankings. Natural logarithms. */

/** Total variation distance, sum |p - q| / 2: 0 to 1. */
export function totalVariation(p: ArrayLike<number>, q: ArrayLike<number>): number {
  let sum = 0;
  for (let at = 0; at < p.length; at++) sum += Math.abs(p[at]! - q[at]!);
  return sum / 2;
}

/** Jensen-Shannon divergence, KL(p|m) / 2 + KL(q|m) / 2 with m the mean of both: 0 to ln 2. Both are scaled to sum to 1. */
export function jensenShannon(p: ArrayLike<number>, q: ArrayLike<number>): number {
  const [left, right] = [total(p), total(q)];
  let sum = 0;
  for (let at = 0; at < p.length; at++) {
    const [a, b] = [p[at]! / left, q[at]! / right];
    const mean = (a + b) / 2;
    if (a > 0) sum += (a * Math.log(a / mean)) / 2;
    if (b > 0) sum += (b * Math.log(b / mean)) / 2;
  }
  return sum;
}

function total(values: ArrayLike<number>): number {
  let sum = 0;
  for (let at = 0; at < values.length; at++) sum += values[at]!;
  return sum;
}

/**
 * Kendall's rank correlation tau-b, which accounts for ties: (concordant - discordant) / sqrt((n0 - ties in x) (n0 - ties
 * in y)); NaN where one of the two is constant. Kendall 1945.
 */
export function kendallTau(x: ArrayLike<number>, y: ArrayLike<number>): number {
  let [agreement, pairsX, pairsY] = [0, 0, 0];
  for (let i = 0; i < x.length; i++)
    for (let j = i + 1; j < x.length; j++) {
      const [a, b] = [Math.sign(x[i]! - x[j]!), Math.sign(y[i]! - y[j]!)];
      agreement += a * b;
      pairsX += Math.abs(a);
      pairsY += Math.abs(b);
    }
  return pairsX === 0 || pairsY === 0 ? Number.NaN : agreement / Math.sqrt(pairsX * pairsY);
}

/** softmax over all elements. */
export function softmax(logits: ArrayLike<number>): Float64Array {
  let most = -Infinity;
  for (let at = 0; at < logits.length; at++) most = Math.max(most, logits[at]!);
  const powers = Float64Array.from(logits, (value) => Math.exp(value - most));
  const sum = total(powers);
  return powers.map((power) => power / sum);
}
