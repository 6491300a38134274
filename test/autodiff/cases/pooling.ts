import { int, ints, string } from '../../../src/onnx/index.ts';
import type { Attribute } from '../../../src/onnx/index.ts';
import type { Case } from '../case.ts';
import { distinct, one, x } from '../case.ts';

interface Shape {
  x: number[];
  kernel_shape: number[];
  strides?: number[];
  pads?: number[];
  dilations?: number[];
  ceil_mode?: number;
  count_include_pad?: number;
  p?: number;
  auto_pad?: string;
  opset?: number;
}
function pool(operator: string, name: string, { x: input, auto_pad, opset = 18, ...rest }: Shape): Case {
  const attributes: Record<string, Attribute> = {};
  for (const [key, value] of Object.entries(rest)) attributes[key] = Array.isArray(value) ? ints(value) : int(value);
  if (auto_pad) attributes['auto_pad'] = string(auto_pad);
  const staticOnly = auto_pad?.startsWith('SAME') && rest.strides ? 'SAME padding depends on the size' : undefined;
  return one(operator, name, [distinct(input)], attributes, {
    opset,
    linear: operator === 'AveragePool',
    ...(staticOnly ? { staticOnly } : {}),
  });
}

const both = (operator: string): Case[] => [
  pool(operator, 'in its simplest form', { x: [2, 2, 4, 4], kernel_shape: [2, 2], strides: [2, 2] }),
  pool(operator, 'with overlapping windows', { x: [2, 2, 5, 4], kernel_shape: [3, 2] }),
  pool(operator, 'with strides that skip the end', { x: [1, 2, 6, 7], kernel_shape: [2, 2], strides: [3, 2] }),
  pool(operator, 'with pads', { x: [1, 2, 4, 4], kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1] }),
  pool(operator, 'with asymmetric pads', {
    x: [1, 2, 5, 4],
    kernel_shape: [3, 2],
    strides: [2, 1],
    pads: [0, 1, 2, 0],
  }),
  pool(operator, 'in ceil mode', { x: [1, 2, 5, 6], kernel_shape: [2, 3], strides: [2, 2], ceil_mode: 1 }),
  pool(operator, 'in ceil mode with pads', {
    x: [1, 1, 6, 6],
    kernel_shape: [3, 3],
    strides: [2, 2],
    pads: [1, 0, 0, 1],
    ceil_mode: 1,
  }),
  pool(operator, 'in one dimension', { x: [2, 2, 7], kernel_shape: [3], strides: [2] }),
  pool(operator, 'in three dimensions', { x: [1, 1, 3, 4, 3], kernel_shape: [2, 2, 2], strides: [1, 2, 1] }),
  pool(operator, 'with a window longer than the input', { x: [1, 2, 6, 1], kernel_shape: [2, 2], strides: [2, 3] }),
  pool(operator, 'with a window longer than the input and its pads', {
    x: [1, 2, 1, 6],
    kernel_shape: [3, 2],
    strides: [3, 1],
    pads: [1, 0, 0, 0],
  }),
  pool(operator, 'with dilations', { x: [1, 2, 6, 6], kernel_shape: [2, 2], dilations: [2, 3], opset: 19 }),
  pool(operator, 'SAME_UPPER', { x: [1, 1, 5, 4], kernel_shape: [3, 2], strides: [2, 2], auto_pad: 'SAME_UPPER' }),
  pool(operator, 'SAME_LOWER', { x: [1, 1, 5, 4], kernel_shape: [2, 2], auto_pad: 'SAME_LOWER' }),
  pool(operator, 'VALID', { x: [1, 1, 5, 4], kernel_shape: [2, 2], auto_pad: 'VALID' }),
];

export const pooling: Case[] = [
  ...both('MaxPool'),
  ...both('AveragePool'),
  pool('AveragePool', 'counting pads', {
    x: [1, 2, 4, 4],
    kernel_shape: [3, 3],
    strides: [2, 2],
    pads: [1, 1, 1, 1],
    count_include_pad: 1,
  }),
  pool('AveragePool', 'counting pads in ceil mode', {
    x: [1, 2, 5, 6],
    kernel_shape: [3, 2],
    strides: [2, 2],
    pads: [1, 0, 1, 1],
    count_include_pad: 1,
    ceil_mode: 1,
    opset: 19,
  }),
  one(
    'MaxPool',
    'with column-major indices asked for',
    [x([1, 1, 4, 3])],
    { kernel_shape: ints([2, 2]), storage_order: int(1) },
    { extraOutputs: 1 },
  ),
  ...['GlobalAveragePool', 'GlobalMaxPool'].flatMap((operator): Case[] => [
    one(operator, 'in two dimensions', [distinct([2, 3, 2, 3])]),
    one(operator, 'in one dimension', [distinct([2, 3, 4])]),
    one(operator, 'of one position', [distinct([2, 3, 1, 1])]),
  ]),
];
