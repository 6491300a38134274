/** Seeded chance: the same seed gives the same numbers on every machine. */

/** A stream of uniform numbers in [0, 1). */
export type Random = () => number;

/**
 * A stream of uniform numbers in [0, 1) with 32 bits each (sfc32, a small chaotic counter generator that passes PractRand).
 * @param seed any finite number; its lower 53 bits decide the stream.
 */
export function seededRandom(seed: number): Random {
  let a = seed >>> 0;
  let b = Math.floor(seed / 2 ** 32) >>> 0;
  let c = 0x9e3779b9;
  let counter = 1;
  const next = (): number => {
    const sum = (a + b + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = ((c << 21) | (c >>> 11)) + sum;
    return sum >>> 0;
  };
  for (let warmUp = 0; warmUp < 12; warmUp++) next();
  return () => next() / 2 ** 32;
}

/** Standard normal numbers from a uniform stream (Box-Muller, both of each pair). */
export function normalRandom(random: Random): Random {
  let second: number | undefined;
  return () => {
    if (second !== undefined) {
      const kept = second;
      second = undefined;
      return kept;
    }
    const radius = Math.sqrt(-2 * Math.log(1 - random()));
    const angle = 2 * Math.PI * random();
    second = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  };
}

/** That many numbers of a stream. */
export function drawNumbers(size: number, random: Random): Float32Array {
  const numbers = new Float32Array(size);
  for (let at = 0; at < size; at++) numbers[at] = random();
  return numbers;
}
