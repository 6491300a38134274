/** Rules for integrals over [0, 1]. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { QuadratureName } from '../../src/programs/index.ts';
import { QUADRATURES, quadrature } from '../../src/programs/index.ts';

const steps = fc.integer({ min: 2, max: 200 });
const coefficients = (degree: number) =>
  fc.array(fc.double({ min: -3, max: 3, noNaN: true }), { minLength: 1, maxLength: degree + 1 });

const polynomial = (terms: readonly number[], x: number) => terms.reduceRight((sum, term) => sum * x + term, 0);
const exact = (terms: readonly number[]) => terms.reduce((sum, term, power) => sum + term / (power + 1), 0);
function integrate(rule: QuadratureName, count: number, f: (x: number) => number): number {
  const { alphas, weights } = quadrature(rule, count);
  return alphas.reduce((sum, alpha, index) => sum + weights[index]! * f(alpha), 0);
}

describe.each(QUADRATURES)('%s', (rule) => {
  it('has as many points as asked, in order, within the path', () => {
    fc.assert(
      fc.property(steps, (count) => {
        const { alphas, weights } = quadrature(rule, count);
        expect([alphas.length, weights.length]).toEqual([count, count]);
        expect(alphas.every((alpha, index) => alpha >= 0 && alpha <= 1 && alpha > (alphas[index - 1] ?? -1))).toBe(
          true,
        );
      }),
    );
  });

  it('has positive weights that sum to 1', () => {
    fc.assert(
      fc.property(steps, (count) => {
        const { weights } = quadrature(rule, count);
        expect(weights.every((weight) => weight > 0)).toBe(true);
        expect(weights.reduce((sum, weight) => sum + weight, 0)).toBeCloseTo(1, 12);
      }),
    );
  });

  it('comes to the integral of any polynomial', () => {
    const order = { 'gauss-legendre': Infinity, trapezoid: 2, midpoint: 2, left: 1, right: 1 }[rule];
    fc.assert(
      fc.property(coefficients(4), fc.integer({ min: 8, max: 128 }), (terms, count) => {
        const error = Math.abs(integrate(rule, count, (x) => polynomial(terms, x)) - exact(terms));
        // At most 3 * (1 + 2 + 3 + 4) steep and 3 * (2 + 6 + 12) bent.
        expect(error).toBeLessThanOrEqual(order === Infinity ? 1e-11 : (60 / (count - 1) ** order) * 0.5 + 1e-12);
      }),
    );
  });
});

describe('the degree a rule is exact to', () => {
  it('is 2n - 1 for gauss-legendre', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 24 }),
        fc.infiniteStream(fc.double({ min: -1, max: 1, noNaN: true })),
        (n, draw) => {
          const terms = [...draw.take(2 * n)];
          expect(integrate('gauss-legendre', n, (x) => polynomial(terms, x))).toBeCloseTo(exact(terms), 10);
        },
      ),
    );
  });

  it.each(['trapezoid', 'midpoint'] as const)('is 1 for %s', (rule) => {
    fc.assert(
      fc.property(coefficients(1), steps, (terms, count) => {
        expect(integrate(rule, count, (x) => polynomial(terms, x))).toBeCloseTo(exact(terms), 10);
      }),
    );
  });
});

it('lays out a hundred thousand points at once', () => {
  const started = performance.now();
  const { alphas, weights } = quadrature('gauss-legendre', 100_000);
  expect(performance.now() - started).toBeLessThan(2000);
  expect(alphas).toHaveLength(100_000);
  expect(weights.reduce((sum, weight) => sum + weight, 0)).toBeCloseTo(1, 12);
  expect(alphas.every((alpha, index) => alpha > (alphas[index - 1] ?? 0))).toBe(true);
  expect(integrate('gauss-legendre', 2500, (x) => Math.exp(x))).toBeCloseTo(Math.E - 1, 12);
});
