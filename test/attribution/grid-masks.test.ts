/** The soft masks of RISE against what the paper says of them, place by place. */
import { expect, test } from 'vitest';
import { addMask, drawMask, enlargeMask, sumOfMasks } from '../../src/attribution/methods/grid-masks.ts';
import type { MaskSums } from '../../src/attribution/methods/grid-masks.ts';
import { seededRandom } from '../../src/inputs/index.ts';

test.each([
  ['a square picture', { height: 24, width: 24, cells: 7, keep: 0.5 }],
  ['a wide one', { height: 10, width: 33, cells: 3, keep: 0.3 }],
  ['a plane of one line', { height: 1, width: 9, cells: 7, keep: 0.5 }],
])('a mask is its coins, enlarged bilinearly and shifted: %s', (_, grid) => {
  const { height, width, cells, keep } = grid;
  const mask = enlargeMask(grid, drawMask(grid, seededRandom(5)));
  // The same coins and shifts again, in the order they are drawn.
  const random = seededRandom(5);
  const side = height === 1 ? 0 : cells + 1;
  const coins = Array.from({ length: side * side || width }, () => Number(random() < keep));
  const [tall, wide] = [Math.ceil(height / cells), Math.ceil(width / cells)];
  const [top, left] = side === 0 ? [0, 0] : [Math.floor(random() * tall), Math.floor(random() * wide)];
  const coin = (row: number, column: number) => coins[Math.min(side - 1, row) * side + Math.min(side - 1, column)]!;
  const expected = Array.from({ length: height * width }, (_each, at) => {
    if (side === 0) return coins[at]!;
    const [y, x] = [(Math.floor(at / width) + top) / tall, ((at % width) + left) / wide];
    const [row, column] = [Math.floor(y), Math.floor(x)];
    const line = (r: number) => (1 - x + column) * coin(r, column) + (x - column) * coin(r, column + 1);
    return (1 - y + row) * line(row) + (y - row) * line(row + 1);
  });
  expect(mask.length).toBe(height * width + 1);
  expect(mask.at(-1)).toBe(1);
  expected.forEach((each, at) => expect(mask[at]).toBeCloseTo(each, 6));
});

test('masks summed by their lines are the sum of the masks', () => {
  const grid = { height: 30, width: 20, cells: 4, keep: 0.5 };
  const random = seededRandom(1);
  const sums: MaskSums = new Map();
  const expected = new Float64Array(grid.height * grid.width);
  for (let times = 1; times <= 40; times++) {
    const mask = drawMask(grid, random);
    addMask(sums, mask, times);
    const points = enlargeMask(grid, mask);
    expected.forEach((_, at) => (expected[at]! += times * points[at]!));
  }
  sumOfMasks(grid, sums).forEach((each, at) => expect(each / expected[at]!).toBeCloseTo(1, 6));
});
