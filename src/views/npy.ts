import type { Scores } from '../explanation/index.ts';

/** Scores as the bytes of a NumPy .npy file (version 1.0), little-endian float32 or float64 in C order. */
export function encodeNpy({ dims, data }: Scores): Uint8Array {
  const wide = data instanceof Float64Array;
  const shape = dims.length === 1 ? `(${dims[0]},)` : `(${dims.join(', ')})`;
  const text = `{'descr': '<f${wide ? 8 : 4}', 'fortran_order': False, 'shape': ${shape}, }`;
  // Magic, version and length take 10 bytes; the data begins at a multiple of 64, after a line break.
  const padded = `${text}${' '.repeat((64 - ((10 + text.length + 1) % 64)) % 64)}\n`;
  const bytes = new Uint8Array(10 + padded.length + data.length * (wide ? 8 : 4));
  bytes.set([0x93, ...new TextEncoder().encode('NUMPY'), 1, 0, padded.length & 255, padded.length >> 8]);
  bytes.set(new TextEncoder().encode(padded), 10);
  const view = new DataView(bytes.buffer, 10 + padded.length);
  data.forEach((value: number, at: number) =>
    wide ? view.setFloat64(at * 8, value, true) : view.setFloat32(at * 4, value, true),
  );
  return bytes;
}
