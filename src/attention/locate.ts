import { intAttribute, layerPath } from '../onnx/index.ts';
import type { Dim, Model, Node, ValueName } from '../onnx/index.ts';
import { isCausal } from './causal.ts';
import { downstream, isProduct, madeFrom, projectedFrom, throughLayout, traceModel } from './trace.ts';
import type { Tracer } from './trace.ts';

export interface AttentionBlock {
  /** Position among all blocks, in the order of the graph. */
  readonly index: number;
  /** Number of the layer among those of its kind, from its name where that tells, else counted. */
  readonly layer: number;
  readonly kind: 'encoder' | 'decoder' | 'cross';
  readonly heads: number | null;
  /** Heads of the keys and values: fewer than `heads` with grouped-query attention. */
  readonly kvHeads: number | null;
  readonly path: string;
  /** The value that holds softmax(QK'), [batch, heads, queries, keys] or [batch * heads, queries, keys]. */
  readonly probabilities: ValueName;
  /** What the softmax is taken of, masked: in the shape of `probabilities`. */
  readonly scores: ValueName;
  /** The two factors of the scores: queries, and keys transposed, as they stand in the product. */
  readonly queries: ValueName;
  readonly keys: ValueName;
  /** What the probabilities are multiplied with, [batch, heads, keys, size]. */
  readonly values: ValueName;
  /** Probabilities times values, [batch, heads, queries, size]. */
  readonly context: ValueName;
  /** The product of the joined heads with the output weight, where there is one. */
  readonly projection: Projection | null;
}

export interface Projection {
  /** Weight [heads * size, hidden]; with `transposed`, [hidden, heads * size]. */
  readonly weight: ValueName;
  readonly transposed: boolean;
  /** Of a weight of integers: what a step of it is worth, for each column or all, and which integer is 0. */
  readonly quantized: { readonly scale: ValueName; readonly zero: ValueName | undefined } | null;
  readonly output: ValueName;
}

/** Operators between the product of queries and keys and the softmax: scales, masks, biases, casts. */
const BEFORE_SOFTMAX = new Set(
  'Div Mul Add Sub Where Cast Clip Identity Tanh Reshape Min Max Concat Squeeze Unsqueeze'.split(' '),
);
/** Operators between the softmax and the product with the values. */
const AFTER_SOFTMAX = new Set('Cast Identity Dropout Where Reshape Transpose Slice Mul'.split(' '));
/** Operators between the context and its projection. */
const AFTER_CONTEXT = new Set(
  'Cast Identity Reshape Transpose Squeeze DynamicQuantizeLinear QuantizeLinear DequantizeLinear'.split(' '),
);

/** Every run asks where a model attends, and finding out takes as long as a short run: models found before. */
const found = new WeakMap<Model, readonly AttentionBlock[]>();

/**
 * Finds attention blocks: a softmax over the last axis between two matrix products of values that depend on the input.
 * Expects the canonical form, in which fused attention operators are in primitives. A model is searched once.
 */
export function locateAttention(model: Model): readonly AttentionBlock[] {
  const blocks = found.get(model) ?? search(model);
  found.set(model, blocks);
  return blocks;
}

function search(model: Model): readonly AttentionBlock[] {
  const tracer = traceModel(model);
  const blocks = model.graph.nodes.flatMap((node) => {
    const block = blockAt(tracer, node);
    return block === undefined ? [] : [block];
  });
  return numberLayers(uniquePaths(besideCross(tracer, blocks)));
}

function blockAt(tracer: Tracer, softmax: Node): Omit<AttentionBlock, 'index'> | undefined {
  if (softmax.operator !== 'Softmax' || softmax.domain !== '') return undefined;
  const output = softmax.outputs[0]!;
  const dims = tracer.facts.get(output)?.dims;
  const axis = intAttribute(softmax, 'axis', -1);
  if (axis !== -1 && axis !== (dims?.length ?? 0) - 1) return undefined;
  const product = scoreProduct(tracer, softmax.inputs[0]!);
  const used = product && contextProduct(tracer, output);
  if (product === undefined || used === undefined) return undefined;
  const [queries, keys] = [product.inputs[0]!, product.inputs[1]!];
  const values = used.node.inputs[used.node.inputs[0] === used.operand ? 1 : 0]!;
  const context = used.node.outputs[0]!;
  const heads = headCount(tracer, dims, [queries, values], context);
  return {
    layer: 0,
    kind: kindOf(tracer, softmax, queries, keys),
    heads,
    kvHeads: keyHeads(tracer, keys) ?? keyHeads(tracer, values) ?? heads,
    path: layerPath(softmax).replace(/(\.(Softmax|Attention)(_\d+)?)+$/, '') || layerPath(softmax),
    probabilities: sameShape(tracer, output, used.operand) ? used.operand : output,
    scores: softmax.inputs[0]!,
    queries,
    keys,
    values,
    context,
    projection: projectionOf(tracer, context),
  };
}

