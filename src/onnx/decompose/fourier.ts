/** Fourier transforms as products with cosines and sines. */
import type { GraphBuilder } from '../builder.ts';
import { positiveAxis } from '../dims.ts';
import type { Node, ValueName } from '../model.ts';
import { intAttribute } from '../model.ts';
import type { Dim } from '../tensor.ts';
import type { Decomposition } from './decomposition.ts';
import { given } from './decomposition.ts';

interface Transform {
  /** Points of the transform. */
  readonly length: number;
  readonly inverse: boolean;
  readonly onesided: boolean;
}

/** Y_k = sum over n of X_n e^(-2 pi i n k / L) along the last axis but one; the last holds real and imaginary parts. */
function transform(b: GraphBuilder, x: ValueName, { length, inverse, onesided }: Transform): ValueName | undefined {
  const rank = b.rank(x);
  const [given, parts] = [b.dims(x)?.[rank - 2], b.dims(x)?.[rank - 1]];
  if (typeof given !== 'number' || (parts !== 1 && parts !== 2)) return undefined;
  if (inverse && onesided) return parts === 2 ? realInverse(b, x, given, length) : undefined;
  const used = Math.min(given, length);
  const cut = used === given ? x : b.slice(x, b.int64s([0]), b.int64s([used]), [rank - 2]);
  const bins = onesided ? Math.floor(length / 2) + 1 : length;
  const matrix = (f: (angle: number) => number) => {
    const values: number[] = [];
    for (let n = 0; n < used; n++)
      for (let k = 0; k < bins; k++) values.push(f((2 * Math.PI * ((n * k) % length)) / length));
    return b.constant(b.type(x), [used, bins], values);
  };
  const [cos, sin] = [matrix(Math.cos), matrix(Math.sin)];
  const part = (index: number) => b.gather(cut, b.constant('int64', [], [index]), rank - 1);
  const sign = inverse ? 1 : -1;
  const real = part(0);
  let [re, im] = [b.matmul(real, cos), b.matmul(real, sin)];
  if (sign < 0) im = b.neg(im);
  if (parts === 2) {
    const imaginary = part(1);
    const cross = b.matmul(imaginary, sin);
    re = sign < 0 ? b.add(re, cross) : b.sub(re, cross);
    im = b.add(im, b.matmul(imaginary, cos));
  }
  const whole = b.concat([b.unsqueeze(re, [rank - 1]), b.unsqueeze(im, [rank - 1])], rank - 1);
  return inverse ? b.div(whole, b.scalar(length, x)) : whole;
}

/** The real signal whose one-sided transform X is: every bin but the first and the middle one counts twice. */
function realInverse(b: GraphBuilder, x: ValueName, given: number, length: number): ValueName {
  const rank = b.rank(x);
  const bins = Math.min(given, Math.floor(length / 2) + 1);
  const cut = bins === given ? x : b.slice(x, b.int64s([0]), b.int64s([bins]), [rank - 2]);
  const matrix = (f: (angle: number) => number) => {
    const values: number[] = [];
    for (let k = 0; k < bins; k++) {
      const times = k === 0 || 2 * k === length ? 1 : 2;
      for (let n = 0; n < length; n++) values.push((times * f((2 * Math.PI * ((n * k) % length)) / length)) / length);
    }
    return b.constant(b.type(x), [bins, length], values);
  };
  const part = (index: number) => b.gather(cut, b.constant('int64', [], [index]), rank - 1);
  const signal = b.sub(b.matmul(part(0), matrix(Math.cos)), b.matmul(part(1), matrix(Math.sin)));
  return b.unsqueeze(signal, [rank - 1]);
}

const dft: Decomposition = (b, node) => {
  const x = node.inputs[0]!;
  const rank = b.rank(x);
  const axis = dftAxis(b, node);
  if (axis === undefined) return undefined;
  const at = positiveAxis(axis, rank);
  const known = b.dims(x)?.[at];
  const asked = given(node, 1);
  const whole = (bins: Dim) =>
    typeof bins === 'number' && intAttribute(node, 'inverse', 0) === 1 && intAttribute(node, 'onesided', 0) === 1
      ? 2 * (bins - 1)
      : bins;
  const length = asked ? b.numbers(asked)?.[0] : whole(known);
  if (typeof length !== 'number') return undefined;
  const order = Array.from({ length: rank }, (_, index) => index);
  // Exchanging two axes is its own inverse.
  [order[at], order[rank - 2]] = [rank - 2, at];
  const inverse = intAttribute(node, 'inverse', 0) === 1;
  const onesided = intAttribute(node, 'onesided', 0) === 1;
  const y = transform(b, b.transpose(x, order), { length, inverse, onesided });
  return y === undefined ? undefined : [b.transpose(y, order)];
};

/** An attribute up to opset 19, an input with another default since. */
function dftAxis(b: GraphBuilder, node: Node): number | undefined {
  if (b.opset < 20) return intAttribute(node, 'axis', 1);
  const input = given(node, 2);
  return input ? b.numbers(input)?.[0] : -2;
}

/** Windowed frames of the signal, each transformed. */
const stft: Decomposition = (b, node) => {
  const [signal, stepInput] = [node.inputs[0]!, node.inputs[1]!];
  const window = given(node, 2);
  const [step, length] = [b.numbers(stepInput)?.[0], b.dims(signal)?.[1]];
  const size = given(node, 3) ? b.numbers(node.inputs[3]!)?.[0] : window && b.dims(window)?.[0];
  if (typeof step !== 'number' || typeof length !== 'number' || typeof size !== 'number') return undefined;
  const frames = Math.floor((length - size) / step) + 1;
  const positions = Array.from({ length: frames * size }, (_, at) => Math.floor(at / size) * step + (at % size));
  const whole = b.rank(signal) === 2 ? b.unsqueeze(signal, [2]) : signal;
  const framed = b.gather(whole, b.constant('int64', [frames, size], positions), 1);
  const windowed = window ? b.mul(framed, b.unsqueeze(window, [1])) : framed;
  const onesided = intAttribute(node, 'onesided', 1) === 1;
  const y = transform(b, windowed, { length: size, inverse: false, onesided });
  return y === undefined ? undefined : [y];
};

export const fourierFamily = { DFT: dft, STFT: stft } satisfies Readonly<Record<string, Decomposition>>;
