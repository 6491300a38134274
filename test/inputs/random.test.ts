import { expect, test } from 'vitest';
import { drawNumbers, normalRandom, seededNoise, seededRandom } from '../../src/inputs/index.ts';

const COUNT = 400_000;
const numbers = drawNumbers(COUNT, normalRandom(seededRandom(3)));

test('normal numbers are distributed as the bell says, tails included', () => {
  // P(X < x) of the standard normal distribution.
  const known = [
    [-3.5, 2.3263e-4],
    [-2, 0.02275013],
    [-1, 0.15865525],
    [-0.25, 0.40129367],
    [0, 0.5],
    [0.6, 0.72574688],
    [1.5, 0.9331928],
    [3, 0.9986501],
    [4, 0.99996833],
  ] as const;
  for (const [x, probability] of known) {
    const share = numbers.filter((each) => each < x).length / COUNT;
    const deviation = Math.sqrt((probability * (1 - probability)) / COUNT);
    expect(Math.abs(share - probability)).toBeLessThan(4 * deviation);
  }
});

test('neighbours in a stream of normal numbers do not go together', () => {
  let [product, squares] = [0, 0];
  for (let at = 1; at < COUNT; at++) {
    product += numbers[at]! * numbers[at - 1]!;
    squares += numbers[at]! ** 2 * numbers[at - 1]! ** 2 - 1;
  }
  expect(Math.abs(product / COUNT)).toBeLessThan(4 / Math.sqrt(COUNT));
  expect(Math.abs(squares / COUNT)).toBeLessThan(16 / Math.sqrt(COUNT));
});

test('the same seed gives the same normal numbers, another seed others', () => {
  const of = (seed: number) => drawNumbers(8, normalRandom(seededRandom(seed)));
  expect(of(1)).toEqual(of(1));
  expect(of(1)).not.toEqual(of(2));
});

/** sfc32 as it is published, word by word, from two words. */
function sfc32(a: number, b: number): () => number {
  let [p, q, r, counter] = [BigInt(a), BigInt(b), 0x9e3779b9n, 1n];
  const next = () => {
    const word = BigInt.asUintN(32, p + q + counter);
    counter = BigInt.asUintN(32, counter + 1n);
    p = q ^ (q >> 9n);
    q = BigInt.asUintN(32, r + (r << 3n));
    r = BigInt.asUintN(32, BigInt.asUintN(32, (r << 21n) | (r >> 11n)) + word);
    return Number(word) / 2 ** 32;
  };
  for (let warmUp = 0; warmUp < 12; warmUp++) next();
  return next;
}

test.each([0, 7, -5, 2 ** 40 + 3, Number.MAX_SAFE_INTEGER])(
  'a seed gives the numbers of the published generator: %d',
  (seed) => {
    const expected = sfc32(seed >>> 0, Math.floor(seed / 2 ** 32) >>> 0);
    expect(drawNumbers(500, seededRandom(seed))).toEqual(drawNumbers(500, expected));
  },
);

test('the noise of a row is the normal stream of the seed and the row’s name, however it is drawn', () => {
  // FNV-1a of "3/pixels".
  const name = 0x2dc4b9ea;
  const expected = drawNumbers(20_000, normalRandom(sfc32(7, name)));
  expect(seededNoise(7)(3, 'pixels', 20_000)).toEqual(expected);
});
