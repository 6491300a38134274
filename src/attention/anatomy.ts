/** What stands around a block's attention: the weight and bias of its projection, the residual, the norms that follow. */
import { UserError, floatAttribute, weightNumbers } from '../onnx/index.ts';
import type { Node, ValueName } from '../onnx/index.ts';
import type { AttentionBlock, Projection } from './locate.ts';
import type { Tracer } from './trace.ts';

/** A layer normalisation, however exported. */
export interface Norm {
  /** What is normed, and what comes of it. */
  readonly input: ValueName;
  readonly output: ValueName;
  /** Weight [hidden]; undefined for one. */
  readonly scale: ValueName | undefined;
  readonly epsilon: number;
}

export interface Anatomy {
  readonly block: AttentionBlock;
  readonly projection: Projection;
  /** What is added to the projected context, [batch, queries, hidden]. */
  readonly residual: ValueName;
  /** Projected context and residual, [batch, queries, hidden]. */
  readonly sum: ValueName;
  /** The norm after the sum, of models that norm there; the residual stream of others goes on from the sum. */
  readonly norm: Norm | undefined;
}

/** Operators that pass a value on, towards the residual. */
const ONWARD = new Set(['Reshape', 'Cast', 'Identity', 'Dropout', 'Squeeze', 'Unsqueeze']);

/**
 * Finds what stands around a block. Throws a UserError when its output is not projected and added to a residual, as in
 * windows of Swin, and nothing of the kind can be computed.
 */
export function anatomyOf(tracer: Tracer, block: AttentionBlock): Anatomy {
  const refuse = (what: string): never => {
    throw new UserError(`${block.path}: no ${what} was found after its attention, which this analysis needs`);
  };
  if (block.projection === null) return refuse('output projection');
  const { projection } = block;
  const added = residualAfter(tracer, projection.output);
  if (added === undefined) return refuse('residual connection');
  return { block, projection, ...added, norm: normAfter(tracer, added.sum) };
}

function residualAfter(tracer: Tracer, output: ValueName): Pick<Anatomy, 'residual' | 'sum'> | undefined {
  let value = output;
  for (let steps = 0; steps < 8; steps++) {
    const next = (tracer.consumers.get(value) ?? []).find(({ operator }) => operator === 'Add' || ONWARD.has(operator));
    if (next === undefined) return undefined;
    if (next.operator === 'Add') {
      const other = next.inputs[next.inputs[0] === value ? 1 : 0]!;
      if (!tracer.constants.has(other)) return { residual: other, sum: behindBias(tracer, next.outputs[0]!) };
    }
    value = next.outputs[0]!;
  }
  return undefined;
}

/** What reads a value, or what is the same under another name. */
function readersOf(tracer: Tracer, value: ValueName): readonly Node[] {
  return (tracer.consumers.get(value) ?? []).flatMap((node) =>
    node.operator === 'Identity' ? readersOf(tracer, node.outputs[0]!) : [node],
  );
}

/** A sum with the bias that is added to it alone: onnxruntime's fused norms add the projection's after the residual. */
function behindBias(tracer: Tracer, sum: ValueName): ValueName {
  const readers = readersOf(tracer, sum);
  const [only] = readers;
  const biased =
    readers.length === 1 && only?.operator === 'Add' && only.inputs.some((name) => tracer.constants.has(name));
  return biased ? only.outputs[0]! : sum;
}

/** The norm that is all that reads a value: the residual stream goes through it. */
export function normAfter(tracer: Tracer, value: ValueName): Norm | undefined {
  const readers = readersOf(tracer, value);
  const [only] = readers;
  if (readers.length === 1 && only?.operator === 'LayerNormalization')
    return {
      input: value,
      output: only.outputs[0]!,
      scale: only.inputs[1],
      epsilon: floatAttribute(only, 'epsilon', 1e-5),
    };
  return primitiveNorm(tracer, value, readers);
}

/** (x - mean x) / sqrt(mean (x - mean x)^2 + epsilon) * scale + bias, as exporters before opset 17 write it. */
function primitiveNorm(tracer: Tracer, value: ValueName, readers: readonly Node[]): Norm | undefined {
  const mean = readers.find(({ operator }) => operator === 'ReduceMean')?.outputs[0];
  const centred = readers.find(
    ({ operator, inputs }) => operator === 'Sub' && inputs[0] === value && inputs[1] === mean,
  );
  // Some exports subtract twice, once for the variance.
  if (mean === undefined || centred === undefined) return undefined;
  if (!readers.every(({ operator }) => operator === 'ReduceMean' || operator === 'Sub')) return undefined;
  const subtractions = readers.filter(({ operator }) => operator === 'Sub').map(({ outputs }) => outputs[0]!);
  const divided = subtractions
    .flatMap((name) => tracer.consumers.get(name) ?? [])
    .find(({ operator, inputs }) => operator === 'Div' && subtractions.includes(inputs[0]!));
  if (divided === undefined) return undefined;
  const epsilon = epsilonBelow(tracer, divided.inputs[1]!);
  if (epsilon === undefined) return undefined;
  let output = divided.outputs[0]!;
  let scale: ValueName | undefined;
  for (const operator of ['Mul', 'Add']) {
    const next = (tracer.consumers.get(output) ?? []).find(
      (node) => node.operator === operator && node.inputs.some((name) => tracer.constants.has(name)),
    );
    if (next === undefined) break;
    if (operator === 'Mul') scale = next.inputs.find((name) => tracer.constants.has(name));
    output = next.outputs[0]!;
  }
  return { input: value, output, scale, epsilon };
}

/** The constant added under the square root. */
function epsilonBelow(tracer: Tracer, deviation: ValueName): number | undefined {
  const root = tracer.producers.get(deviation);
  const added = root?.operator === 'Sqrt' ? tracer.producers.get(root.inputs[0]!) : undefined;
  if (added?.operator !== 'Add') return undefined;
  for (const name of added.inputs) {
    const weight = tracer.model.graph.initializers.get(name);
    const found = weight && weightNumbers(weight, 1)?.[0];
    if (found !== undefined) return found;
  }
  return undefined;
}

/** The norm after the feed-forward part that follows a block's own norm: the second of a post-norm layer. */
export function secondNorm(tracer: Tracer, first: Norm): Norm | undefined {
  // The residual goes from the first norm straight to the sum that the second norms.
  for (const node of readersOf(tracer, first.output))
    if (node.operator === 'Add' && node.inputs.every((name) => !tracer.constants.has(name))) {
      const norm = normAfter(tracer, behindBias(tracer, node.outputs[0]!));
      if (norm !== undefined) return norm;
    }
  return undefined;
}
