/** The neuron view: what makes one query look at its keys, element by element, after BertViz (Vig 2019). */
import { formatNumber } from '../format.ts';
import { showControls } from '../escape.ts';
import { label, tone } from '../svg.ts';
import type { Drawing } from '../svg.ts';
import { at } from '../svg.ts';
import { ems, truncate } from '../width.ts';
import type { Frame, Matrix } from './matrix.ts';
import { matrixPicture, scaleOf } from './matrix.ts';
import type { AttentionWords } from './words.ts';

export interface NeuronParts {
  readonly token: string;
  readonly keys: readonly string[];
  /** [size] */
  readonly query: ArrayLike<number>;
  /** [keys, size] */
  readonly keyVectors: ArrayLike<number>;
  /** [keys] */
  readonly probabilities: ArrayLike<number>;
}

/** The query's vector above; for each key its vector, the product with the query, its sum and the probability. */
export async function neuronView(
  { token, keys, query, keyVectors, probabilities }: NeuronParts,
  words: AttentionWords,
  frame: Frame & { readonly width: number },
): Promise<Drawing> {
  const size = query.length;
  const strip = (data: ArrayLike<number>): Matrix => ({ rows: 1, columns: size, data });
  const vectors = keys.map((_, key) =>
    Float32Array.from({ length: size }, (_each, at2) => keyVectors[key * size + at2]!),
  );
  const products = vectors.map((vector) => vector.map((each, index) => each * query[index]!));
  const scale = scaleOf([strip(query), ...vectors.map(strip)]);
  const productScale = scaleOf(products.map(strip));
  const text = (name: string) => truncate(showControls(name), 8, ems);
  const left = 100;
  const wide = (frame.width - left - 150) / 2;
  const ink = { size: 12, attributes: tone('ink', frame.theme) } as const;
  const muted = { size: 11, attributes: tone('muted', frame.theme) } as const;
  const picture = (data: ArrayLike<number>, own: typeof scale) =>
    matrixPicture(strip(data), own, { ...frame, width: wide, height: 13 });
  const columns = [left, left + wide + 12, left + 2 * wide + 24] as const;
  const parts = [
    label(columns[0], 11, words.query, muted),
    label(left - 8, 31, text(token), { ...ink, anchor: 'end', weight: 600 }),
    at(columns[0], 20, await picture(query, scale)),
    label(columns[0], 56, words.key, muted),
    label(columns[1], 56, words.product, muted),
    label(columns[2], 56, 'Σ', muted),
    label(columns[2] + 116, 56, 'p', { ...muted, anchor: 'end' }),
  ];
  for (const [key, name] of keys.entries()) {
    const y = 64 + key * 18;
    let sum = 0;
    for (const each of products[key]!) sum += each;
    parts.push(
      label(left - 8, y + 11, text(name), { ...ink, anchor: 'end' }),
      at(columns[0], y, await picture(vectors[key]!, scale)),
      at(columns[1], y, await picture(products[key]!, productScale)),
      label(columns[2] + 44, y + 11, formatNumber(sum), { ...ink, anchor: 'end' }),
      label(columns[2] + 116, y + 11, formatNumber(probabilities[key]!), { ...ink, anchor: 'end' }),
    );
  }
  return { width: frame.width, height: 64 + keys.length * 18, body: parts.join('') };
}
