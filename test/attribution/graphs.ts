/** Small models made on the spot. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import * as fc from 'fast-check';
import { attribute } from '../../src/attribution/index.ts';
import type { AttributeRequest } from '../../src/attribution/index.ts';
import { GraphBuilder, writeModel } from '../../src/onnx/index.ts';
import type { Model, ValueName } from '../../src/onnx/index.ts';
import { ModelHost } from '../../src/runtime/index.ts';

/** A model of x [batch, width] that answers with what `build` makes of it. */
export function buildModel(width: number, build: (b: GraphBuilder, x: ValueName) => ValueName): Model {
  const empty: Model = {
    irVersion: 8,
    producer: 'test',
    opsets: new Map([['', 18]]),
    functions: [],
    metadata: new Map(),
    graph: {
      name: 'test',
      inputs: [{ name: 'x', type: 'float32', dims: ['batch', width] }],
      outputs: [],
      nodes: [],
      initializers: new Map(),
      valueInfos: new Map(),
      otherTypes: new Map(),
    },
  };
  const b = new GraphBuilder(empty);
  b.addOutput(build(b, 'x'), 'y');
  return b.build();
}

/** Opens a model for the time of `use`. */
export async function withModel<T>(model: Model, use: (host: ModelHost) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(path.join(tmpdir(), 'onnxray-test-'));
  try {
    writeFileSync(path.join(folder, 'model.onnx'), writeModel(model));
    const host = await ModelHost.open(path.join(folder, 'model.onnx'), { cache: false, threads: 1 });
    try {
      return await use(host);
    } finally {
      await host.release();
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

export const row = (values: readonly number[]) =>
  ({ type: 'float32', dims: [1, values.length], data: Float32Array.from(values) }) as const;

export async function explainRow(
  host: ModelHost,
  method: string,
  x: readonly number[],
  more: Partial<AttributeRequest> & { readonly from?: readonly number[] } = {},
) {
  const { from, ...request } = more;
  const { explanation } = await attribute(host, {
    inputs: { x: row(x) },
    method,
    target: { label: '0', indices: [0] },
    ...(from === undefined ? {} : { baseline: { x: row(from) } }),
    ...request,
  });
  return { explanation, scores: Array.from(explanation.attributions['x']!.data) };
}

/** One step of a random network on a vector of fixed width. */
export type Step =
  | { readonly kind: 'dense'; readonly weights: readonly number[]; readonly bias: readonly number[] }
  | { readonly kind: 'activation'; readonly operator: 'Relu' | 'Tanh' | 'Sigmoid' | 'Softplus' }
  | { readonly kind: 'residual'; readonly operator: 'Relu' | 'Tanh' }
  | { readonly kind: 'gate' }
  | { readonly kind: 'softmax' };

const number = (limit: number) => fc.integer({ min: -100, max: 100 }).map((each) => (each * limit) / 100);
export const vector = (width: number, limit = 1.5) => fc.array(number(limit), { minLength: width, maxLength: width });

const dense = (width: number) =>
  fc.record({ kind: fc.constant('dense' as const), weights: vector(width * width, 0.9), bias: vector(width, 0.4) });
const activation = fc.record({
  kind: fc.constant('activation' as const),
  operator: fc.constantFrom('Relu', 'Tanh', 'Sigmoid', 'Softplus'),
});
const residual = fc.record({ kind: fc.constant('residual' as const), operator: fc.constantFrom('Relu', 'Tanh') });

/** Dense layers with activations and residual sums between them; `products` also gates and softmax. */
export function randomSteps(width: number, products: boolean): fc.Arbitrary<readonly Step[]> {
  const between: fc.Arbitrary<Step> = products
    ? fc.oneof(activation, residual, fc.constant({ kind: 'gate' } as const), fc.constant({ kind: 'softmax' } as const))
    : fc.oneof(activation, residual);
  return fc
    .array(fc.tuple(dense(width), between), { minLength: 1, maxLength: 3 })
    .chain((pairs) => dense(width).map((last) => [...pairs.flat(), last]));
}

export function applySteps(b: GraphBuilder, x: ValueName, steps: readonly Step[], width: number): ValueName {
  const emit = (operator: string, value: ValueName) => {
    const output = b.unusedName(operator);
    b.push({ name: output, operator, domain: '', inputs: [value], outputs: [output], attributes: {} });
    return output;
  };
  return steps.reduce((value, step) => {
    switch (step.kind) {
      case 'dense':
        return b.add(
          b.matmul(value, b.constant('float32', [width, width], step.weights)),
          b.constant('float32', [width], step.bias),
        );
      case 'activation':
        return emit(step.operator, value);
      case 'residual':
        return b.add(value, emit(step.operator, value));
      case 'gate':
        return b.mul(value, b.tanh(b.matmul(value, b.constant('float32', [width, width], identityFlipped(width)))));
      case 'softmax':
        return b.softmax(value, -1);
    }
  }, x);
}

const identityFlipped = (width: number) =>
  Array.from({ length: width * width }, (_, at) => (Math.floor(at / width) + (at % width) === width - 1 ? 1 : 0));
