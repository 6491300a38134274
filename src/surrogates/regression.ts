/** Weighted linear regression with a penalty, from sums over the samples. */
import { solve } from './linear.ts';

/** Weighted sums over samples that a regression needs: as large as its matrix, however many samples there are. */
export class Moments {
  readonly count: number;
  weight = 0;
  /** Sums of w x, w y x and w y^2, and of w x x^T in its lower triangle; y less the first answer, so that small changes keep their digits. */
  readonly rows: Float64Array;
  readonly answers: Float64Array;
  readonly products: Float64Array;
  answer = 0;
  squares = 0;
  #origin: number | undefined;

  /** @param count numbers in a row. */
  constructor(count: number) {
    this.count = count;
    this.rows = new Float64Array(count);
    this.answers = new Float64Array(count);
    this.products = new Float64Array(count * count);
  }

  get origin(): number {
    return this.#origin ?? 0;
  }

  add(row: ArrayLike<number>, answer: number, weight: number): void {
    this.#origin ??= answer;
    const y = answer - this.#origin;
    this.weight += weight;
    this.answer += weight * y;
    this.squares += weight * y * y;
    for (let i = 0; i < this.count; i++) {
      const left = weight * row[i]!;
      if (left === 0) continue;
      this.rows[i]! += left;
      this.answers[i]! += left * y;
      for (let j = 0; j <= i; j++) this.products[i * this.count + j]! += left * row[j]!;
    }
  }

  /** Weighted sums of products about the means: of the rows with each other, and with the answers. */
  centred(): { readonly A: Float64Array; readonly b: Float64Array } {
    const n = this.count;
    const A = new Float64Array(n * n);
    for (let i = 0; i < n; i++)
      for (let j = 0; j <= i; j++)
        A[i * n + j] = A[j * n + i] = this.products[i * n + j]! - (this.rows[i]! * this.rows[j]!) / this.weight;
    return { A, b: this.answers.map((each, at) => each - (this.rows[at]! * this.answer) / this.weight) };
  }

  /** The sums over the samples of both. */
  static join(one: Moments, other: Moments): Moments {
    const result = new Moments(one.count);
    result.#origin = one.origin;
    const shift = other.origin - one.origin;
    result.weight = one.weight + other.weight;
    result.answer = one.answer + other.answer + shift * other.weight;
    result.squares = one.squares + other.squares + 2 * shift * other.answer + shift ** 2 * other.weight;
    for (let at = 0; at < one.count; at++) {
      result.rows[at] = one.rows[at]! + other.rows[at]!;
      result.answers[at] = one.answers[at]! + other.answers[at]! + shift * other.rows[at]!;
    }
    for (let at = 0; at < one.products.length; at++) result.products[at] = one.products[at]! + other.products[at]!;
    return result;
  }
}

export interface Penalty {
  readonly model: 'ridge' | 'lasso';
  readonly alpha: number;
  /** Most coefficients that are not 0; undefined for all. */
  readonly features?: number | undefined;
}

export interface LinearFit {
  readonly coefficients: Float64Array;
  readonly intercept: number;
  /** Weighted share of the variance that the fit explains. */
  readonly r2: number;
}

/**
 * Ridge: min sum w (y - b - x c)^2 + alpha |c|^2. Lasso: min sum w (y - b - x c)^2 / (2 sum w) + alpha |c|_1. Both as in
 * scikit-learn; the intercept b is not penalised. With `features`, those a lasso takes up first, and the model on them alone.
 */
export function fitLinear(moments: Moments, { model, alpha, features }: Penalty): LinearFit {
  const { count: n, weight, rows, answer, squares, origin } = moments;
  const { A, b } = moments.centred();
  const all = squares - answer ** 2 / weight;
  const kept = features === undefined || features >= n ? undefined : lassoPath(A, b, features);
  const fit = (own: Float64Array, right: Float64Array) =>
    model === 'ridge' ? ridge(own, right, alpha) : lasso(own, right, alpha * weight);
  const coefficients = kept === undefined ? fit(A, b) : new Float64Array(n);
  if (kept !== undefined && kept.length > 0)
    fit(
      part(A, n, kept),
      Float64Array.from(kept, (at) => b[at]!),
    ).forEach((each, at) => (coefficients[kept[at]!] = each));
  let [mean, left] = [answer / weight, all];
  for (let i = 0; i < n; i++) {
    const own = coefficients[i]!;
    mean -= (rows[i]! / weight) * own;
    if (own === 0) continue;
    left -= 2 * b[i]! * own;
    for (let j = 0; j < n; j++) left += own * A[i * n + j]! * coefficients[j]!;
  }
  return { coefficients, intercept: origin + mean, r2: all > 0 ? Math.min(1, 1 - left / all) : 1 };
}

