/** GridSample in primitives against onnxruntime's kernel, with points well outside of the image. */
import { expect, test } from 'vitest';
import { int, normalizeModel, sizeOf, string } from '../../src/onnx/index.ts';
import { chance, makeModel, makeNode, numbersOf, runModel } from '../models.ts';

const random = chance(7);
const tensor = (dims: number[], reach: number) =>
  ({
    type: 'float32',
    dims,
    data: Float32Array.from({ length: sizeOf(dims) }, () => random(-reach, reach)),
  }) as const;

for (const mode of ['linear', 'nearest', 'cubic'])
  for (const padding of ['zeros', 'border', 'reflection'])
    for (const align of [0, 1])
      test(`${mode}, ${padding}, ${align ? 'corners aligned' : 'corners apart'}`, async () => {
        const feeds = { x: tensor([1, 2, 4, 5], 1), grid: tensor([1, 5, 5, 2], 1.8) };
        const attributes = { mode: string(mode), padding_mode: string(padding), align_corners: int(align) };
        const model = makeModel({
          inputs: Object.entries(feeds).map(([name, { type, dims }]) => ({ name, type, dims })),
          outputs: [{ name: 'y', type: 'float32', dims: undefined }],
          nodes: [makeNode('GridSample', ['x', 'grid'], ['y'], attributes)],
          opset: 20,
        });
        const normal = normalizeModel(model);
        expect(normal.graph.nodes.map(({ operator }) => operator)).not.toContain('GridSample');
        const [expected, actual] = [await runModel(model, feeds), await runModel(normal, feeds)];
        const found = numbersOf(actual['y']!);
        numbersOf(expected['y']!).forEach((value, at) => expect(found[at]).toBeCloseTo(value, 5));
      });

test.each(['linear', 'nearest', 'cubic'])(
  'reflection between the corners of one pixel is that pixel: %s',
  async (mode) => {
    const feeds = { x: tensor([1, 2, 3, 1], 1), grid: tensor([1, 4, 4, 2], 0.9) };
    const attributes = { mode: string(mode), padding_mode: string('reflection'), align_corners: int(1) };
    const model = (dims: readonly number[]) =>
      makeModel({
        inputs: [
          { name: 'x', type: 'float32', dims },
          { name: 'grid', type: 'float32', dims: feeds.grid.dims },
        ],
        outputs: [{ name: 'y', type: 'float32', dims: undefined }],
        nodes: [makeNode('GridSample', ['x', 'grid'], ['y'], attributes)],
        opset: 20,
      });
    // As many pixels beside it that are all the same.
    const wide = {
      ...feeds.x,
      dims: [1, 2, 3, 4],
      data: Float32Array.from([...feeds.x.data].flatMap((value) => [value, value, value, value])),
    };
    const y = numbersOf((await runModel(normalizeModel(model([1, 2, 3, 1])), feeds))['y']!);
    const expected = numbersOf((await runModel(model([1, 2, 3, 4]), { ...feeds, x: wide }))['y']!);
    y.forEach((value, at) => expect(value).toBeCloseTo(expected[at]!, 5));
  },
);
