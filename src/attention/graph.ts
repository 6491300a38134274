import { GraphBuilder, UserError, isFloat, nodeLabel, pruneModel } from '../onnx/index.ts';
import type { Model, NamedTensors, Node, ValueName } from '../onnx/index.ts';
import type { Scores } from '../explanation/index.ts';
import { inFourAxes, numbers } from '../programs/index.ts';
import type { ModelHost } from '../runtime/core.ts';
import type { AttentionBlock } from './locate.ts';
import { locateAttention } from './locate.ts';
import { traceModel } from './trace.ts';
import type { Tracer } from './trace.ts';

/** Names of what programs of this room take and give. */
export const ATTENTION = {
  /** Positions of the queries kept, int64 [rows]. */
  rows: 'onnxray/attention/rows',
  /** Weight of each element of the output that gradients are taken of, [1, ...]. */
  target: 'onnxray/attention/target',
  output: (block: number, what: string) => `onnxray/attention/${block}/${what}`,
  /** What is of the whole model. */
  whole: (what: string) => `onnxray/attention/all/${what}`,
} as const;

/** A located block in a graph under construction, its values in four axes whatever the exporter made of them. */
export interface OpenBlock {
  readonly block: AttentionBlock;
  /** [batch, heads, queries, keys]. */
  readonly probabilities: ValueName;
}

export interface OpenAttention {
  readonly b: GraphBuilder;
  readonly blocks: readonly OpenBlock[];
  /** Of the model as it was. */
  readonly tracer: Tracer;
}

/**
 * A builder over a model without its outputs, and the blocks asked for (all unless said). Throws a UserError when the
 * model attends nowhere, or a block is not there.
 */
export function openAttention(model: Model, indices?: readonly number[]): OpenAttention {
  const located = chooseBlocks(model, indices);
  const b = new GraphBuilder(model);
  b.setOutputs([]);
  const blocks = located.map((block) => ({ block, probabilities: inFourAxes(b, block.probabilities, block) }));
  return { b, blocks, tracer: traceModel(model) };
}

/** A model's blocks with these indices (all unless said), in the order of the graph. */
export function chooseBlocks(model: Model, indices?: readonly number[]): readonly AttentionBlock[] {
  const blocks = locateAttention(model);
  if (blocks.length === 0) throw new UserError(noAttention(model));
  const missing = indices?.find((index) => blocks[index] === undefined);
  if (missing !== undefined)
    throw new UserError(`the model has no attention block ${missing}: it has blocks 0 to ${blocks.length - 1}`);
  return indices === undefined ? blocks : blocks.filter(({ index }) => indices.includes(index));
}

/** Why a model shows no attention: it has none, or only inside of a kernel that cannot be opened. */
export function noAttention(model: Model): string {
  const [sealed] = sealedKernels(model);
  return sealed === undefined
    ? 'the model attends nowhere: it has no softmax between two products of values that depend on the input'
    : `the attention of this model is inside a fused ${sealed.domain === '' ? '' : `${sealed.domain}::`}${sealed.operator} that cannot be opened (node "${nodeLabel(sealed)}"): export the model without that fusion`;
}

/** Nodes of a model in its canonical form that attend inside of themselves: what could be opened is open by now. */
export function sealedKernels(model: Model): readonly Node[] {
  return model.graph.nodes.filter(({ operator }) => SEALED.test(operator));
}

const SEALED = /attention|flash/i;

/** The input of a program that holds the weights of the output's elements, and the output times them, summed. */
export function addTarget(b: GraphBuilder, output: ValueName): ValueName {
  if (b.facts(output) === undefined && b.producer(output) === undefined)
    throw new UserError(`the model has no output "${output}"`);
  if (!isFloat(b.type(output)))
    throw new UserError(`output "${output}" is of type ${b.type(output)}: only floating-point values have gradients`);
  const dims = b.dims(output);
  const target = b.addInput({ name: ATTENTION.target, type: 'float32', dims: dims && [1, ...dims.slice(1)] });
  return b.op('Expand', [b.cast(target, b.type(output)), b.shape(output)], {}, { dims });
}

/** Makes a value an output, as float32 where it is of floats. */
export function give(b: GraphBuilder, value: ValueName, name: string): void {
  b.addOutput(isFloat(b.type(value)) ? b.cast(value, 'float32') : value, name);
}

export const finish = (b: GraphBuilder): Model => pruneModel(b.build());

/** Bump when programs of this room compiled earlier must not be used any more. */
const FORMAT = 5;

/** Runs a program of this room; compiled by `compile` unless the host has it. Outputs by name. */
export async function runAttention(
  host: ModelHost,
  request: object,
  compile: (model: Model) => Model,
  feeds: NamedTensors,
  signal?: AbortSignal,
): Promise<Readonly<Record<string, Scores>>> {
  const session = await host.program({ attention: request, format: FORMAT }, compile);
  const known = new Set(session.inputNames);
  const given = Object.fromEntries(Object.entries(feeds).filter(([name]) => known.has(name)));
  const outputs = await session.run(given, signal === undefined ? {} : { signal });
  return Object.fromEntries(
    Object.entries(outputs).map(([name, tensor]) => [
      name,
      {
        dims: tensor.dims,
        data: tensor.data instanceof BigInt64Array ? Float64Array.from(tensor.data, Number) : numbers(tensor),
      },
    ]),
  );
}
