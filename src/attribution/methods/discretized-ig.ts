import { UserError } from '../../onnx/index.ts';
import { defineMethod } from '../../programs/index.ts';

/** Neighbours of a word that may be the next on the way, as in the paper. */
const NEIGHBOURS = 50;

/**
 * Discretized integrated gradients for text: the way from a token to the baseline leads near the embeddings of real
 * words instead of straight through empty space. Each step goes to the neighbour of the present word that is nearest to
 * a monotone way (the paper's greedy heuristic), with coordinates that would turn back replaced by a straight step; so
 * every coordinate moves one way and the sum of gradient times step is a path integral.
 * Between words the way is straight, with `factor` points.
 * The scores sum to value - baseline value up to the points' error, which the gap shows. Needs a baseline of tokens (pad,
 * mask) and an embedding table in the file as float32.
 * Known flaw: steps between words are large, so the gap is larger than that of integrated gradients; `factor` closes it.
 * Sanyal & Ren 2021, https://arxiv.org/abs/2108.13654. Cost: `steps` times `factor` forward and backward passes, and a search through
 * the vocabulary for every word on the way.
 */
export const discretizedIg = defineMethod({
  name: 'discretized-ig',
  summary: 'integrated gradients for text on a way along the embeddings of real words',
  options: {
    steps: { kind: 'integer', default: 30, min: 1, help: 'words on the way from baseline to text' },
    factor: { kind: 'integer', default: 4, min: 1, help: 'points between one word and the next' },
  },
  usesBaseline: true,
  layers: 'none',
  async attribute(context, { steps, factor }) {
    const feature = context.features.find(({ kind }) => kind === 'tokens');
    if (feature === undefined || context.features.length > 1)
      throw new UserError('discretized-ig is for models of token ids alone');
    const { input } = feature;
    const table = context.embeddingTable(feature);
    if (table === undefined)
      throw new UserError('discretized-ig needs an embedding table in the model file as float32, and it has none');
    const { baseline } = context;
    if (baseline === 'zero') throw new UserError('discretized-ig needs a baseline of tokens, such as --baseline pad');
    const words = new Words(table.data as Float32Array, table.dims[1]!);
    const idsOf = ({ data }: { readonly data: unknown }) => Array.from(data as ArrayLike<number | bigint>, Number);
    const [text, blank] = [idsOf(context.inputs[input]!), idsOf(baseline[input]!)];
    const ways = text.map((id, place) => words.way(id, blank[place]!, steps!));
    /** All tokens at the same step of their ways, the baseline at step 0. */
    const pointAt = (step: number) => join(ways.map((way) => way[step]!));
    const last = pointAt(steps!);
    const runner = await context.open({
      rows: 'points',
      backward: { reduction: 'times-difference' },
      inputPoint: () => last,
    });
    const target = await context.target(runner);
    const count = steps! * factor!;
    /** Step and place within it, of the middle of each part of a step. */
    const at = (row: number) => [Math.floor(row / factor!), ((row % factor!) + 0.5) / factor!] as const;
    const { scores, values } = await runner.run(
      {
        weights: [...Array<number>(count).fill(1 / factor!), 0, 0],
        points: (row) => {
          if (row >= count) return row === count ? pointAt(0) : last;
          const [step, part] = at(row);
          const [from, to] = [pointAt(step), pointAt(step + 1)];
          return from.map((each, index) => each + part * (to[index]! - each));
        },
        differences: (row) => (row < count ? change(pointAt(at(row)[0]), pointAt(at(row)[0] + 1)) : last),
      },
      target,
    );
    return { scores, value: values[count + 1]!, baselineValue: values[count]!, sumsTo: 'difference' };
  },
});

function join(rows: readonly Float32Array[]): Float32Array {
  const width = rows[0]!.length;
  const result = new Float32Array(rows.length * width);
  rows.forEach((row, at) => result.set(row, at * width));
  return result;
}

const change = (from: Float32Array, to: Float32Array) => to.map((each, at) => each - from[at]!);

/** A table of embeddings with its neighbourhoods, each searched once. */
class Words {
  readonly #table: Float32Array;
  readonly #width: number;
  readonly #neighbours = new Map<number, readonly number[]>();

  constructor(table: Float32Array, width: number) {
    this.#table = table;
    this.#width = width;
  }

  /** steps + 1 points from the baseline's embedding to the word's. */
  way(word: number, blank: number, steps: number): Float32Array[] {
    const end = this.#vector(blank);
    const points = [this.#vector(word)];
    let current = word;
    for (let step = 1; step < steps; step++) {
      const here = points.at(-1)!;
      // What a straight way would do in this step: the rest in equal parts.
      const straight = here.map((each, at) => each + (end[at]! - each) / (steps - step + 1));
      let best: { readonly word: number; readonly point: Float32Array; readonly distance: number } | undefined;
      for (const candidate of this.#near(current)) {
        if (candidate === current) continue;
        const vector = this.#vector(candidate);
        const point = vector.map((each, at) => (between(each, here[at]!, end[at]!) ? each : straight[at]!));
        const distance = squaredDistance(point, vector);
        if (best === undefined || distance < best.distance) best = { word: candidate, point, distance };
      }
      points.push(best?.point ?? straight);
      current = best?.word ?? current;
    }
    return [...points, end].toReversed();
  }

  #vector(word: number): Float32Array {
    return this.#table.slice(word * this.#width, (word + 1) * this.#width);
  }

  #near(word: number): readonly number[] {
    const known = this.#neighbours.get(word);
    if (known !== undefined) return known;
    const [table, width] = [this.#table, this.#width];
    const distances = Float64Array.from({ length: table.length / width }, (_, other) => {
      let sum = 0;
      for (let at = 0; at < width; at++) sum += (table[other * width + at]! - table[word * width + at]!) ** 2;
      return sum;
    });
    const cut = Float64Array.from(distances).sort()[Math.min(NEIGHBOURS, distances.length - 1)]!;
    const near = Array.from(distances.keys()).filter((other) => distances[other]! <= cut);
    this.#neighbours.set(word, near);
    return near;
  }
}

const between = (value: number, one: number, other: number) =>
  value >= Math.min(one, other) && value <= Math.max(one, other);

function squaredDistance(left: Float32Array, right: Float32Array): number {
  let sum = 0;
  for (let at = 0; at < left.length; at++) sum += (left[at]! - right[at]!) ** 2;
  return sum;
}
