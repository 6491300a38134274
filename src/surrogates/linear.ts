/** Weighted least squares, small and dense. */

/** Solves A x = b for a symmetric positive definite A in row-major order, by Cholesky; undefined when A is not. */
export function solve(A: Float64Array, b: Float64Array): Float64Array | undefined {
  const L = cholesky(A, b.length);
  return L && solveFactored(L, b);
}

/** Solves L L^T x = b. */
export function solveFactored(L: Float64Array, b: Float64Array): Float64Array {
  const n = b.length;
  const x = Float64Array.from(b);
  for (let i = 0; i < n; i++) {
    for (let k = 0; k < i; k++) x[i]! -= L[i * n + k]! * x[k]!;
    x[i]! /= L[i * n + i]!;
  }
  for (let i = n - 1; i >= 0; i--) {
    for (let k = i + 1; k < n; k++) x[i]! -= L[k * n + i]! * x[k]!;
    x[i]! /= L[i * n + i]!;
  }
  return x;
}

/** Lower triangle L with L L^T = A; undefined when A is not positive definite. */
export function cholesky(A: Float64Array, n: number): Float64Array | undefined {
  const L = new Float64Array(n * n);
  for (let i = 0; i < n; i++)
    for (let j = 0; j <= i; j++) {
      let sum = A[i * n + j]!;
      for (let k = 0; k < j; k++) sum -= L[i * n + k]! * L[j * n + k]!;
      if (i !== j) L[i * n + j] = sum / L[j * n + j]!;
      else if (sum > 1e-12 * Math.abs(A[i * n + i]!)) L[i * n + i] = Math.sqrt(sum);
      else return undefined;
    }
  return L;
}

export interface Regression {
  /** One row per sample. */
  readonly rows: readonly ArrayLike<number>[];
  readonly answers: readonly number[];
  readonly weights: readonly number[];
}

/** X^T W X, in row-major order, and X^T W y. */
export interface NormalEquations {
  readonly A: Float64Array;
  readonly b: Float64Array;
}

/** The normal equations of these samples, added to those of earlier ones where given. */
export function normalEquations({ rows, answers, weights }: Regression, earlier?: NormalEquations): NormalEquations {
  const n = rows[0]!.length;
  const { A, b } = earlier ?? { A: new Float64Array(n * n), b: new Float64Array(n) };
  rows.forEach((row, sample) => {
    const weight = weights[sample]!;
    for (let i = 0; i < n; i++) {
      const left = weight * row[i]!;
      if (left === 0) continue;
      b[i]! += left * answers[sample]!;
      for (let j = 0; j < n; j++) A[i * n + j]! += left * row[j]!;
    }
  });
  return { A, b };
}

export interface LinearFit {
  readonly coefficients: Float64Array;
  readonly intercept: number;
  /** Weighted share of the variance that the fit explains. */
  readonly r2: number;
}

/** The mean under the weights. */
function center(values: readonly number[], weights: readonly number[]): number {
  let [sum, total] = [0, 0];
  values.forEach((value, index) => {
    sum += weights[index]! * value;
    total += weights[index]!;
  });
  return sum / total;
}

/** Ridge: min sum w (y - b - x c)^2 + alpha |c|^2; lasso: the same with alpha |c|_1. The intercept is not penalised. */
export function fitLinear(data: Regression, model: 'ridge' | 'lasso', alpha: number): LinearFit {
  const { rows, answers, weights } = data;
  const n = rows[0]!.length;
  const meanAnswer = center(answers, weights);
  const means = Array.from({ length: n }, (_, at) =>
    center(
      rows.map((row) => row[at]!),
      weights,
    ),
  );
  const centred: Regression = {
    rows: rows.map((row) => Float64Array.from({ length: n }, (_, at) => row[at]! - means[at]!)),
    answers: answers.map((answer) => answer - meanAnswer),
    weights,
  };
  const { A, b } = normalEquations(centred);
  const coefficients = model === 'ridge' ? ridge(A, b, alpha) : lasso(A, b, alpha);
  const intercept = meanAnswer - means.reduce((sum, mean, at) => sum + mean * coefficients[at]!, 0);
  let [left, all] = [0, 0];
  centred.rows.forEach((row, sample) => {
    let predicted = 0;
    for (let at = 0; at < n; at++) predicted += row[at]! * coefficients[at]!;
    left += weights[sample]! * (centred.answers[sample]! - predicted) ** 2;
    all += weights[sample]! * centred.answers[sample]! ** 2;
  });
  return { coefficients, intercept, r2: all > 0 ? 1 - left / all : 1 };
}

function ridge(A: Float64Array, b: Float64Array, alpha: number): Float64Array {
  const n = b.length;
  const penalised = Float64Array.from(A);
  for (let at = 0; at < n; at++) penalised[at * n + at]! += alpha;
  return solve(penalised, b) ?? new Float64Array(n);
}

/** Coordinate descent on 1/2 c^T A c - b^T c + alpha/2 |c|_1. */
function lasso(A: Float64Array, b: Float64Array, alpha: number): Float64Array {
  const n = b.length;
  const c = new Float64Array(n);
  for (let sweep = 0; sweep < 1000; sweep++) {
    let change = 0;
    for (let i = 0; i < n; i++) {
      const diagonal = A[i * n + i]!;
      if (diagonal === 0) continue;
      let rest = b[i]!;
      for (let j = 0; j < n; j++) if (j !== i) rest -= A[i * n + j]! * c[j]!;
      const shrunk = (Math.sign(rest) * Math.max(0, Math.abs(rest) - alpha / 2)) / diagonal;
      change = Math.max(change, Math.abs(shrunk - c[i]!));
      c[i] = shrunk;
    }
    if (change < 1e-9) break;
  }
  return c;
}
