import { expect, test } from 'vitest';
import type { DenseTensor, NamedTensors } from '../../src/onnx/index.ts';
import { detectorForm, readBoxes } from '../../src/tasks/index.ts';

const floats = (dims: readonly number[], values: readonly number[]): DenseTensor => ({
  type: 'float32',
  dims,
  data: Float32Array.from(values),
});
const SIZE = { height: 100, width: 100 };
const boxes = floats([1, 3, 4], [10, 10, 30, 30, 40, 40, 70, 70, 5, 60, 20, 90]);
const read = (outputs: NamedTensors) => readBoxes(outputs, detectorForm(outputs), SIZE, { least: 0.5 });

test('scores of a sigmoid that add up to one by chance in one box have no background among them', () => {
  const scores = floats([1, 3, 3], [0.1, 0.8, 0.7, 0.9, 0.05, 0.05, 0.2, 0.1, 0.6]);
  const found = read({ boxes, scores });
  expect(found.map(({ label }) => label)).toEqual([0, 1, 2]);
  expect(found.map(({ classes }) => classes.length)).toEqual([3, 3, 3]);
  expect(found[0]!.elements['class']).toEqual({ output: 'scores', indices: [1, 0], unbatched: false });
});

test('logits go through a softmax in every box, those that lie between 0 and 1 too', () => {
  const logits = floats([1, 3, 3], [0.2, 0.9, 0.3, -2, 6, -2, 5, -1, -1]);
  const found = read({ boxes, logits });
  expect(found.map(({ label }) => label)).toEqual([1, 0]);
  for (const { classes } of found) expect(classes.reduce((sum, share) => sum + share, 0)).toBeLessThanOrEqual(1);
});

test('where every box has shares of a softmax, the first class is the background', () => {
  const scores = floats([1, 3, 3], [0.1, 0.8, 0.1, 0.9, 0.05, 0.05, 0.2, 0.1, 0.7]);
  expect(read({ boxes, scores }).map(({ label }) => label)).toEqual([0, 1]);
});
