import { describe, expect, test } from 'vitest';
import { EMITTED_OPERATORS, UserError, float, int, numbersWeight, writeModel } from '../../src/onnx/index.ts';
import { GRADIENT_RULES, MissingRulesError, differentiate } from '../../src/autodiff/index.ts';
import { makeModel, makeNode, numbersOf, runModel } from '../models.ts';
import { SHAPES, caseModel } from './case.ts';
import { CASES } from './cases/index.ts';
import { differentiateTwice, precisionOf } from './check.ts';

/** y = (x w)^2 + x, with an integer input and a value y does not depend on. */
const model = makeModel({
  inputs: [
    { name: 'x', type: 'float32', dims: ['n'] },
    { name: 'ids', type: 'int64', dims: ['n'] },
    { name: 'other', type: 'float32', dims: [2] },
  ],
  outputs: [
    { name: 'y', type: 'float32', dims: ['n'] },
    { name: 'z', type: 'float32', dims: [2] },
    { name: 'count', type: 'int64', dims: ['n'] },
  ],
  nodes: [
    makeNode('Mul', ['x', 'w'], ['h']),
    makeNode('Mul', ['h', 'h'], ['square']),
    makeNode('Add', ['square', 'x'], ['y']),
    makeNode('Neg', ['other'], ['z']),
    makeNode('Identity', ['ids'], ['count']),
  ],
  initializers: [['w', numbersWeight('float32', [1], [3])]],
});
const feeds = {
  x: { type: 'float32', dims: [2], data: Float32Array.of(1, 2) },
  ids: { type: 'int64', dims: [2], data: BigInt64Array.of(1n, 2n) },
  other: { type: 'float32', dims: [2], data: Float32Array.of(1, 2) },
} as const;

describe('a value can be differentiated', () => {
  test('with respect to inputs, weights and what is between, together', async () => {
    const { model: program, gradients } = differentiate(model, { of: 'y', wrt: ['x', 'w', 'h', 'y'] });
    expect([...gradients]).toEqual([
      ['x', 'x_grad'],
      ['w', 'w_grad'],
      ['h', 'h_grad'],
      ['y', 'y_grad'],
    ]);
    const results = await runModel(program, feeds);
    // dy/dx = 2 w^2 x + 1, dy/dw = sum 2 w x^2, dy/dh = 2 h
    expect(numbersOf(results['x_grad']!)).toEqual([19, 37]);
    expect(numbersOf(results['w_grad']!)).toEqual([30]);
    expect(numbersOf(results['h_grad']!)).toEqual([6, 12]);
    expect(numbersOf(results['y_grad']!)).toEqual([1, 1]);
  });

  test('beside its own outputs, which stay what they were', async () => {
    const { model: program } = differentiate(model, { of: 'y', wrt: ['x'] });
    const [plain, results] = [await runModel(model, feeds), await runModel(program, feeds)];
    for (const name of ['y', 'z', 'count']) expect(results[name]).toEqual(plain[name]);
  });

  test('without its own outputs, and then what only they needed is gone', () => {
    const { model: program } = differentiate(model, { of: 'y', wrt: ['x'], keepOutputs: false });
    expect(program.graph.outputs.map(({ name }) => name)).toEqual(['x_grad']);
    expect(program.graph.nodes.some(({ operator }) => operator === 'Neg')).toBe(false);
  });

  test('weighted by a seed given at run time, so that one program serves every target', async () => {
    const { model: program } = differentiate(model, { of: 'y', wrt: ['x'], seed: { input: 'seed' } });
    const seed = { type: 'float32', dims: [2], data: Float32Array.of(0, 1) } as const;
    expect(numbersOf((await runModel(program, { ...feeds, seed }))['x_grad']!)).toEqual([0, 37]);
  });

  test('to zeros where it does not depend on a value', async () => {
    const { model: program } = differentiate(model, { of: 'y', wrt: ['other'] });
    expect(numbersOf((await runModel(program, feeds))['other_grad']!)).toEqual([0, 0]);
  });

  test('twice, and the second gradient gets a name of its own', async () => {
    const first = differentiate(model, { of: 'y', wrt: ['x'] });
    const second = differentiate(first.model, { of: 'x_grad', wrt: ['x'] });
    expect(second.gradients.get('x')).toBe('x_grad_2');
    expect(numbersOf((await runModel(second.model, feeds))['x_grad_2']!)).toEqual([18, 18]);
  });

  test('without changing the model it was given', () => {
    const before = writeModel(model);
    differentiate(model, { of: 'y', wrt: ['x', 'w'] });
    expect(writeModel(model)).toEqual(before);
  });
});

