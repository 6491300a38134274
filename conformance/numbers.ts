/** Numbers of tensors. */
import type { DenseTensor } from '../src/onnx/index.ts';
import { fromBfloat16, fromFloat16 } from '../src/onnx/index.ts';

export function numbersOf({ type, data }: DenseTensor): number[] {
  if (type === 'float16') return Array.from(data as Uint16Array, fromFloat16);
  if (type === 'bfloat16') return Array.from(data as Uint16Array, fromBfloat16);
  return Array.from(data as ArrayLike<number | bigint>, Number);
}

/** The largest difference of two lists relative to the largest of the first; equal infinities and NaNs are no difference. */
export function maxDifference(a: readonly number[], b: readonly number[]): number {
  let [scale, worst] = [1, 0];
  for (const value of a) if (Number.isFinite(value)) scale = Math.max(scale, Math.abs(value));
  for (let at = 0; at < a.length; at++) {
    const [left, right] = [a[at]!, b[at]!];
    if (Object.is(left, right) || left === right) continue;
    const difference = Math.abs(left - right);
    worst = Math.max(worst, Number.isNaN(difference) ? Infinity : difference / scale);
  }
  return worst;
}

export const dot = (a: readonly number[], b: readonly number[]) =>
  a.reduce((sum, value, at) => sum + value * b[at]!, 0);
export const norm = (a: readonly number[]) => Math.sqrt(dot(a, a));

/** Numbers in [-1, 1), the same for the same text (mulberry32). */
export function chance(text: string): () => number {
  let state = 2166136261;
  for (const letter of text) state = Math.imul(state ^ letter.codePointAt(0)!, 16777619) >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let word = Math.imul(state ^ (state >>> 15), state | 1);
    word ^= word + Math.imul(word ^ (word >>> 7), word | 61);
    return ((word ^ (word >>> 14)) >>> 0) * 2 ** -31 - 1;
  };
}
