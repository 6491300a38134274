import type { Scores } from '../../../explanation/index.ts';

/** A map [1, h, w] as height x width numbers, row by row: bilinear with edges on edges, or the nearest cell. */
export function enlarge({ dims, data }: Scores, height: number, width: number, nearest: boolean): Float32Array {
  const [rows, columns] = [dims[1]!, dims[2]!];
  const result = new Float32Array(height * width);
  const across = Array.from({ length: width }, (_, x) => place(x, width, columns, nearest));
  for (let y = 0; y < height; y++) {
    const [top, bottom, down] = place(y, height, rows, nearest);
    for (let x = 0; x < width; x++) {
      const [left, right, along] = across[x]!;
      const at = (row: number, column: number) => data[row * columns + column]!;
      result[y * width + x] =
        (1 - down) * ((1 - along) * at(top, left) + along * at(top, right)) +
        down * ((1 - along) * at(bottom, left) + along * at(bottom, right));
    }
  }
  return result;
}

/** The two cells around a place of the larger grid, and how far it is to the second. */
function place(at: number, size: number, cells: number, nearest: boolean): readonly [number, number, number] {
  if (nearest) {
    const cell = Math.min(cells - 1, Math.floor((at * cells) / size));
    return [cell, cell, 0];
  }
  const exact = Math.min(cells - 1, Math.max(0, ((at + 0.5) * cells) / size - 0.5));
  const first = Math.floor(exact);
  return [first, Math.min(cells - 1, first + 1), exact - first];
}
