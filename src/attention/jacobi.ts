export interface Eigen {
  /** Largest first. */
  readonly values: Float64Array;
  /** Row k is the eigenvector of value k. */
  readonly vectors: readonly Float64Array[];
}

/**
 * Eigenvalues and orthonormal eigenvectors of a symmetric matrix [size, size] by cyclic Jacobi rotations; O(size^3) per sweep,
 * a handful of sweeps. The sign of a vector is such that its largest element is positive.
 */
export function symmetricEigen(matrix: ArrayLike<number>, size: number): Eigen {
  const a = Float64Array.from(matrix);
  const v = new Float64Array(size * size);
  for (let i = 0; i < size; i++) v[i * size + i] = 1;
  let scale = 0;
  for (const each of a) scale += each * each;
  for (let sweep = 0; sweep < 60; sweep++) {
    let off = 0;
    for (let p = 0; p < size; p++) for (let q = p + 1; q < size; q++) off += a[p * size + q]! ** 2;
    if (off <= 1e-26 * scale || off === 0) break;
    for (let p = 0; p < size - 1; p++) for (let q = p + 1; q < size; q++) rotate(a, v, size, p, q);
  }
  const order = Array.from({ length: size }, (_, at) => at).sort((i, j) => a[j * size + j]! - a[i * size + i]!);
  const vectors = order.map((column) => {
    const vector = Float64Array.from({ length: size }, (_, row) => v[row * size + column]!);
    let most = 0;
    for (const each of vector) if (Math.abs(each) > Math.abs(most) + 1e-12) most = each;
    return most < 0 ? vector.map((each) => -each) : vector;
  });
  return { values: Float64Array.from(order, (at) => a[at * size + at]!), vectors };
}

/** One rotation that makes a[p, q] zero, of the symmetric `a` and of the columns of `v`. */
function rotate(a: Float64Array, v: Float64Array, size: number, p: number, q: number): void {
  const apq = a[p * size + q]!;
  if (apq === 0) return;
  const theta = (a[q * size + q]! - a[p * size + p]!) / (2 * apq);
  const t = (theta >= 0 ? 1 : -1) / (Math.abs(theta) + Math.hypot(theta, 1));
  const c = 1 / Math.hypot(t, 1);
  const s = t * c;
  for (let k = 0; k < size; k++) {
    const [kp, kq] = [a[k * size + p]!, a[k * size + q]!];
    a[k * size + p] = c * kp - s * kq;
    a[k * size + q] = s * kp + c * kq;
  }
  for (let k = 0; k < size; k++) {
    const [pk, qk] = [a[p * size + k]!, a[q * size + k]!];
    a[p * size + k] = c * pk - s * qk;
    a[q * size + k] = s * pk + c * qk;
    const [vp, vq] = [v[k * size + p]!, v[k * size + q]!];
    v[k * size + p] = c * vp - s * vq;
    v[k * size + q] = s * vp + c * vq;
  }
}
