import { numbersWeight, writeModel } from '../../src/onnx/index.ts';
import { makeModel, makeNode } from '../models.ts';
import * as ort from 'onnxruntime-node';
const run = async (starts: number[], ends: number[], axes: number[], steps: number[], dims = [4, 5]) => {
  const i = (v: number[]) => numbersWeight('int64', [v.length], v);
  const m = makeModel({
    inputs: [{ name: 'x', type: 'float32', dims }],
    outputs: [{ name: 'y', type: 'float32', dims: undefined }],
    nodes: [makeNode('Slice', ['x', 's', 'e', 'a', 't'], ['y'])],
    initializers: [
      ['s', i(starts)],
      ['e', i(ends)],
      ['a', i(axes)],
      ['t', i(steps)],
    ],
  });
  const out: string[] = [];
  for (const ep of ['cpu', 'webgpu']) {
    const s = await ort.InferenceSession.create(writeModel(m), { executionProviders: [ep], logSeverityLevel: 4 });
    const r = await s.run({
      x: new ort.Tensor(
        'float32',
        Float32Array.from({ length: dims.reduce((a, b) => a * b) }, (_, k) => k),
        dims,
      ),
    });
    out.push(Array.from(r['y']!.data as Float32Array).join(' '));
  }
  console.log(starts, ends, axes, steps, out[0] === out[1] ? 'same' : out);
};
const MIN = -(2 ** 63),
  MAX = 2 ** 63;
await run([-1], [MIN], [0], [-1]);
await run([-1], [-100], [0], [-1]);
await run([-1], [-100], [0], [-2]);
await run([3], [-100], [0], [-2]);
await run([3], [0], [0], [-2]);
await run([-1], [MIN], [0], [-2]);
await run([0], [MAX], [0], [2]);
await run([4], [0], [1], [-1]);
await run([4], [0], [1], [-2]);
await run([4], [-6], [1], [-2]);
await run([4], [-6], [1], [-1]);
console.log('---');
await run([4], [0], [0], [-2], [6, 3]);
await run([4], [0], [0], [-1], [6, 3]);
await run([4], [0], [0], [-3], [6, 3]);
await run([5], [0], [0], [-2], [6, 3]);
await run([3], [0], [0], [-2], [6, 3]);
await run([4], [1], [0], [-2], [6, 3]);
await run([3], [0], [0], [-3], [6, 3]);
await run([4], [0], [0], [-2], [6]);
await run([4], [-100], [0], [-2], [6]);
await run([4], [-100], [0], [-4], [6]);
