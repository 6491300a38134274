/**
 * The input's gradient of convolutions with strides, for onnxruntime's CPU, whose transposed convolutions are slow: they run in the
 * plain layout, and what they add up in one thread.
 */
import { int, ints } from '../../onnx/index.ts';
import type { GraphBuilder, Node, ValueName } from '../../onnx/index.ts';
import type { Rule } from '../rule.ts';
import { GRADIENT_RULES } from '../rules/index.ts';
import { flipKernel, geometry } from '../rules/convolution.ts';
import { canBeBlocked, spatial, stuff } from './blocked-layout.ts';

export const conv: Rule = (b, node, gradients, context) => {
  const otherwise = (GRADIENT_RULES['Conv'] as Rule)(b, node, gradients, context);
  const [x, w, dY] = [node.inputs[0]!, node.inputs[1]!, gradients[0]];
  const strided = dY === undefined ? undefined : stridedInput(b, node, x, w, dY);
  return strided === undefined ? otherwise : [strided, ...otherwise.slice(1)];
};

/** Of a depthwise or 1 x 1 convolution by zeros between the elements of dY, of others by phases. */
function stridedInput(b: GraphBuilder, node: Node, x: ValueName, w: ValueName, dY: ValueName) {
  const [from, to, [outputs, perGroup]] = [spatial(b, x), spatial(b, dY), b.dims(w) ?? []];
  const constant = b.isConstant(w) && typeof outputs === 'number' && typeof perGroup === 'number';
  if (from === undefined || to === undefined || !constant || !canBeBlocked(b, x) || !canBeBlocked(b, dY))
    return undefined;
  const g = geometry(b, node);
  const [down, right] = g.strides as [number, number];
  if (g.kernel === undefined || (down === 1 && right === 1) || g.dilations.some((each) => each !== 1)) return undefined;
  const stuffed = [to[0] * down, to[1] * right] as const;
  const whole = stuffed[0] === from[0] && stuffed[1] === from[1];
  const unit = { ...g, strides: [1, 1] };
  if (g.kernel.every((size) => size === 1) && g.pads.every((pad) => pad === 0) && g.group === 1) {
    if (!whole) return undefined;
    const thin = b.dims(dY)!.map((dim, axis) => (axis === 1 ? perGroup : dim));
    return () => stuff(b, b.conv(dY, flipKernel(b, w, g.kernel!, g), unit, thin), [down, right]);
  }
  if (g.group === 1) {
    const [rows, columns] = g.kernel.map((size, axis) => phases(size, g.strides[axis]!, g.pads[axis]!));
    return whole && rows && columns ? () => byPhases(b, x, w, dY, [rows, columns]) : undefined;
  }
  if (perGroup !== 1 || outputs !== g.group) return undefined;
  const begins = g.kernel.map((size, axis) => size - 1 - g.pads[axis]!);
  const ends = g.kernel.map((size, axis) => from[axis]! - stuffed[axis]! - begins[axis]! + size - 1);
  if ([...begins, ...ends].some((pad) => pad < 0)) return undefined;
  const pads = [...begins, ...ends];
  return () => b.conv(stuff(b, dY, [down, right]), flipKernel(b, w, g.kernel!, g), { ...unit, pads }, b.dims(x));
}

/** Along one axis, the taps that reach the elements of one phase: the last of them, and how many elements of dY lie around. */
interface Phase {
  readonly last: number;
  readonly before: number;
  readonly after: number;
}

/**
 * Element s i + a of the input got tap t from element i + (a + pad - t) / s of the output, where that is whole: for each phase a
 * every s-th tap. Undefined where a phase has none, or reads elements that a padding can't give.
 */
function phases(size: number, stride: number, pad: number): readonly Phase[] | undefined {
  const found = Array.from({ length: stride }, (_, phase) => {
    const taps = Array.from({ length: size }, (_, tap) => tap).filter((tap) => (phase + pad - tap) % stride === 0);
    const [first, last] = [taps[0] ?? 0, taps.at(-1) ?? -1];
    return { last, before: (last - phase - pad) / stride, after: (phase + pad - first) / stride };
  });
  return found.every(({ last, before, after }) => last >= 0 && before >= 0 && after >= 0) ? found : undefined;
}

/**
 * Each phase is a convolution of dY without strides, in blocks. They are put side by side by a transposed one with a kernel as large
 * as its strides, which moves the phases of each channel to their places; DepthToSpace takes several times as long.
 */
function byPhases(
  b: GraphBuilder,
  x: ValueName,
  w: ValueName,
  dY: ValueName,
  [rows, columns]: readonly [readonly Phase[], readonly Phase[]],
): ValueName {
  const [batch, channels] = b.dims(x) as [number | string, number];
  const size = spatial(b, dY)!;
  const strides = [rows.length, columns.length] as const;
  const each = rows.flatMap((row) =>
    columns.map((column) => {
      const starts = b.int64s([row.last, column.last]);
      const ends = b.int64s([-(2 ** 62), -(2 ** 62)]);
      const taps = b.slice(w, starts, ends, [2, 3], [-strides[0], -strides[1]]);
      const pads = [row.before, column.before, row.after, column.after];
      const own = { strides: [1, 1], dilations: [1, 1], pads, group: 1 };
      const phase = b.conv(dY, b.transpose(taps, [1, 0, 2, 3]), own, [batch, channels, ...size]);
      return b.op('Unsqueeze', [phase, b.int64s([2])]);
    }),
  );
  const count = each.length;
  const beside = b.op('Concat', each, { axis: int(2) });
  const dims = [batch, channels * count, ...size];
  const together = b.reshape(beside, b.int64s([-1, channels * count, ...size]), dims);
  const places = Array.from({ length: channels * count * count }, (_, at) =>
    Math.floor(at / count) % count === at % count ? 1 : 0,
  );
  const move = b.constant('float32', [channels * count, 1, ...strides], places);
  return b.op('ConvTranspose', [together, move], { strides: ints(strides), group: int(channels) }, { dims: b.dims(x) });
}