/** The product of queries and keys that a softmax's input was made from. */
function scoreProduct(tracer: Tracer, value: ValueName, depth = 0): Node | undefined {
  const node = tracer.producers.get(value);
  if (node === undefined || depth > 10) return undefined;
  if (isProduct(node)) return node.inputs.some((name) => tracer.constants.has(name)) ? undefined : node;
  if (!BEFORE_SOFTMAX.has(node.operator)) return undefined;
  // The scores come first, but a mask may too: Where(mask, -inf, scores).
  for (const input of node.inputs) {
    const found = scoreProduct(tracer, input, depth + 1);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** The product with the values, and which of its operands the probabilities became. */
function contextProduct(
  tracer: Tracer,
  value: ValueName,
  depth = 0,
): { readonly node: Node; readonly operand: ValueName } | undefined {
  if (depth > 4) return undefined;
  for (const node of tracer.consumers.get(value) ?? []) {
    if (isProduct(node)) {
      if (!node.inputs.some((name) => tracer.constants.has(name))) return { node, operand: value };
      continue;
    }
    if (!AFTER_SOFTMAX.has(node.operator)) continue;
    const found = contextProduct(tracer, node.outputs[0]!, depth + 1);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Whether the operand of the context product is the softmax's output but for what sets NaN to zero and the like. */
function sameShape(tracer: Tracer, output: ValueName, operand: ValueName): boolean {
  for (let value = operand; value !== output;) {
    const node = tracer.producers.get(value);
    if (node?.operator === 'Where') value = node.inputs.slice(1).find((name) => !tracer.constants.has(name)) ?? '';
    else if (node?.operator === 'Identity' || node?.operator === 'Dropout') value = node.inputs[0]!;
    else return false;
  }
  return true;
}

/** From probabilities of rank 4; else from the reshape that joined batch and heads, or parted them again. */
function headCount(
  tracer: Tracer,
  dims: readonly Dim[] | undefined,
  operands: readonly ValueName[],
  context: ValueName,
): number | null {
  if (dims?.length === 4 && typeof dims[1] === 'number') return dims[1];
  if (dims?.length === 3 && dims[1] === 1 && dims[2] === 1) return null;
  for (const operand of operands)
    for (let value = operand, steps = 0; steps < 6; steps++) {
      const node = tracer.producers.get(value);
      if (node === undefined || isProduct(node)) break;
      const from = tracer.facts.get(node.inputs[0]!)?.dims;
      if (node.operator === 'Reshape' && from?.length === 4 && typeof from[1] === 'number') return from[1];
      value = node.inputs[0]!;
    }
  for (const node of tracer.consumers.get(context) ?? []) {
    const to = tracer.facts.get(node.outputs[0]!)?.dims;
    if (node.operator === 'Reshape' && to?.length === 4 && typeof to[1] === 'number') return to[1];
  }
  return dims?.length === 3 ? joinedHeads(tracer, context) : null;
}

/** How many heads' results stand side by side once layout operators have joined them: 1 where none do. */
function joinedHeads(tracer: Tracer, context: ValueName): number {
  const size = tracer.facts.get(context)?.dims?.at(-1);
  if (typeof size !== 'number') return 1;
  for (let value = context, steps = 0; steps < 6; steps++) {
    const node = tracer.consumers.get(value)?.find(({ operator }) => AFTER_CONTEXT.has(operator));
    if (node === undefined) break;
    value = node.outputs[0]!;
    const width = tracer.facts.get(value)?.dims?.at(-1);
    if (node.operator === 'Reshape' && typeof width === 'number' && width > size && width % size === 0)
      return width / size;
  }
  return 1;
}

/** Heads before they are repeated: Expand of [batch, kv, 1, keys, size] over its third axis, then Reshape. */
function keyHeads(tracer: Tracer, value: ValueName): number | undefined {
  for (let at = value, steps = 0; steps < 8; steps++) {
    const node = tracer.producers.get(at);
    if (node === undefined || isProduct(node)) return undefined;
    const dims = tracer.facts.get(node.inputs[0]!)?.dims;
    if ((node.operator === 'Expand' || node.operator === 'Tile') && dims?.length === 5 && typeof dims[1] === 'number')
      return dims[1];
    at = node.inputs[0]!;
  }
  return undefined;
}

function projectionOf(tracer: Tracer, context: ValueName): Projection | null {
  for (let value = context, steps = 0; steps < 8; steps++) {
    const node = tracer.consumers.get(value)?.find((each) => each.inputs[0] === value && each.operator !== 'Shape');
    if (node === undefined) return null;
    const weight = node.inputs[1];
    if ((node.operator === 'MatMul' || node.operator === 'Gemm') && weight && tracer.constants.has(weight))
      return {
        weight,
        transposed: intAttribute(node, 'transB', 0) === 1,
        quantized: null,
        output: node.outputs[0]!,
      };
    if (node.operator === 'MatMulInteger') return quantizedProjection(tracer, node);
    if (!AFTER_CONTEXT.has(node.operator)) return null;
    value = node.outputs[0]!;
  }
  return null;
}

/** A product of integers, that is cast to floats and multiplied by what a step of both its factors is worth. */
function quantizedProjection(tracer: Tracer, { inputs, outputs }: Node): Projection | null {
  const next = (value: ValueName, operator: string) =>
    tracer.consumers.get(value)?.find((node) => node.operator === operator);
  const cast = next(outputs[0]!, 'Cast')?.outputs[0];
  const scaled = cast === undefined ? undefined : next(cast, 'Mul');
  const steps = tracer.producers.get(scaled?.inputs.find((name) => name !== cast) ?? '');
  const scale = steps?.operator === 'Mul' ? steps.inputs.find((name) => tracer.constants.has(name)) : undefined;
  if (scaled === undefined || scale === undefined || !tracer.constants.has(inputs[1]!)) return null;
  const quantized = { scale, zero: inputs[3] === '' ? undefined : inputs[3] };
  return { weight: inputs[1]!, transposed: false, quantized, output: scaled.outputs[0]! };
}

/**
 * Cross when queries and keys are projected from different values, and the keys' is not the queries' own with fewer
 * positions, as where Segformer reduces an image; decoder when the future is hidden.
 */
function kindOf(tracer: Tracer, softmax: Node, queries: ValueName, keys: ValueName): AttentionBlock['kind'] {
  const [from, to] = [projectedFrom(tracer, queries), projectedFrom(tracer, keys)];
  const given = new Set(tracer.model.graph.inputs.map(({ name }) => name));
  const projected = [...from].some((source) => !given.has(throughLayout(tracer, source)));
  const shared = [...from].some((source) => to.has(source) || [...to].some((key) => madeFrom(tracer, key, source)));
  if (projected && from.size > 0 && to.size > 0 && !shared) return 'cross';
  if (isCausal(tracer, softmax.inputs[0]!)) return 'decoder';
  return /(^|[._])decoder([._]|$)/i.test(layerPath(softmax)) ? 'decoder' : 'encoder';
}

/**
 * Self-attention that hides no future and has no telling name is a decoder's when it leads to the queries of
 * cross-attention and to the keys of none: DETR's object queries.
 */
function besideCross<T extends Pick<AttentionBlock, 'kind' | 'context' | 'queries' | 'keys'>>(
  tracer: Tracer,
  blocks: readonly T[],
): T[] {
  const cross = blocks.filter(({ kind }) => kind === 'cross');
  return blocks.map((block) => {
    if (block.kind !== 'encoder' || cross.length === 0) return block;
    const after = downstream(tracer, block.context);
    const leads = cross.some(({ queries }) => after.has(queries)) && !cross.some(({ keys }) => after.has(keys));
    return leads ? { ...block, kind: 'decoder' } : block;
  });
}

function uniquePaths<T extends { readonly path: string }>(blocks: readonly T[]): T[] {
  const taken = new Map<string, number>();
  return blocks.map((block) => {
    const count = taken.get(block.path) ?? 0;
    taken.set(block.path, count + 1);
    return count === 0 ? block : { ...block, path: `${block.path}#${count}` };
  });
}

/** Numbers from names, unless two blocks of a kind would share one (layers used twice, stages): then they are counted. */
function numberLayers(blocks: readonly Omit<AttentionBlock, 'index'>[]): AttentionBlock[] {
  const named = blocks.map(({ path }) => path.match(/(?:layers?|blocks?|h)\.(\d+)(?:\.|$)/)?.[1]);
  return blocks.map((block, index) => {
    const kin = blocks.flatMap(({ kind }, at) => (kind === block.kind ? [at] : []));
    const numbers = new Set(kin.map((at) => named[at]));
    const tells = numbers.size === kin.length && !numbers.has(undefined);
    return { ...block, index, layer: tells ? Number(named[index]) : kin.indexOf(index) };
  });
}