describe('a request that cannot be met gives one line', () => {
  test('for an unknown name', () =>
    expect(() => differentiate(model, { of: 'logits', wrt: ['x'] })).toThrow(/no value named "logits"/));
  test('for integers', () =>
    expect(() => differentiate(model, { of: 'y', wrt: ['ids'] })).toThrow(/"ids" is of type int64.*embedding/));
  test('for operators without a rule, all of them at once', () => {
    const strange = makeModel({
      inputs: [{ name: 'x', type: 'float32', dims: [2] }],
      outputs: [{ name: 'y', type: 'float32', dims: [2] }],
      nodes: [
        makeNode('Det', ['x'], ['a']),
        makeNode('Relu', ['a'], ['b']),
        makeNode('Custom', ['b'], ['y'], {}, 'my.domain'),
      ],
    });
    const attempt = () => differentiate(strange, { of: 'y', wrt: ['x'] });
    expect(attempt).toThrow(MissingRulesError);
    expect(attempt).toThrow(/no gradient rule for Det \(node "Det_a", opset 18\); also missing: my.domain::Custom/);
  });
  test('for an attribute without a rule', () => {
    const strange = makeModel({
      inputs: [{ name: 'x', type: 'float32', dims: [2, 2] }],
      outputs: [{ name: 'y', type: 'float32', dims: undefined }],
      nodes: [makeNode('Einsum', ['x'], ['y'], { equation: { kind: 'string', value: 'ii->i' } })],
    });
    expect(() => differentiate(strange, { of: 'y', wrt: ['x'] })).toThrow(UserError);
  });
  test('for an unknown rank', () => {
    const strange = makeModel({
      inputs: [{ name: 'x', type: 'float32', dims: undefined }],
      outputs: [{ name: 'y', type: 'float32', dims: undefined }],
      nodes: [makeNode('Softmax', ['x'], ['y'], { axis: int(-1) })],
    });
    expect(() => differentiate(strange, { of: 'y', wrt: ['x'] })).toThrow(/the rank of "\w+" is unknown/);
  });
  test('for an unknown rank of what the gradient computes, by the node it belongs to', () => {
    const strange = makeModel({
      inputs: [{ name: 'x', type: 'float32', dims: undefined }],
      outputs: [{ name: 'y', type: 'float32', dims: undefined }],
      nodes: [makeNode('Mul', ['x', 'x'], ['h']), makeNode('Add', ['h', 'x'], ['y'])],
    });
    expect(() => differentiate(strange, { of: 'y', wrt: ['x'] })).toThrow(
      /the ranks? (of|at node) "(?!onnxray).*" (is|are) unknown/,
    );
  });
  test('for a seed without a name', () =>
    expect(() => differentiate(model, { of: 'y', wrt: ['x'], seed: { input: '' } })).toThrow(/needs a name/));
});

test('rules emit only operators that are listed as emitted', () => {
  const listed = new Set<string>(EMITTED_OPERATORS);
  const emitted = new Set<string>();
  for (const c of Object.values(CASES).flat())
    for (const shapes of SHAPES) {
      if (c.staticOnly && shapes !== 'static') continue;
      const own = new Set(caseModel(c, precisionOf(c), shapes).graph.nodes.map(({ operator }) => operator));
      for (const { operator, name } of differentiateTwice(c, precisionOf(c), shapes).model.graph.nodes)
        if (name.startsWith('onnxray/') && !own.has(operator)) emitted.add(operator);
    }
  expect([...emitted].filter((operator) => !listed.has(operator))).toEqual([]);
  expect([...emitted].filter((operator) => GRADIENT_RULES[operator] === undefined)).toEqual([]);
});

test('a gradient nobody asked for is not built', () => {
  const gemm = makeModel({
    inputs: [{ name: 'x', type: 'float32', dims: [2, 3] }],
    outputs: [{ name: 'y', type: 'float32', dims: [2, 4] }],
    nodes: [makeNode('Gemm', ['x', 'w'], ['y'], { alpha: float(1) })],
    initializers: [['w', numbersWeight('float32', [3, 4], Array(12).fill(1))]],
  });
  const { model: program } = differentiate(gemm, { of: 'y', wrt: ['x'], keepOutputs: false });
  expect(program.graph.nodes.filter(({ operator }) => operator === 'MatMul').length).toBe(1);
});
