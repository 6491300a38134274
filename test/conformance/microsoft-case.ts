/** Operators of onnxruntime's own, taken apart: how a case of one is told, and checked. */
import { expect } from 'vitest';
import { checkGradient } from '../../conformance/check-gradient.ts';
import { maxDifference, numbersOf } from '../../conformance/numbers.ts';
import { differentiate } from '../../src/autodiff/index.ts';
import type { Attribute, DataType, DenseTensor, Dim } from '../../src/onnx/index.ts';
import { int, isFloat, normalizeModel, numbersToData, sizeOf, tensorWeight } from '../../src/onnx/index.ts';
import { chance, hash, makeModel, makeNode, runModel } from '../models.ts';

export interface Input {
  readonly type: DataType;
  readonly dims: readonly number[];
  readonly values?: readonly number[];
  /** A weight of the model rather than something given. */
  readonly constant?: boolean;
}

export interface Case {
  readonly name?: string;
  readonly operator: string;
  readonly domain?: string;
  readonly inputs: readonly (Input | undefined)[];
  readonly attributes?: Readonly<Record<string, Attribute>>;
  readonly outputs?: number;
  /** Straight-through: there are no differences to compare with. */
  readonly quantized?: boolean;
}

export const x = (...dims: number[]): Input => ({ type: 'float32', dims });
export const ints = (type: DataType, dims: readonly number[], values?: readonly number[]): Input => ({
  type,
  dims,
  ...(values === undefined ? {} : { values }),
});
export const fixed = (input: Input): Input => ({ ...input, constant: true });
export const number = (value: number): Input => ({ type: 'float32', dims: [], values: [value], constant: true });
export const byte = (value: number): Input => ({ type: 'uint8', dims: [], values: [value], constant: true });
/** Scales of weights. */
export const small = (...dims: number[]): Input => {
  const random = chance(dims.length);
  return { type: 'float32', dims, values: Array.from({ length: sizeOf(dims) }, () => random(0.005, 0.02)) };
};
export const heads = { num_heads: int(2) };
export const grouped = { num_heads: int(4), kv_num_heads: int(2) };
export function tensorOf({ type, dims, values }: Input, random: (low?: number, high?: number) => number): DenseTensor {
  const whole = () => Math.floor(random(0, 255));
  const list = values ?? Array.from({ length: sizeOf(dims) }, () => (isFloat(type) ? random() : whole()));
  return { type, dims, data: numbersToData(type, list) };
}

export const nameOf = (c: Case): string => `${c.operator} ${c.name ?? ''}`.trim();

/**
 * In primitives the operator gives what the kernel gives, where onnxruntime has one of this form on a CPU, as `kernel` says, and
 * its gradient agrees with differences, whatever is known of the shapes.
 */
export async function checkMicrosoft(c: Case, { kernel }: { readonly kernel: boolean }): Promise<void> {
  const name = nameOf(c);
  const random = chance(hash(name));
  const inputs = c.inputs.flatMap((input, index) =>
    input === undefined ? [] : [{ input, name: `i${index}`, tensor: tensorOf(input, random) }],
  );
  const count = c.outputs ?? 1;
  // Layer norms fused with a sum leave out the mean and deviation that inference does not need.
  const outputs = Array.from({ length: Math.min(count, 4) }, (_, index) =>
    count === 4 && (index === 1 || index === 2) ? '' : `o${index}`,
  );
  const model = makeModel({
    inputs: inputs
      .filter(({ input }) => !input.constant)
      .map(({ input, name }) => ({ name, type: input.type, dims: input.dims })),
    outputs: outputs
      .filter(Boolean)
      .map((output, index) => ({ name: output, type: outputType(c, index), dims: undefined })),
    nodes: [
      makeNode(
        c.operator,
        c.inputs.map((input, index) => (input === undefined ? '' : `i${index}`)),
        outputs,
        c.attributes,
        c.domain ?? 'com.microsoft',
      ),
    ],
    initializers: inputs
      .filter(({ input }) => input.constant)
      .map(({ name, tensor }) => [name, tensorWeight(tensor)] as const),
  });
  const given = inputs.filter(({ input }) => !input.constant);
  const feeds = Object.fromEntries(given.map(({ name, tensor }) => [name, tensor]));
  const normal = normalizeModel(model);
  const actual = await runModel(normal, feeds);
  if (!kernel) await expect(runModel(model, feeds), 'a kernel after all').rejects.toThrow();
  const expected = kernel ? await runModel(model, feeds) : actual;
  for (const output of outputs.filter(Boolean)) {
    expect(actual[output]!.dims).toEqual(expected[output]!.dims);
    const difference = maxDifference(numbersOf(expected[output]!), numbersOf(actual[output]!));
    expect(difference, output).toBeLessThan(2e-5);
  }
  if (c.quantized) return;
  // With a batch and lengths nobody knows before running, the same; attention with widths nobody knows, too, but
  // where they tell one kind of gate from another.
  const loose = (dimsOf: typeof looseDims) =>
    normalizeModel({
      ...model,
      graph: {
        ...model.graph,
        inputs: model.graph.inputs.map(({ name, type, dims }) => ({ name, type, dims: dimsOf(name, type, dims!) })),
      },
    });
  const models = [normal, loose(looseDims), ...(/(?<!Linear)Attention$/.test(c.operator) ? [loose(noDims)] : [])];
  const of = outputs[0]!;
  const wrt = given.filter(({ input }) => isFloat(input.type)).map(({ name }) => name);
  const [known, ...unknown] = await Promise.all(
    models.map(async (each) => runModel(differentiate(each, { of, wrt }).model, feeds)),
  );
  for (const [output, tensor] of Object.entries(known!))
    for (const other of unknown)
      expect(maxDifference(numbersOf(tensor), numbersOf(other[output]!)), `${output}, loose`).toBeLessThan(2e-5);
  const found = await checkGradient({
    name,
    model: normal,
    feeds,
    wrt,
    outputs: outputs.filter((output) => output !== '' && isFloat(expected[output]!.type)),
  });
  expect(found).toMatchObject({ first: { status: 'verified' }, second: { status: 'verified' } });
}

/** A first axis of three or more is a batch; the second of three is a length. */
function looseDims(name: string, type: DataType, dims: readonly Dim[]): readonly Dim[] {
  // Lengths of sequences come one for each sample of the batch.
  if (type === 'int32' && dims.length === 1) return dims[0] === 4 ? ['twice the batch'] : ['batch'];
  if (dims.length < 3) return dims;
  return dims.map((dim, axis) => (axis === 0 ? 'batch' : axis === 1 && dims.length === 3 ? `length of ${name}` : dim));
}

/** Nothing but ranks; what is by head keeps its heads. */
function noDims(name: string, type: DataType, dims: readonly Dim[]): readonly Dim[] {
  const byHead = isFloat(type) && dims.length > 3;
  return dims.map((dim, axis) => (byHead && axis === dims.length - 3 ? dim : `${name}, ${axis}`));
}

function outputType(c: Case, index: number): DataType {
  if (
    c.operator === 'NhwcMaxPool' ||
    c.operator.startsWith('QLinear') ||
    (c.operator === 'QGemm' && c.inputs.length > 7)
  )
    return 'uint8';
  return c.operator.endsWith('EmbedLayerNormalization') && index === 1 ? 'int32' : 'float32';
}
