/** Gradients of the target at values within the model, reduced in the graph: one forward and one backward pass. */
import { appendGradients } from '../../autodiff/index.ts';
import { GraphBuilder, inferGraph, opsetOf, pruneModel } from '../../onnx/index.ts';
import type { DenseTensor, Model, NamedTensors, ValueName } from '../../onnx/index.ts';
import { numbers } from '../../programs/index.ts';
import { part } from './edits.ts';
import type { Question } from './question.ts';

export interface GradientAt {
  readonly value: ValueName;
  /**
   * `heads`: sum of value times gradient over all but the heads, [heads]; `positions`: the same over the last axis, by
   * position, [positions]; `norm`: the gradient's Euclidean norm by position.
   */
  readonly by: 'heads' | 'positions' | 'norm';
  readonly heads: number | null;
}

interface GradientRequest {
  readonly kind: 'gradients at';
  readonly output: ValueName;
  readonly at: readonly GradientAt[];
}

const TARGET = 'onnxray/target';
const nameOf = (index: number) => `onnxray/at/${index}`;

export function compileGradientsAt(model: Model, { output, at }: GradientRequest): Model {
  const b = new GraphBuilder({ ...model, graph: { ...model.graph, outputs: [] } });
  const dims = inferGraph(model.graph, opsetOf(model)).get(output)?.dims;
  const target = b.addInput({
    name: TARGET,
    type: 'float32',
    dims: dims?.map((dim, axis) => (typeof dim === 'number' ? dim : `target ${axis}`)),
  });
  const seed = b.op('Expand', [b.cast(target, b.type(output)), b.shape(output)], {}, { dims: b.dims(output) });
  const wrt = [...new Set(at.map(({ value }) => value))];
  const gradients = appendGradients(b, { of: output, wrt, seed });
  at.forEach(({ value, by, heads }, index) => {
    const gradient = gradients.get(value)!;
    const product = by === 'norm' ? b.square(gradient) : b.mul(value, gradient);
    const shaped = by === 'heads' && b.rank(product) === 3 ? part(b, product, heads ?? 1) : product;
    const axes = Array.from({ length: b.rank(shaped) - 2 }, (_, axis) => axis + 2);
    const sums = b.cast(b.sum(shaped, axes, false), 'float32');
    b.addOutput(by === 'norm' ? b.sqrt(sums) : sums, nameOf(index));
  });
  return pruneModel(b.build());
}

/** The numbers of each value asked for, for the question's input and target. */
export async function gradientsAt(
  { chain, run, weights }: Question,
  at: readonly GradientAt[],
): Promise<readonly Float64Array[]> {
  const request: GradientRequest = { kind: 'gradients at', output: chain.options.output, at };
  const session = await chain.host.program(request, (model) => compileGradientsAt(model, request));
  const feeds: Record<string, DenseTensor> = { ...run.inputs, [TARGET]: weights };
  const known: NamedTensors = Object.fromEntries(session.inputNames.map((name) => [name, feeds[name]!]));
  const { signal } = chain.options;
  // A backward pass costs about as much as a forward one.
  chain.runner.countPasses(2);
  const results = await session.run(known, signal === undefined ? {} : { signal });
  return at.map((_, index) => Float64Array.from(numbers(results[nameOf(index)]!)));
}
