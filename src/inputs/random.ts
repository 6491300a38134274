/** Seeded chance: the same seed gives the same numbers on every machine. */

/** A stream of uniform numbers in [0, 1). */
export type Random = () => number;

/**
 * A stream of uniform numbers in [0, 1) with 32 bits each (sfc32, a small chaotic counter generator that passes PractRand).
 * @param seed any finite number; its lower 53 bits decide the stream.
 */
export function seededRandom(seed: number): Random {
  return stream(seed >>> 0, Math.floor(seed / 2 ** 32) >>> 0);
}

/** The stream of two words of 32 bits. */
function stream(a: number, b: number): Random {
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

/** Layers of equal area that the half bell is cut into, and where the lowest one's tail begins. */
const LAYERS = 128;
const TAIL = 3.442619855899;
const AREA = 9.91256303526217e-3;
/** Values of a signed 25-bit number are on either side of it. */
const HALF = 2 ** 24;

/** Of each layer: up to where a point is surely under the bell, its width by unit, and the bell's height at its edge. */
const [SURE, WIDTH, HEIGHT] = zigguratTables();

function zigguratTables(): readonly [Float64Array, Float64Array, Float64Array] {
  const [sure, width, height] = [new Float64Array(LAYERS), new Float64Array(LAYERS), new Float64Array(LAYERS)];
  const bell = (x: number) => Math.exp(-0.5 * x * x);
  const lowest = AREA / bell(TAIL);
  [sure[0], width[0], height[0]] = [(TAIL / lowest) * HALF, lowest / HALF, 1];
  [width[LAYERS - 1], height[LAYERS - 1]] = [TAIL / HALF, bell(TAIL)];
  let edge = TAIL;
  for (let layer = LAYERS - 2; layer >= 1; layer--) {
    const next = Math.sqrt(-2 * Math.log(AREA / edge + bell(edge)));
    [sure[layer + 1], width[layer], height[layer]] = [(next / edge) * HALF, next / HALF, bell(next)];
    edge = next;
  }
  return [sure, width, height];
}

/**
 * Standard normal numbers from a uniform stream, by the ziggurat of Marsaglia & Tsang 2000, https://doi.org/10.18637/jss.v005.i08:
 * millions are drawn for noisy pictures, and it is several times as fast as Box-Muller. Layer and place come from different
 * bits of a number (Doornik 2005).
 */
export function normalRandom(random: Random): Random {
  return () => {
    for (;;) {
      const bits = (random() * 2 ** 32) | 0;
      const layer = bits & (LAYERS - 1);
      const place = bits >> 7;
      const x = place * WIDTH[layer]!;
      if (Math.abs(place) < SURE[layer]!) return x;
      if (layer === 0) return Math.sign(place) * beyondTail(random);
      const height = HEIGHT[layer]! + random() * (HEIGHT[layer - 1]! - HEIGHT[layer]!);
      if (height < Math.exp(-0.5 * x * x)) return x;
    }
  };
}

/** A number from the bell's tail (Marsaglia 1964). */
function beyondTail(random: Random): number {
  for (;;) {
    const x = -Math.log(1 - random()) / TAIL;
    const y = -Math.log(1 - random());
    if (2 * y > x * x) return TAIL + x;
  }
}

/**
 * Standard normal numbers for each input in each row of a run: a stream for each, so that they are the same however many rows
 * run together, and whichever order they are asked for in.
 */
export function seededNoise(seed: number): (row: number, input: string, size: number) => Float32Array {
  return (row, input, size) => {
    // FNV-1a of the input's name and the row; the seed is the other half of the stream's.
    let hash = 0x811c9dc5;
    for (const character of `${row}/${input}`) hash = Math.imul(hash ^ character.codePointAt(0)!, 0x01000193);
    return drawNumbers(size, normalRandom(stream(seed >>> 0, hash >>> 0)));
  };
}

/** That many numbers of a stream. */
export function drawNumbers(size: number, random: Random): Float32Array {
  const numbers = new Float32Array(size);
  for (let at = 0; at < size; at++) numbers[at] = random();
  return numbers;
}
