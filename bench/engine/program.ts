/** The gradient program that an explanation runs, without its reductions; and how much there is to multiply in a program. */
import path from 'node:path';
import {
  BLOCKED_RULES,
  GraphBuilder,
  appendGradients,
  findFeatures,
  foldPadding,
  narrowToRead,
  normalizeModel,
  opsetOf,
  prepareFor,
  inferGraph,
  isStatic,
  pruneModel,
  sizeOf,
  writeModel,
} from 'onnxray';
import type { Model, Node } from 'onnxray';

export type Dims = Readonly<Record<string, readonly (number | string)[]>>;

/** The file as it is, in canonical form, to count in. */
export const forwardModel = (model: Model, dims: Dims): Model => normalizeModel(model, { dims });

/** Forward and backward with respect to pixels or embeddings, of the sum of the output. */
export function gradientModel(model: Model, output: string, dims: Dims): Model {
  const whole = foldPadding(normalizeModel(model, { dims }));
  const feature = findFeatures(whole)[0]!;
  const kept = [feature.value, output];
  const canonical = prepareFor({ set: 'blocked' }, narrowToRead(whole, kept), kept);
  const b = new GraphBuilder(canonical);
  b.setOutputs([]);
  const seed = b.onesLike(output);
  const gradients = appendGradients(b, { of: output, wrt: [feature.value], seed, rules: BLOCKED_RULES });
  b.addOutput(gradients.get(feature.value)!, 'gradient');
  return pruneModel(b.build());
}

export const programBytes = (program: Model, file: string): Uint8Array =>
  writeModel(program, { weightsIn: path.basename(file) });

/** Floating-point operations of all matrix products and convolutions, two for each multiplication; inputs of these dims. */
export function productFlops(given: Model, dims: Readonly<Record<string, readonly number[]>>): number {
  // Once more: with every length known, what computes shapes folds away.
  const model = normalizeModel({ ...given, graph: { ...given.graph, valueInfos: new Map() } }, { dims });
  const facts = inferGraph(model.graph, opsetOf(model));
  const known = (name: string | undefined): readonly number[] => {
    const own = facts.get(name ?? '')?.dims;
    if (!isStatic(own)) throw new Error(`the shape of "${name}" is not known`);
    return own;
  };
  const flops = ({ operator, inputs: [x, w], outputs: [y] }: Node): number => {
    if (operator === 'MatMul') return 2 * sizeOf(known(y)) * known(x).at(-1)!;
    if (operator === 'Gemm') return (2 * sizeOf(known(x)) * sizeOf(known(y))) / known(y)[0]!;
    if (operator === 'Conv') return 2 * sizeOf(known(y)) * sizeOf(known(w).slice(1));
    if (operator === 'ConvTranspose') return 2 * sizeOf(known(x)) * sizeOf(known(w).slice(1));
    return 0;
  };
  return model.graph.nodes.reduce((sum, node) => sum + flops(node), 0);
}
