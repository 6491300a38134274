/** Automatic padding where the input's size shows only at run time. */
import { expect, test } from 'vitest';
import { differentiate } from '../../src/autodiff/index.ts';
import { UserError, ints, normalizeModel, numbersToData, numbersWeight, sizeOf, string } from '../../src/onnx/index.ts';
import { chance, makeModel, makeNode, runModel } from '../models.ts';

const random = chance(5);
const tensor = (dims: readonly number[]) => ({
  type: 'float32' as const,
  dims,
  data: numbersToData(
    'float32',
    Array.from({ length: sizeOf(dims) }, () => random()),
  ),
});

test.each(['SAME_UPPER', 'SAME_LOWER'])(
  'a %s convolution with strides has the gradient it has for a known size',
  async (mode) => {
    const model = (height: number | string, width: number | string) =>
      makeModel({
        inputs: [
          { name: 'x', type: 'float32', dims: [1, 2, height, width] },
          { name: 'w', type: 'float32', dims: [3, 2, 3, 2] },
        ],
        outputs: [{ name: 'y', type: 'float32', dims: undefined }],
        nodes: [makeNode('Conv', ['x', 'w'], ['y'], { auto_pad: string(mode), strides: ints([2, 3]) })],
      });
    const feeds = { x: tensor([1, 2, 6, 7]), w: tensor([3, 2, 3, 2]) };
    const [known, unknown] = [model(6, 7), model('h', 'w')].map(
      (each) => differentiate(normalizeModel(each), { of: 'y', wrt: ['x', 'w'] }).model,
    );
    const [expected, actual] = [await runModel(known!, feeds), await runModel(unknown!, feeds)];
    for (const name of ['y', 'x_grad', 'w_grad']) {
      expect(actual[name]!.dims).toEqual(expected[name]!.dims);
      (actual[name]!.data as Float32Array).forEach((value, at) =>
        expect(value).toBeCloseTo((expected[name]!.data as Float32Array)[at]!, 4),
      );
    }
  },
);

test('other operators with automatic padding say that they need the size', () => {
  const model = makeModel({
    inputs: [{ name: 'x', type: 'float32', dims: [1, 2, 'h', 'w'] }],
    outputs: [{ name: 'y', type: 'float32', dims: undefined }],
    nodes: [
      makeNode('AveragePool', ['x'], ['y'], {
        auto_pad: string('SAME_UPPER'),
        kernel_shape: ints([3, 3]),
        strides: ints([2, 2]),
      }),
    ],
  });
  const make = () => differentiate(normalizeModel(model), { of: 'y', wrt: ['x'] });
  expect(make).toThrow(UserError);
  expect(make).toThrow('automatic padding has a gradient only for inputs of known size');
});

test('an axis that a broken file names and that there is not is refused in one line', () => {
  const model = makeModel({
    inputs: [{ name: 'x', type: 'float32', dims: [2, 3] }],
    outputs: [{ name: 'y', type: 'float32', dims: undefined }],
    nodes: [makeNode('Slice', ['x', 'zero', 'one', 'axis'], ['y'])],
    initializers: [
      ['zero', numbersWeight('int64', [1], [0])],
      ['one', numbersWeight('int64', [1], [1])],
      ['axis', numbersWeight('int64', [1], [2 ** 40])],
    ],
  });
  expect(() => differentiate(model, { of: 'y', wrt: ['x'] })).toThrow(
    /^Slice "Slice_y": its input of 2 axes has no axis/,
  );
});
