import { int } from '../../../src/onnx/index.ts';
import type { Case } from '../case.ts';
import { i, k, one, typed, x } from '../case.ts';

const binary = (operator: string, second: Parameters<typeof x>[1] = {}, linear = false): Case[] => [
  one(operator, 'of equal shapes', [x([2, 3]), x([2, 3], second)], {}, { linear }),
  one(operator, 'broadcast both ways', [x([2, 1, 3]), x([4, 1], second)], {}, { linear }),
  one(operator, 'with a scalar', [x([2, 3]), x([], second)], {}, { linear }),
  one(operator, 'of a vector and a matrix', [x([3]), x([2, 3], second)], {}, { linear }),
  one(operator, 'of a column of ones', [x([2, 1]), x([1, 1], second)], {}, { linear }),
];

/** Inputs far enough from each other that differences see no tie. */
const many = (operator: string, linear: boolean): Case[] => [
  one(operator, 'of one', [x([2, 3])], {}, { linear }),
  one(operator, 'of two', [x([2, 3]), x([2, 3])], {}, { linear }),
  one(operator, 'of three, broadcast', [x([2, 3]), x([3]), x([2, 1])], {}, { linear }),
];

const unary = (operator: string, range: readonly [number, number] = [-1.5, 1.5], away: number[] = []): Case =>
  one(operator, 'of a matrix', [x([2, 3], { range, away })]);

export const elementwise: Case[] = [
  ...binary('Add', {}, true),
  ...binary('Sub', {}, true),
  ...binary('Mul'),
  ...binary('Div', { away: [0], range: [-2, 2] }),
  one('Pow', 'of positive bases', [x([2, 3], { range: [0.3, 2] }), x([2, 3])]),
  one('Pow', 'broadcast', [x([2, 1], { range: [0.3, 2] }), x([3])]),
  one('Pow', 'with the constant exponent 2', [x([2, 3]), k(2)]),
  one('Pow', 'with the constant exponent 3', [x([2, 3]), k([3])]),
  one('Pow', 'with the constant exponent 1', [x([2, 3]), k(1)]),
  one('Pow', 'with the constant exponent 0', [x([2, 3]), k(0)]),
  one('Pow', 'with the constant exponent 0.5', [x([2, 3], { range: [0.3, 2] }), k(0.5)]),
  one('Pow', 'with the constant exponent -1', [x([2, 3], { range: [0.3, 2] }), k(-1)]),
  one('Pow', 'with an integer exponent', [x([2, 3]), i([3])]),
  one('Pow', 'with a constant exponent of higher rank', [x([3]), k([2, 2], [2, 1])]),
  one('Pow', 'with several constant exponents', [x([2, 3]), k([0, 1, 2])]),
  ...many('Max', false),
  ...many('Min', false),
  ...many('Sum', true),
  ...many('Mean', true),
  one('Where', 'of equal shapes', [typed('bool', [2, 2], [1, 0, 0, 1]), x([2, 2]), x([2, 2])], {}, { linear: true }),
  one('Where', 'broadcast three ways', [typed('bool', [3], [1, 0, 1]), x([2, 1]), x([])], {}, { linear: true }),
  one(
    'Where',
    'with a condition of higher rank',
    [typed('bool', [2, 1, 1], [1, 0]), x([3]), x([2, 1])],
    {},
    { linear: true },
  ),
  one('Mod', 'of a fraction', [x([2, 3], { values: [0.3, 1.4, 2.6, -0.3, -1.7, 4.2] }), k([1])], { fmod: int(1) }),
  one('Mod', 'in both', [x([2, 2], { values: [2.3, -3.4, 5.2, 1.3] }), x([2], { values: [0.8, 1.1] })], {
    fmod: int(1),
  }),
  one('Cast', 'to the other float and on', [x([2, 3])], { to: int(11) }, { cast: true, linear: true }),
  one('CastLike', 'to the same type', [x([2, 3]), k([1])], {}, { linear: true }),
  one('Identity', 'of a matrix', [x([2, 3])], {}, { linear: true }),
  one('Dropout', 'at inference', [x([2, 3])], {}, { linear: true }),
  one(
    'Dropout',
    'with ratio and mask',
    [x([2, 3]), typed('float32', [], [0.5])],
    {},
    { linear: true, extraOutputs: 1 },
  ),
  one('Neg', 'of a matrix', [x([2, 3])], {}, { linear: true }),
  unary('Abs', [-1.5, 1.5], [0]),
  unary('Exp'),
  unary('Log', [0.3, 2]),
  unary('Sqrt', [0.3, 2]),
  unary('Reciprocal', [0.5, 2]),
  unary('Erf'),
  unary('Sin'),
  unary('Cos'),
  unary('Tan', [-1, 1]),
  unary('Sinh'),
  unary('Cosh'),
  unary('Asin', [-0.7, 0.7]),
  unary('Acos', [-0.7, 0.7]),
  unary('Atan'),
  unary('Asinh'),
  unary('Acosh', [1.5, 3]),
  unary('Atanh', [-0.7, 0.7]),
  one('Neg', 'of a scalar', [x([])], {}, { linear: true }),
  one('Exp', 'of no elements', [x([0, 3])]),
];
