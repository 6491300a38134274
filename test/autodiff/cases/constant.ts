import { int } from '../../../src/onnx/index.ts';
import type { Case } from '../case.ts';
import { k, one, x } from '../case.ts';

/** Far from all whole and half numbers, where these operators jump. */
const values = [0.3, -1.2, 1.7, -0.7, 0.8, 1.3];
const flat = (operator: string, cast = false, rest: ReturnType<typeof k>[] = []): Case =>
  one(operator, 'has no slope', [x([2, 3], { values }), ...rest], {}, { cast });

export const constant: Case[] = [
  ...['Sign', 'Floor', 'Ceil', 'Round', 'Hardmax'].map((operator) => flat(operator)),
  ...['IsNaN', 'IsInf'].map((operator) => flat(operator, true)),
  ...['Equal', 'Less', 'LessOrEqual', 'Greater', 'GreaterOrEqual'].map((operator) => flat(operator, true, [k([0.5])])),
  one('ArgMax', 'has no slope', [x([2, 3], { values })], { axis: int(1) }, { cast: true }),
  one('ArgMin', 'has no slope', [x([2, 3], { values })], { axis: int(0), keepdims: int(0) }, { cast: true }),
  one('Shape', 'has no slope', [x([2, 3])], {}, { cast: true }),
  one('Size', 'has no slope', [x([2, 3])], {}, { cast: true }),
  one('NonZero', 'has no slope', [x([2, 3], { values })], {}, { cast: true }),
  one('EyeLike', 'has no slope', [x([2, 3])]),
];
