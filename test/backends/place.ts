import { int } from '../../src/onnx/index.ts';
import { makeModel, makeNode } from '../models.ts';
import { writeModel } from '../../src/onnx/index.ts';
import * as ort from 'onnxruntime-node';
const f = (name: string, dims: number[]) => ({ name, type: 'float32' as const, dims });
const l = (name: string, dims: number[]) => ({ name, type: 'int64' as const, dims });
const add: any = { reduction: { kind: 'string', value: 'add' } };
const tests: Record<string, any> = {
  ScatterElementsAdd: {
    inputs: [f('x', [4, 4]), l('i', [2, 4]), f('u', [2, 4])],
    nodes: [makeNode('ScatterElements', ['x', 'i', 'u'], ['y'], add)],
  },
  ScatterElements: {
    inputs: [f('x', [4, 4]), l('i', [2, 4]), f('u', [2, 4])],
    nodes: [makeNode('ScatterElements', ['x', 'i', 'u'], ['y'])],
  },
  ScatterNDAdd: {
    inputs: [f('x', [4, 4]), l('i', [2, 1]), f('u', [2, 4])],
    nodes: [makeNode('ScatterND', ['x', 'i', 'u'], ['y'], add)],
  },
  GatherElements: { inputs: [f('x', [4, 4]), l('i', [2, 4])], nodes: [makeNode('GatherElements', ['x', 'i'], ['y'])] },
  GatherND: { inputs: [f('x', [4, 4]), l('i', [2, 1])], nodes: [makeNode('GatherND', ['x', 'i'], ['y'])] },
  Gather: { inputs: [f('x', [4, 4]), l('i', [2])], nodes: [makeNode('Gather', ['x', 'i'], ['y'])] },
  TopK: { inputs: [f('x', [4, 4]), l('k', [1])], nodes: [makeNode('TopK', ['x', 'k'], ['y', 'z'])] },
  OneHot: { inputs: [l('x', [4]), l('k', [1]), f('v', [2])], nodes: [makeNode('OneHot', ['x', 'k', 'v'], ['y'])] },
  Sign: { inputs: [f('x', [4, 4])], nodes: [makeNode('Sign', ['x'], ['y'])] },
  Trilu: { inputs: [f('x', [4, 4])], nodes: [makeNode('Trilu', ['x'], ['y'])] },
  CumSum: { inputs: [f('x', [4, 4]), l('k', [])], nodes: [makeNode('CumSum', ['x', 'k'], ['y'])] },
  ReduceProd: { inputs: [f('x', [4, 4])], nodes: [makeNode('ReduceProd', ['x'], ['y'])] },
  ArgMax: { inputs: [f('x', [4, 4])], nodes: [makeNode('ArgMax', ['x'], ['y'])] },
  Einsum: {
    inputs: [f('x', [4, 4]), f('z', [4, 4])],
    nodes: [makeNode('Einsum', ['x', 'z'], ['y'], { equation: { kind: 'string', value: 'ij,jk->ik' } } as any)],
  },
  Where: {
    inputs: [{ name: 'c', type: 'bool', dims: [4] }, f('x', [4]), f('z', [4])],
    nodes: [makeNode('Where', ['c', 'x', 'z'], ['y'])],
  },
  Mod: { inputs: [f('x', [4]), f('z', [4])], nodes: [makeNode('Mod', ['x', 'z'], ['y'], { fmod: int(1) })] },
  Pad: { inputs: [f('x', [4, 4]), l('p', [4])], nodes: [makeNode('Pad', ['x', 'p'], ['y'])] },
  Resize: { inputs: [f('x', [1, 1, 4, 4]), f('s', [4])], nodes: [makeNode('Resize', ['x', '', 's'], ['y'])] },
  GridSample: {
    inputs: [f('x', [1, 1, 4, 4]), f('s', [1, 2, 2, 2])],
    nodes: [makeNode('GridSample', ['x', 's'], ['y'])],
  },
  ConstantOfShape: { inputs: [l('x', [2])], nodes: [makeNode('ConstantOfShape', ['x'], ['y'])] },
  EqualF: {
    inputs: [f('x', [4]), f('z', [4])],
    nodes: [makeNode('Equal', ['x', 'z'], ['e']), makeNode('Cast', ['e'], ['y'], { to: int(1) })],
  },
  NotAnd: {
    inputs: [f('x', [4]), f('z', [4])],
    nodes: [
      makeNode('Equal', ['x', 'z'], ['e']),
      makeNode('Not', ['e'], ['n']),
      makeNode('And', ['e', 'n'], ['m']),
      makeNode('Cast', ['m'], ['y'], { to: int(1) }),
    ],
  },
  MulInt64: { inputs: [l('x', [4]), l('z', [4])], nodes: [makeNode('Mul', ['x', 'z'], ['y'])] },
  FusedMatMul: {
    inputs: [f('x', [4, 4]), f('z', [4, 4])],
    nodes: [makeNode('FusedMatMul', ['x', 'z'], ['y'], { transB: int(1) }, 'com.microsoft')],
  },
};

for (const [name, t] of Object.entries(tests)) {
  const m = makeModel({
    inputs: t.inputs,
    outputs: [{ name: 'y', type: ['ArgMax', 'MulInt64'].includes(name) ? 'int64' : 'float32', dims: undefined }],
    nodes: t.nodes,
  });
  try {
    const s = await ort.InferenceSession.create(writeModel(m), {
      executionProviders: ['webgpu'],
      logSeverityLevel: 4,
      extra: { session: { disable_cpu_ep_fallback: '1' } },
    } as any);
    await s.release();
    console.log(name, 'on GPU');
  } catch (e) {
    console.log(name, 'NOT', String((e as Error).message).slice(0, 120));
  }
}
