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
