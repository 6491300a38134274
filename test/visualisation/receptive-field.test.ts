import { array, assert, asyncProperty, constantFrom, integer, record } from 'fast-check';
import { describe, expect, test } from 'vitest';
import { seededRandom } from '../../src/inputs/index.ts';
import { ints, inferGraph, numbersWeight, opsetOf, string, writeModel } from '../../src/onnx/index.ts';
import type { Model, Node, Weight } from '../../src/onnx/index.ts';
import { openSession } from '../../src/runtime/index.ts';
import { receptiveField } from '../../src/visualisation/index.ts';
import type { Reach } from '../../src/visualisation/index.ts';
import { makeModel, makeNode } from '../models.ts';

interface Layer {
  readonly kind: 'Conv' | 'MaxPool' | 'AveragePool' | 'ConvTranspose' | 'Resize' | 'Pad' | 'Relu';
  readonly kernel: number;
  readonly stride: number;
  readonly pad: number;
  readonly dilation: number;
}

const layer = (kind: Layer['kind'], kernel = 1, stride = 1, pad = 0, dilation = 1): Layer => ({
  kind,
  kernel,
  stride,
  pad,
  dilation,
});

/** One channel through these layers, the last one's value being `y`. */
function chain(layers: readonly Layer[], side: number): Model {
  const random = seededRandom(7);
  const initializers = new Map<string, Weight>();
  const nodes = layers.map(({ kind, kernel, stride, pad, dilation }, at): Node => {
    const [from, to] = [at === 0 ? 'x' : `v${at - 1}`, at === layers.length - 1 ? 'y' : `v${at}`];
    const [window, pads, strides] = [ints([kernel, kernel]), ints([pad, pad, pad, pad]), ints([stride, stride])];
    const weigh = () => {
      const values = Array.from({ length: kernel * kernel }, () => 0.5 + random());
      initializers.set(`w${at}`, numbersWeight('float32', [1, 1, kernel, kernel], values));
      return `w${at}`;
    };
    if (kind === 'Conv')
      return makeNode(kind, [from, weigh()], [to], { pads, strides, dilations: ints([dilation, dilation]) });
    if (kind === 'ConvTranspose') return makeNode(kind, [from, weigh()], [to], { strides });
    if (kind === 'Pad') {
      initializers.set(`p${at}`, numbersWeight('int64', [8], [0, 0, pad, pad + 1, 0, 0, pad, 0]));
      return makeNode(kind, [from, `p${at}`], [to]);
    }
    if (kind === 'Resize') {
      initializers.set(`s${at}`, numbersWeight('float32', [4], [1, 1, 2, 2]));
      return makeNode(kind, [from, '', `s${at}`], [to], { mode: string(kernel === 1 ? 'nearest' : 'linear') });
    }
    if (kind === 'Relu') return makeNode(kind, [from], [to]);
    return makeNode(kind, [from], [to], { kernel_shape: window, strides, pads: ints([0, 0, 0, 0]) });
  });
  return makeModel({
    inputs: [{ name: 'x', type: 'float32', dims: ['rows', 1, side, side] }],
    outputs: [{ name: 'y', type: 'float32', dims: undefined }],
    nodes,
    initializers,
  });
}

const fieldOf = (model: Model, value = 'y') => receptiveField(model, { input: 'x', layout: 'NCHW' }, value);

/** For each place of a layer the pixels that change it: first and last row, first and last column. */
async function measured(model: Model, side: number) {
  const random = seededRandom(11);
  const plain = Float32Array.from({ length: side * side }, () => random());
  const rows = new Float32Array((side * side + 1) * side * side);
  for (let row = 0; row <= side * side; row++) {
    rows.set(plain, row * side * side);
    if (row > 0) rows[row * side * side + row - 1]! += 100;
  }
  const session = await openSession(writeModel(model), { threads: 1, optimization: 'disabled' });
  const { y } = await session.run({ x: { type: 'float32', dims: [side * side + 1, 1, side, side], data: rows } });
  await session.release();
  const [height, width] = y!.dims.slice(2) as [number, number];
  const data = y!.data as Float32Array;
  return Array.from({ length: height * width }, (_, place) => {
    const changed = Array.from({ length: side * side }, (_unused, pixel) => pixel).filter(
      (pixel) => data[(pixel + 1) * height * width + place] !== data[place],
    );
    const [ys, xs] = [changed.map((pixel) => Math.floor(pixel / side)), changed.map((pixel) => pixel % side)];
    return { row: Math.floor(place / width), column: place % width, ys, xs };
  });
}

