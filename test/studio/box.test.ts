/** Where a box on a picture goes by keyboard. */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { boxAfterKey, readBox, writeBox } from '../../studio/src/rooms/images/box.ts';

const MIDDLE = { left: 0.4, top: 0.4, right: 0.6, bottom: 0.6 };
const KEYS = ['ArrowLeft', 'ArrowRight', 'ArrowUp', 'ArrowDown'] as const;

test('arrow keys move a box, and with Shift its right or lower edge', () => {
  expect(boxAfterKey(MIDDLE, 'ArrowLeft', false)).toEqual({ left: 0.38, top: 0.4, right: 0.58, bottom: 0.6 });
  expect(boxAfterKey(MIDDLE, 'ArrowDown', true)).toEqual({ ...MIDDLE, bottom: 0.62 });
  expect(boxAfterKey(MIDDLE, 'ArrowLeft', true)).toEqual({ ...MIDDLE, right: 0.58 });
  expect(boxAfterKey(MIDDLE, 'x', false)).toBeUndefined();
});

test('whatever is pressed, the box stays in the picture and in the address', () => {
  const place = fc.tuple(fc.double({ min: 0, max: 0.9, noNaN: true }), fc.double({ min: 0.01, max: 0.1, noNaN: true }));
  const key = fc.tuple(fc.constantFrom(...KEYS), fc.boolean());
  fc.assert(
    fc.property(place, place, fc.array(key, { maxLength: 80 }), ([left, width], [top, height], pressed) => {
      let box = { left, top, right: left + width, bottom: top + height };
      for (const [name, shift] of pressed) box = boxAfterKey(box, name, shift)!;
      expect(box.left).toBeGreaterThanOrEqual(0);
      expect(box.right).toBeLessThanOrEqual(1 + 1e-12);
      expect(box.top).toBeGreaterThanOrEqual(0);
      expect(box.bottom).toBeLessThanOrEqual(1 + 1e-12);
      expect(readBox(writeBox(box))).toBeDefined();
    }),
  );
});
