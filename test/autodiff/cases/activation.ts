import { float, string } from '../../../src/onnx/index.ts';
import type { Attribute } from '../../../src/onnx/index.ts';
import type { Case } from '../case.ts';
import { k, one, x } from '../case.ts';

const unary = (
  operator: string,
  attributes: Record<string, number> = {},
  away: readonly number[] = [],
  options: { opset?: number; range?: [number, number] } = {},
): Case => {
  const listed = Object.entries(attributes).map(([name, value]): [string, Attribute] => [name, float(value)]);
  const name = listed.length === 0 ? 'by default' : `with ${Object.entries(attributes).flat().join(' ')}`;
  const { opset, range = [-1.5, 1.5] } = options;
  return one(operator, name, [x([2, 3, 2], { away, range })], Object.fromEntries(listed), opset ? { opset } : {});
};

export const activation: Case[] = [
  unary('Relu', {}, [0]),
  unary('LeakyRelu', {}, [0]),
  unary('LeakyRelu', { alpha: 0.3 }, [0]),
  one('PRelu', 'with one slope per channel', [x([2, 3, 2], { away: [0] }), x([3, 1])]),
  one('PRelu', 'with a single slope', [x([2, 3], { away: [0] }), x([1])]),
  one('PRelu', 'of a scalar, which a slope of one element makes a vector', [x([], { values: [-0.4] }), x([1])]),
  one('PRelu', 'with slopes of the same shape', [x([2, 3], { away: [0] }), x([2, 3])]),
  unary('ThresholdedRelu', {}, [1]),
  unary('ThresholdedRelu', { alpha: 0.4 }, [0.4]),
  unary('Elu', {}, [0]),
  unary('Elu', { alpha: 0.7 }, [0]),
  unary('Celu', {}, [0]),
  unary('Celu', { alpha: 0.7 }, [0]),
  unary('Selu', {}, [0]),
  unary('Selu', { alpha: 1.2, gamma: 0.9 }, [0]),
  unary('Sigmoid'),
  unary('Tanh'),
  unary('Softplus'),
  unary('Softsign', {}, [0]),
  unary('HardSigmoid', {}, [-2.5, 2.5], { range: [-4, 4] }),
  unary('HardSigmoid', { alpha: 0.5, beta: 0.4 }, [-0.8, 1.2]),
  unary('HardSwish', {}, [-3, 3], { range: [-5, 5] }),
  unary('Mish'),
  unary('Swish', {}, [], { opset: 24 }),
  unary('Swish', { alpha: 1.7 }, [], { opset: 24 }),
  unary('Gelu', {}, [], { opset: 20 }),
  one('Gelu', 'by tanh', [x([2, 3])], { approximate: string('tanh') }, { opset: 20 }),
  unary('Shrink', {}, [-0.5, 0.5]),
  unary('Shrink', { lambd: 0.8, bias: 0.3 }, [-0.8, 0.8]),
  one('Clip', 'between constants', [x([2, 5], { away: [-0.5, 0.7] }), k(-0.5), k(0.7)]),
  one('Clip', 'between variables', [
    x([2, 4], { away: [-0.5, 0.7] }),
    x([], { values: [-0.5] }),
    x([], { values: [0.7] }),
  ]),
  one('Clip', 'from below', [x([2, 4], { away: [0] }), k(0)]),
  one('Clip', 'from above', [x([2, 4], { away: [0.2] }), undefined, k(0.2)]),
  one('Clip', 'without bounds', [x([2, 4])]),
];
