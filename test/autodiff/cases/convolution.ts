import { int, ints, string } from '../../../src/onnx/index.ts';
import type { Attribute } from '../../../src/onnx/index.ts';
import type { Case } from '../case.ts';
import { one, w, x } from '../case.ts';

interface Shape {
  x: number[];
  w: number[];
  bias?: number;
  strides?: number[];
  dilations?: number[];
  pads?: number[];
  group?: number;
  output_padding?: number[];
  output_shape?: number[];
  auto_pad?: string;
  kernel_shape?: number[];
}
function conv(operator: string, name: string, { x: input, w: kernel, bias, group, auto_pad, ...lists }: Shape): Case {
  const attributes: Record<string, Attribute> = {};
  for (const [key, list] of Object.entries(lists)) attributes[key] = ints(list);
  if (group) attributes['group'] = int(group);
  if (auto_pad) attributes['auto_pad'] = string(auto_pad);
  return one(operator, name, [x(input), w(kernel), ...(bias ? [w([bias])] : [])], attributes, {
    linear: true,
    ...((auto_pad?.startsWith('SAME') && lists.strides) || lists.output_shape
      ? { staticOnly: 'SAME padding with a stride depends on the size' }
      : {}),
  });
}

export const convolution: Case[] = [
  conv('Conv', 'plain', { x: [2, 2, 5, 4], w: [3, 2, 3, 2] }),
  conv('Conv', 'with a bias', { x: [2, 2, 4, 4], w: [3, 2, 3, 3], bias: 3, pads: [1, 1, 1, 1] }),
  conv('Conv', 'pointwise', { x: [2, 3, 2, 3], w: [4, 3, 1, 1] }),
  conv('Conv', 'pointwise with a stride', { x: [1, 3, 5, 4], w: [4, 3, 1, 1], strides: [2, 2] }),
  conv('Conv', 'with strides that skip the end', { x: [2, 2, 6, 7], w: [3, 2, 3, 3], strides: [2, 3] }),
  conv('Conv', 'with stride and padding', { x: [1, 2, 6, 6], w: [2, 2, 3, 3], strides: [2, 2], pads: [1, 1, 1, 1] }),
  conv('Conv', 'with dilations', { x: [1, 2, 7, 6], w: [2, 2, 3, 2], dilations: [2, 3] }),
  conv('Conv', 'with dilations and strides', {
    x: [2, 2, 9, 8],
    w: [3, 2, 3, 2],
    dilations: [2, 3],
    strides: [2, 2],
    pads: [1, 0, 2, 1],
  }),
  conv('Conv', 'with asymmetric pads', { x: [1, 2, 4, 5], w: [2, 2, 3, 3], pads: [0, 2, 1, 1] }),
  conv('Conv', 'with pads beyond the kernel', { x: [1, 2, 3, 3], w: [2, 2, 2, 2], pads: [2, 2, 3, 2] }),
  conv('Conv', 'in groups', { x: [2, 4, 4, 4], w: [6, 2, 3, 3], group: 2, pads: [1, 1, 1, 1] }),
  conv('Conv', 'in groups with a stride', { x: [2, 4, 5, 5], w: [6, 2, 3, 3], group: 2, strides: [2, 2], bias: 6 }),
  conv('Conv', 'of six channels to four', { x: [1, 6, 4, 4], w: [4, 6, 3, 3], pads: [1, 1, 1, 1] }),
  conv('Conv', 'of nine channels in one dimension', { x: [1, 9, 5], w: [4, 9, 2] }),
  conv('Conv', 'of four channels to six', { x: [1, 4, 4, 4], w: [6, 4, 2, 2], bias: 6 }),
  conv('Conv', 'in groups to six channels each', { x: [1, 4, 4, 4], w: [12, 2, 2, 2], group: 2, bias: 12 }),
  conv('Conv', 'in groups of six channels', { x: [1, 12, 3, 3], w: [8, 6, 2, 2], group: 2 }),
  conv('Conv', 'in groups in three dimensions', { x: [1, 4, 3, 3, 2], w: [4, 2, 2, 2, 1], group: 2, bias: 4 }),
  conv('Conv', 'depthwise', { x: [2, 3, 4, 4], w: [3, 1, 3, 3], group: 3, pads: [1, 1, 1, 1] }),
  conv('Conv', 'depthwise with a stride', {
    x: [2, 3, 6, 6],
    w: [3, 1, 3, 3],
    group: 3,
    strides: [2, 2],
    pads: [1, 1, 1, 1],
  }),
  conv('Conv', 'depthwise with a multiplier', { x: [1, 2, 4, 4], w: [4, 1, 2, 2], group: 2 }),
  conv('Conv', 'in one dimension', { x: [2, 2, 7], w: [3, 2, 3], strides: [2], pads: [1, 0] }),
  conv('Conv', 'in three dimensions', {
    x: [1, 2, 3, 4, 3],
    w: [2, 2, 2, 2, 2],
    strides: [1, 2, 1],
    pads: [0, 1, 0, 1, 0, 1],
  }),
  conv('Conv', 'SAME_UPPER', { x: [1, 2, 4, 5], w: [2, 2, 2, 3], auto_pad: 'SAME_UPPER' }),
  conv('Conv', 'SAME_UPPER with a stride', {
    x: [1, 2, 6, 5],
    w: [2, 2, 3, 3],
    auto_pad: 'SAME_UPPER',
    strides: [2, 2],
  }),
  conv('Conv', 'SAME_LOWER with a stride', {
    x: [1, 2, 6, 5],
    w: [2, 2, 3, 2],
    auto_pad: 'SAME_LOWER',
    strides: [2, 2],
  }),
  conv('Conv', 'VALID', { x: [1, 2, 6, 5], w: [2, 2, 3, 2], auto_pad: 'VALID', strides: [2, 2] }),
  conv('ConvTranspose', 'plain', { x: [2, 2, 3, 4], w: [2, 3, 3, 2] }),
  conv('ConvTranspose', 'with strides and a bias', { x: [2, 2, 3, 3], w: [2, 3, 2, 3], strides: [2, 2], bias: 3 }),
  conv('ConvTranspose', 'with pads', { x: [1, 2, 3, 3], w: [2, 2, 3, 3], strides: [2, 2], pads: [1, 0, 1, 1] }),
  conv('ConvTranspose', 'with output padding', {
    x: [1, 2, 3, 3],
    w: [2, 2, 3, 3],
    strides: [2, 2],
    pads: [1, 1, 1, 1],
    output_padding: [1, 1],
  }),
  conv('ConvTranspose', 'with dilations', { x: [1, 2, 3, 3], w: [2, 2, 2, 2], dilations: [2, 2] }),
  conv('ConvTranspose', 'in groups', { x: [2, 4, 3, 3], w: [4, 3, 2, 2], group: 2, strides: [2, 1] }),
  conv('ConvTranspose', 'of four channels to six', { x: [1, 4, 3, 3], w: [4, 6, 2, 2] }),
  conv('ConvTranspose', 'in groups to six channels each', { x: [1, 4, 3, 3], w: [4, 6, 2, 2], group: 2 }),
  conv('ConvTranspose', 'depthwise', { x: [2, 3, 3, 3], w: [3, 1, 2, 2], group: 3, strides: [2, 2] }),
  conv('ConvTranspose', 'in one dimension', { x: [2, 2, 4], w: [2, 3, 3], strides: [2] }),
  conv('ConvTranspose', 'with an output shape', {
    x: [1, 2, 3, 3],
    w: [2, 2, 3, 3],
    strides: [2, 2],
    output_shape: [6, 7],
  }),
  conv('ConvTranspose', 'SAME_UPPER', { x: [1, 2, 3, 3], w: [2, 2, 3, 3], strides: [2, 2], auto_pad: 'SAME_UPPER' }),
];
