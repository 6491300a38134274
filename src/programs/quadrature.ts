/** Rules for the integral over a path parameter in [0, 1]. */

export interface Quadrature {
  readonly alphas: readonly number[];
  readonly weights: readonly number[];
}

/** Rules by their names in Captum. */
export const QUADRATURES = ['gauss-legendre', 'trapezoid', 'midpoint', 'left', 'right'] as const;
export type QuadratureName = (typeof QUADRATURES)[number];

/** `steps` nodes of a rule; the weights sum to 1 for each of them. `trapezoid` needs at least 2. */
export function quadrature(name: QuadratureName, steps: number): Quadrature {
  const indices = Array.from({ length: steps }, (_, index) => index);
  const even = indices.map(() => 1 / steps);
  switch (name) {
    case 'gauss-legendre':
      return panels(steps);
    case 'trapezoid':
      return {
        alphas: indices.map((index) => index / (steps - 1)),
        weights: indices.map((index) => (index === 0 || index === steps - 1 ? 0.5 : 1) / (steps - 1)),
      };
    case 'midpoint':
      return { alphas: indices.map((index) => (index + 0.5) / steps), weights: even };
    case 'left':
      return { alphas: indices.map((index) => index / steps), weights: even };
    case 'right':
      return { alphas: indices.map((index) => (index + 1) / steps), weights: even };
  }
}

/** Finding nodes costs their number squared; that many integrate anything smooth to the last digit. */
const MOST_NODES = 1000;

/** Gauss-Legendre; beyond MOST_NODES on equal parts of [0, 1], so that no number of steps takes long to lay out. */
function panels(steps: number): Quadrature {
  const count = Math.ceil(steps / MOST_NODES);
  if (count === 1) return gaussLegendre(steps);
  const [alphas, weights]: [number[], number[]] = [[], []];
  const rules = new Map<number, Quadrature>();
  for (let panel = 0; panel < count; panel++) {
    const own = Math.floor(((panel + 1) * steps) / count) - Math.floor((panel * steps) / count);
    const rule = rules.get(own) ?? gaussLegendre(own);
    rules.set(own, rule);
    for (const alpha of rule.alphas) alphas.push((panel + alpha) / count);
    for (const weight of rule.weights) weights.push(weight / count);
  }
  return { alphas, weights };
}

/** Nodes are the roots of the Legendre polynomial, by Newton from Chebyshev's guess; exact up to degree 2n - 1. */
function gaussLegendre(n: number): Quadrature {
  const alphas = Array<number>(n).fill(0);
  const weights = Array<number>(n).fill(0);
  for (let i = 0; i < n; i++) {
    let x = Math.cos((Math.PI * (i + 0.75)) / (n + 0.5));
    let slope = 1;
    for (let round = 0; round < 100; round++) {
      let [previous, current] = [1, x];
      for (let degree = 2; degree <= n; degree++)
        [previous, current] = [current, ((2 * degree - 1) * x * current - (degree - 1) * previous) / degree];
      slope = n === 1 ? 1 : (n * (x * current - previous)) / (x * x - 1);
      const step = (n === 1 ? x : current) / slope;
      x -= step;
      if (Math.abs(step) < 1e-15) break;
    }
    // Largest root first: stored from the end, so that alphas increase.
    alphas[n - 1 - i] = (1 + x) / 2;
    weights[n - 1 - i] = 1 / ((1 - x * x) * slope * slope);
  }
  return { alphas, weights };
}
