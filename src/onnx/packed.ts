/** Integers of fewer than eight bits, several in a byte. */
import type { GraphBuilder } from './builder.ts';
import type { ValueName } from './model.ts';

/** Each byte as the integers it holds, the lowest first, along a new last axis. */
export function unpackIntegers(b: GraphBuilder, bytes: ValueName, bits: number): ValueName {
  if (bits === 8) return b.unsqueeze(bytes, [b.rank(bytes)]);
  const shifts = Array.from({ length: 8 / bits }, (_, index) => index * bits);
  const wide = b.cast(b.unsqueeze(bytes, [b.rank(bytes)]), 'int32');
  const divisors = b.constant(
    'int32',
    [shifts.length],
    shifts.map((shift) => 2 ** shift),
  );
  const base = b.constant('int32', [], [2 ** bits]);
  // Shifting right is a division, the lowest bits are the rest of one.
  const shifted = b.div(wide, divisors);
  return b.sub(shifted, b.mul(b.div(shifted, base), base));
}
