/** Recurrent layers in every direction, with lengths and options, as a Scan: what the kernels give, and gradients. */
import { expect, test } from 'vitest';
import { checkGradient } from '../../conformance/check-gradient.ts';
import { maxDifference, numbersOf } from '../../conformance/numbers.ts';
import type { Attribute, DenseTensor } from '../../src/onnx/index.ts';
import { float, int, normalizeModel, numbersToData, sizeOf, string } from '../../src/onnx/index.ts';
import { chance, hash, makeModel, makeNode, runModel } from '../models.ts';

const strings = (value: readonly string[]): Attribute => ({ kind: 'strings', value });
const GATES = { RNN: 1, GRU: 3, LSTM: 4 } as const;
const [TIME, BATCH, IN, HIDDEN] = [4, 2, 3, 5];

interface Options {
  readonly direction: 'forward' | 'reverse' | 'bidirectional';
  readonly lengths?: readonly number[];
  readonly attributes?: Readonly<Record<string, Attribute>>;
}

const CASES: readonly (readonly [keyof typeof GATES, string, Options])[] = [
  ['RNN', 'reverse', { direction: 'reverse' }],
  [
    'RNN',
    'both ways, rectified',
    { direction: 'bidirectional', attributes: { activations: strings(['Tanh', 'Softsign']) } },
  ],
  ['GRU', 'both ways', { direction: 'bidirectional' }],
  [
    'GRU',
    'with its reset behind, of different lengths',
    { direction: 'bidirectional', lengths: [4, 2], attributes: { linear_before_reset: int(1) } },
  ],
  ['LSTM', 'both ways, of different lengths', { direction: 'bidirectional', lengths: [3, 4] }],
  ['LSTM', 'reverse, of different lengths', { direction: 'reverse', lengths: [4, 2] }],
  ['LSTM', 'with its gates coupled', { direction: 'forward', attributes: { input_forget: int(1) } }],
  [
    'LSTM',
    'of other activations, clipped',
    {
      direction: 'forward',
      attributes: {
        activations: strings(['HardSigmoid', 'Tanh', 'Softsign']),
        activation_alpha: { kind: 'floats', value: [0.3] },
        activation_beta: { kind: 'floats', value: [0.4] },
        clip: float(3),
      },
    },
  ],
];

test.each(CASES)('%s %s', async (operator, name, { direction, lengths, attributes = {} }) => {
  const random = chance(hash(operator + name));
  const directions = direction === 'bidirectional' ? 2 : 1;
  const gates = GATES[operator];
  const tensor = (...dims: number[]): DenseTensor => ({
    type: 'float32',
    dims,
    data: numbersToData(
      'float32',
      Array.from({ length: sizeOf(dims) }, () => random()),
    ),
  });
  const feeds: Record<string, DenseTensor> = {
    x: tensor(TIME, BATCH, IN),
    w: tensor(directions, gates * HIDDEN, IN),
    r: tensor(directions, gates * HIDDEN, HIDDEN),
    b: tensor(directions, 2 * gates * HIDDEN),
    h: tensor(directions, BATCH, HIDDEN),
    ...(operator === 'LSTM' ? { c: tensor(directions, BATCH, HIDDEN) } : {}),
    ...(lengths ? { lengths: { type: 'int32', dims: [BATCH], data: Int32Array.from(lengths) } } : {}),
  };
  const outputs = operator === 'LSTM' ? ['y', 'y_h', 'y_c'] : ['y', 'y_h'];
  const inputs = ['x', 'w', 'r', 'b', lengths ? 'lengths' : '', 'h', ...(operator === 'LSTM' ? ['c'] : [])];
  const model = makeModel({
    inputs: Object.entries(feeds).map(([input, { type, dims }]) => ({
      name: input,
      type,
      dims: input === 'x' ? ['time', 'batch', IN] : dims,
    })),
    outputs: outputs.map((output) => ({ name: output, type: 'float32', dims: undefined })),
    nodes: [
      makeNode(operator, inputs, outputs, { hidden_size: int(HIDDEN), direction: string(direction), ...attributes }),
    ],
  });
  const normal = normalizeModel(model);
  const [expected, actual] = [await runModel(model, feeds), await runModel(normal, feeds)];
  for (const output of outputs) {
    expect(actual[output]!.dims).toEqual(expected[output]!.dims);
    expect(maxDifference(numbersOf(expected[output]!), numbersOf(actual[output]!)), output).toBeLessThan(1e-5);
  }
  const wrt = Object.keys(feeds).filter((input) => input !== 'lengths');
  const found = await checkGradient({ name, model: normal, feeds, wrt, outputs });
  expect(found).toMatchObject({ first: { status: 'verified' }, second: { status: 'verified' } });
});
