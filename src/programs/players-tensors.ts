import { sizeOf } from '../onnx/index.ts';
import type { InputUnits } from './players.ts';

/** Every element by itself. */
export function tensorElements(dims: readonly number[]): InputUnits {
  const size = sizeOf(dims);
  return {
    units: Int32Array.from({ length: size }, (_, index) => index),
    places: Array.from({ length: size }, (_, index) => [index]),
  };
}
