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
  const word = oneByOne(sfc32(a, b));
  return () => (word() >>> 0) / 2 ** 32;
}

/** Fills arrays with the next words of the stream that two words make. */
type Words = (words: Int32Array) => void;

function sfc32(a: number, b: number): Words {
  let [first, second, third, counter] = [a | 0, b | 0, 0x9e3779b9 | 0, 1];
  const fill = (words: Int32Array) => {
    // In variables of its own: pictures take millions of words.
    let [p, q, r, n] = [first, second, third, counter];
    for (let at = 0; at < words.length; at++) {
      const sum = (p + q + n) | 0;
      n = (n + 1) | 0;
      p = q ^ (q >>> 9);
      q = (r + (r << 3)) | 0;
      r = (((r << 21) | (r >>> 11)) + sum) | 0;
      words[at] = sum;
    }
    [first, second, third, counter] = [p, q, r, n];
  };
  fill(new Int32Array(WARM_UP));
  return fill;
}

const WARM_UP = 12;

/** The words of a stream, of which so many are made at once. */
function oneByOne(fill: Words, atOnce = 32): () => number {
  const words = new Int32Array(atOnce);
  let at = atOnce;
  return () => {
    if (at === atOnce) {
      fill(words);
      at = 0;
    }
    return words[at++]!;
  };
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
      if (isSure(bits)) return pointOf(bits);
      const x = drawUnsure(bits, random);
      if (!Number.isNaN(x)) return x;
    }
  };
}

/** Whether the point of these bits is under the bell without looking closer, as nearly all are. */
const isSure = (bits: number): boolean => Math.abs(bits >> 7) < SURE[bits & (LAYERS - 1)]!;
const pointOf = (bits: number): number => (bits >> 7) * WIDTH[bits & (LAYERS - 1)]!;

/** The others: NaN where it is not under the bell, and more bits are needed. */
function drawUnsure(bits: number, random: Random): number {
  const layer = bits & (LAYERS - 1);
  if (layer === 0) return Math.sign(bits >> 7) * beyondTail(random);
  const x = pointOf(bits);
  const height = HEIGHT[layer]! + random() * (HEIGHT[layer - 1]! - HEIGHT[layer]!);
  return height < Math.exp(-0.5 * x * x) ? x : Number.NaN;
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
    return drawNormals(size, sfc32(seed >>> 0, hash >>> 0));
  };
}

/** That many numbers of a stream. */
export function drawNumbers(size: number, random: Random): Float32Array {
  const numbers = new Float32Array(size);
  for (let at = 0; at < size; at++) numbers[at] = random();
  return numbers;
}

/** That many numbers of the normal stream of some words: those of `normalRandom`, in one loop. */
function drawNormals(size: number, words: Words): Float32Array {
  const word = oneByOne(words, 1024);
  const random = () => (word() >>> 0) / 2 ** 32;
  const numbers = new Float32Array(size);
  for (let at = 0; at < size;) {
    const bits = word();
    const x = isSure(bits) ? pointOf(bits) : drawUnsure(bits, random);
    if (!Number.isNaN(x)) numbers[at++] = x;
  }
  return numbers;
}
