/**
 * Writes reference/attribution/drawn.json: what this product's seeded samplers draw, so that surrogates.py can give other
 * packages the same samples.
 *
 *     npx tsx reference/attribution/draw.ts
 */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { seededRandom } from '../../src/inputs/core.ts';
import type { Coalition } from '../../src/programs/index.ts';
import { randomOrder } from '../../src/programs/index.ts';
import { complement, kernelCoalitions, limeHalves } from '../../src/surrogates/sampling.ts';

const SEED = 0;
const bits = (coalition: Coalition) => coalition.join('');
const orders = (count: number, many: number) => {
  const random = seededRandom(SEED);
  return Array.from({ length: many }, () => randomOrder(count, random));
};
/** Players, samples of Kernel SHAP and of LIME, orders: too few for any method to run all coalitions instead. */
const SIZES = [
  [7, 60, 100, 3],
  [32, 400, 600, 5],
] as const;

const drawn = Object.fromEntries(
  SIZES.map(([count, kernel, lime, many]) => [
    count,
    {
      kernel: kernelCoalitions(count, kernel / 2, seededRandom(SEED)).flatMap((each) => [
        bits(each),
        bits(complement(each)),
      ]),
      lime: limeHalves(count, lime, SEED).flatMap((half) => Array.from(half, bits)),
      orders: orders(count, many),
    },
  ]),
);
writeFileSync(path.join(import.meta.dirname, 'drawn.json'), `${JSON.stringify(drawn)}\n`);