/** The pixels that a reach says, of those there are. */
const within = ({ start, step, size }: Reach, place: number, side: number) =>
  [Math.max(0, start + place * step), Math.min(side, start + place * step + size)] as const;

describe('a receptive field', () => {
  test.each([
    [
      'AlexNet',
      [
        [11, 4],
        [3, 2],
        [5, 1],
        [3, 2],
        [3, 1],
        [3, 1],
        [3, 1],
        [3, 2],
      ],
      195,
      32,
    ],
    ['VGG-16', [2, 2, 3, 3, 3].flatMap((count) => [...Array.from({ length: count }, () => [3, 1]), [2, 2]]), 212, 32],
  ])('of %s behind its last pool is what Araujo et al. report', (_name, windows, size, step) => {
    const layers = windows.map(([kernel, stride]) => layer('Conv', kernel, stride, Math.floor(kernel! / 2)));
    const field = fieldOf(chain(layers, 512))!;
    expect([field.y.size, field.y.step, field.x.size, field.x.step]).toEqual([size, step, size, step]);
  });

  test('of convolutions and pools is exactly what changes the place', async () => {
    const shape = record({
      kind: constantFrom<Layer['kind'][]>('Conv', 'Conv', 'MaxPool', 'Pad', 'Relu'),
      kernel: integer({ min: 1, max: 3 }),
      stride: integer({ min: 1, max: 2 }),
      pad: integer({ min: 0, max: 1 }),
      dilation: integer({ min: 1, max: 2 }),
    });
    await assert(
      asyncProperty(array(shape, { minLength: 1, maxLength: 3 }), async (layers) => {
        const side = 12;
        const model = chain(layers, side);
        const field = fieldOf(model)!;
        for (const { row, column, ys, xs } of await measured(model, side)) {
          // A place that sees only padding has nothing to be compared with.
          if (ys.length === 0) continue;
          // Holes of dilation and stride may lie on the border of the picture.
          const [top, bottom] = within(field.y, row, side);
          const [left, right] = within(field.x, column, side);
          expect(Math.min(...ys)).toBeGreaterThanOrEqual(top);
          expect(Math.max(...ys)).toBeLessThan(bottom);
          expect(Math.min(...xs)).toBeGreaterThanOrEqual(left);
          expect(Math.max(...xs)).toBeLessThan(right);
          const inside =
            field.y.start + row * field.y.step >= 0 && field.y.start + row * field.y.step + field.y.size <= side;
          if (inside && layers.every(({ kind }) => kind !== 'Relu')) {
            expect(Math.min(...ys)).toBe(top);
            expect(Math.max(...ys)).toBe(bottom - 1);
          }
        }
      }),
      { numRuns: 25 },
    );
  });

  test.each([
    [[layer('Conv', 3, 2), layer('ConvTranspose', 3, 2)]],
    [[layer('ConvTranspose', 2, 3), layer('Conv', 2, 1)]],
    [[layer('Conv', 3, 2, 1), layer('Resize', 1), layer('Conv', 3, 1, 1)]],
    [[layer('AveragePool', 2, 2), layer('Resize', 2), layer('Conv', 2)]],
  ])('behind an upsampling holds all that changes the place: %j', async (layers) => {
    const side = 12;
    const model = chain(layers, side);
    const field = fieldOf(model)!;
    for (const { row, column, ys, xs } of await measured(model, side)) {
      if (ys.length === 0) continue;
      expect(Math.min(...ys)).toBeGreaterThanOrEqual(within(field.y, row, side)[0] - 1e-9);
      expect(Math.max(...ys)).toBeLessThan(within(field.y, row, side)[1] + 1e-9);
      expect(Math.min(...xs)).toBeGreaterThanOrEqual(within(field.x, column, side)[0] - 1e-9);
      expect(Math.max(...xs)).toBeLessThan(within(field.x, column, side)[1] + 1e-9);
    }
    expect(field.y.size).toBeLessThan(side);
  });

  const graph = (nodes: readonly Node[], more: readonly (readonly [string, Weight])[] = []) =>
    makeModel({
      inputs: [{ name: 'x', type: 'float32', dims: [1, 2, 16, 16] }],
      outputs: [{ name: 'y', type: 'float32', dims: undefined }],
      initializers: [
        ['w3', numbersWeight('float32', [2, 2, 3, 3], Array<number>(36).fill(1))],
        ['w1', numbersWeight('float32', [2, 2, 1, 1], [1, 2, 3, 4])],
        ...more,
      ],
      nodes,
    });

  test('joins what comes together, and leaves factors for whole channels aside', () => {
    const field = fieldOf(
      graph([
        makeNode('Conv', ['x', 'w3'], ['wide'], { pads: ints([1, 1, 1, 1]) }),
        makeNode('GlobalAveragePool', ['wide'], ['pooled']),
        makeNode('Conv', ['pooled', 'w1'], ['gate']),
        makeNode('Mul', ['wide', 'gate'], ['gated']),
        makeNode('Add', ['x', 'gated'], ['y']),
      ]),
    );
    expect(field).toEqual({ y: { start: -1, step: 1, size: 3 }, x: { start: -1, step: 1, size: 3 } });
  });

  test('follows a shuffle of channels and axes that change places', () => {
    const field = fieldOf(
      graph(
        [
          makeNode('Conv', ['x', 'w3'], ['a'], { pads: ints([1, 1, 1, 1]), strides: ints([2, 2]) }),
          makeNode('Reshape', ['a', 'apart'], ['b']),
          makeNode('Transpose', ['b'], ['c'], { perm: ints([0, 2, 1, 3, 4]) }),
          makeNode('Reshape', ['c', 'whole'], ['d']),
          makeNode('Transpose', ['d'], ['e'], { perm: ints([0, 2, 3, 1]) }),
          makeNode('MatMul', ['e', 'mix'], ['f']),
          makeNode('Transpose', ['f'], ['g'], { perm: ints([0, 3, 1, 2]) }),
          makeNode('Conv', ['g', 'w3'], ['y']),
        ],
        [
          ['apart', numbersWeight('int64', [5], [1, 2, 1, 8, 8])],
          ['whole', numbersWeight('int64', [4], [1, 2, 8, 8])],
          ['mix', numbersWeight('float32', [2, 2], [1, 2, 3, 4])],
        ],
      ),
    );
    expect(field).toEqual({ y: { start: -1, step: 2, size: 7 }, x: { start: -1, step: 2, size: 7 } });
  });

  test('is the whole picture behind a product of places with places', () => {
    const nodes = [
      makeNode('Reshape', ['x', 'flat'], ['tokens']),
      makeNode('Transpose', ['tokens'], ['keys'], { perm: ints([0, 2, 1]) }),
      makeNode('MatMul', ['keys', 'tokens'], ['attended']),
      makeNode('MatMul', ['tokens', 'attended'], ['mixed']),
      makeNode('Reshape', ['mixed', 'map'], ['y']),
    ];
    const model = graph(nodes, [
      ['flat', numbersWeight('int64', [3], [1, 2, 256])],
      ['map', numbersWeight('int64', [4], [1, 2, 16, 16])],
    ]);
    expect(inferGraph(model.graph, opsetOf(model)).get('y')?.dims).toEqual([1, 2, 16, 16]);
    expect(fieldOf(model)).toBeUndefined();
  });
});