function part(A: Float64Array, n: number, kept: readonly number[]): Float64Array {
  return Float64Array.from(
    { length: kept.length ** 2 },
    (_, at) => A[kept[Math.floor(at / kept.length)]! * n + kept[at % kept.length]!]!,
  );
}

function ridge(A: Float64Array, b: Float64Array, alpha: number): Float64Array {
  const n = b.length;
  const penalised = Float64Array.from(A);
  for (let at = 0; at < n; at++) penalised[at * n + at]! += alpha;
  return solve(penalised, b) ?? new Float64Array(n);
}

/** Coordinate descent on 1/2 c^T A c - b^T c + alpha |c|_1. */
function lasso(A: Float64Array, b: Float64Array, alpha: number): Float64Array {
  const n = b.length;
  const c = new Float64Array(n);
  for (let sweep = 0; sweep < 10_000; sweep++) {
    let [change, largest] = [0, 0];
    for (let i = 0; i < n; i++) {
      const diagonal = A[i * n + i]!;
      if (diagonal === 0) continue;
      let rest = b[i]!;
      for (let j = 0; j < n; j++) if (j !== i) rest -= A[i * n + j]! * c[j]!;
      const shrunk = (Math.sign(rest) * Math.max(0, Math.abs(rest) - alpha)) / diagonal;
      change = Math.max(change, Math.abs(shrunk - c[i]!));
      largest = Math.max(largest, Math.abs(shrunk));
      c[i] = shrunk;
    }
    if (change <= 1e-10 * largest) break;
  }
  return c;
}

/**
 * The coefficients that are not 0 on the lasso's path, from the largest penalty down, before there are more than `most` of
 * them. The lime package takes the last such point of the whole path, which is another one only where coefficients go out
 * again further down. By the homotopy of least angle regression: between points where a coefficient comes in or goes out the
 * path is straight. Efron et al. 2004, https://doi.org/10.1214/009053604000000067.
 */
export function lassoPath(A: Float64Array, b: Float64Array, most: number): number[] {
  const n = b.length;
  const c = new Float64Array(n);
  const left = Float64Array.from(b);
  let penalty = left.reduce((largest, each) => Math.max(largest, Math.abs(each)), 0);
  let active = penalty > 0 ? [left.findIndex((each) => Math.abs(each) === penalty)] : [];
  let chosen: number[] = [];
  let gone = -1;
  while (penalty > 0 && active.length > 0 && active.length <= most) {
    chosen = active;
    const direction = solve(
      part(A, n, active),
      Float64Array.from(active, (at) => Math.sign(left[at]!)),
    );
    if (direction === undefined) break;
    const slope = Float64Array.from({ length: n }, (_, j) =>
      active.reduce((sum, at, index) => sum + A[j * n + at]! * direction[index]!, 0),
    );
    let [step, comes, goes] = [penalty, -1, -1];
    for (let j = 0; j < n; j++) {
      if (j === gone || active.includes(j)) continue;
      for (const reach of [(penalty - left[j]!) / (1 - slope[j]!), (penalty + left[j]!) / (1 + slope[j]!)])
        if (reach > 0 && reach < step) [step, comes] = [reach, j];
    }
    active.forEach((at, index) => {
      const reach = -c[at]! / direction[index]!;
      if (reach > 0 && reach < step) [step, comes, goes] = [reach, -1, at];
    });
    active.forEach((at, index) => (c[at]! += step * direction[index]!));
    for (let j = 0; j < n; j++) left[j]! -= step * slope[j]!;
    penalty -= step;
    if (goes >= 0) c[goes] = 0;
    gone = goes;
    active = [...active.filter((at) => at !== goes), ...(comes < 0 ? [] : [comes])];
    if (comes < 0 && goes < 0) break;
  }
  return chosen.toSorted((one, other) => one - other);
}
