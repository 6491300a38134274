/** Probabilities as small numbers, for pages. */
import type { Scores } from '../explanation/index.ts';

/** Probabilities of a block as sixteen-bit numbers: 65535 is 1. Dims [heads, queries, keys]. */
export interface PackedBlock {
  readonly heads: number;
  readonly queries: number;
  readonly keys: number;
  readonly data: Uint16Array;
}

/** Takes [batch, heads, queries, keys], of which the first, or [.., queries, keys] as one or several heads. */
export function pack({ dims, data }: Scores): PackedBlock {
  const [queries, keys] = [dims.at(-2)!, dims.at(-1)!];
  const heads = dims.length >= 3 ? dims.at(-3)! : 1;
  const packed = new Uint16Array(heads * queries * keys);
  for (let i = 0; i < packed.length; i++) packed[i] = Math.round(Math.min(1, Math.max(0, data[i]!)) * 65535);
  return { heads, queries, keys, data: packed };
}

/** Each head shrunk: of every square of `cells` queries and keys the greatest of the probabilities, 255 for 1. */
export function shrink({ heads, queries, keys, data }: PackedBlock, cells: number): Uint8Array {
  const [rows, columns] = [Math.ceil(queries / cells), Math.ceil(keys / cells)];
  const small = new Uint16Array(heads * rows * columns);
  const column = Int32Array.from({ length: keys }, (_, key) => Math.floor(key / cells));
  for (let head = 0; head < heads; head++)
    for (let query = 0; query < queries; query++) {
      const from = (head * queries + query) * keys;
      const to = (head * rows + Math.floor(query / cells)) * columns;
      for (let key = 0; key < keys; key++) {
        const cell = to + column[key]!;
        if (data[from + key]! > small[cell]!) small[cell] = data[from + key]!;
      }
    }
  return Uint8Array.from(small, (value) => Math.round(value / 257));
}
