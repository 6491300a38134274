/** The attention operators of com.microsoft: Attention, MultiHeadAttention, GroupQueryAttention, QAttention. */
import type { GraphBuilder } from '../builder.ts';
import type { Node, ValueName } from '../model.ts';
import { floatAttribute, int, intAttribute, intsAttribute } from '../model.ts';
import { rotate } from './attention.ts';
import type { Decomposition } from './decomposition.ts';
import { asked, given } from './decomposition.ts';
import { attend, causalBias, joinHeads, repeatHeads, splitHeads } from './heads.ts';

const piece = (b: GraphBuilder, x: ValueName, from: number, to: number, axis: number) =>
  b.slice(x, b.int64s([from]), b.int64s([to]), [axis]);
const scaleOf = (node: Node, size: number) => {
  const scale = floatAttribute(node, 'scale', 0);
  return scale === 0 ? 1 / Math.sqrt(size) : scale;
};
const hiddenValue = (node: Node) => floatAttribute(node, 'mask_filter_value', -10000);

/** What a mask of any of the accepted shapes adds to the scores [batch, heads, queries, keys]; undefined for others. */
function maskBias(b: GraphBuilder, mask: ValueName, q: ValueName, k: ValueName, hidden: number): ValueName | undefined {
  const rank = b.rank(mask);
  const [zero, low] = [b.scalar(0, q), b.scalar(hidden, q)];
  if (rank === 1) {
    // Only the lengths of the sequences; starts as well, or cumulated lengths, have other sizes.
    const [count, batch] = [b.dims(mask)?.[0], b.dims(q)?.[0]];
    if (count !== batch) return undefined;
    const visible = b.less(b.positions(k, 2), b.unsqueeze(b.cast(mask, 'int64'), [1, 2, 3]));
    return b.where(visible, zero, low);
  }
  const visible = b.greater(mask, b.scalar(0, mask));
  const axes = rank === 2 ? [1, 2] : rank === 3 ? [1] : [];
  return b.where(b.unsqueeze(visible, axes), zero, low);
}

/** Queries, keys and values by head, with what has been before; and the attention over them. */
interface Projected {
  readonly q: ValueName;
  readonly k: ValueName;
  readonly v: ValueName;
  readonly pastKey?: ValueName | undefined;
  readonly mask?: ValueName | undefined;
  readonly bias?: ValueName | undefined;
}

function attendMasked(b: GraphBuilder, node: Node, { q, k, v, pastKey, mask, bias }: Projected): ValueName | undefined {
  const size = b.dims(q)?.[3];
  if (typeof size !== 'number') return undefined;
  const biases: ValueName[] = [];
  if (intAttribute(node, 'unidirectional', 0) === 1)
    biases.push(causalBias(b, q, k, pastKey, { hidden: hiddenValue(node) }));
  if (mask !== undefined) {
    const added = maskBias(b, mask, q, k, hiddenValue(node));
    if (added === undefined) return undefined;
    biases.push(added);
  }
  if (bias !== undefined) biases.push(bias);
  return joinHeads(b, attend(b, { q, k, v, scale: scaleOf(node, size), biases }).output);
}

/** One projection to queries, keys and values at once, then attention; past and present are stacked in one tensor. */
function packedAttention(
  b: GraphBuilder,
  node: Node,
  projected: ValueName,
  width: number,
  others: {
    readonly mask?: ValueName | undefined;
    readonly past?: ValueName | undefined;
    readonly bias?: ValueName | undefined;
  },
): (ValueName | undefined)[] | undefined {
  const heads = intAttribute(node, 'num_heads', 1);
  if (intAttribute(node, 'do_rotary', 0) === 1) return undefined;
  const sizes = intsAttribute(node, 'qkv_hidden_sizes') ?? [width / 3, width / 3, width / 3];
  const split = b.emit('Split', [projected, b.int64s(sizes)], { axis: int(2) }, { outputs: 3 });
  const [q, newK, newV] = split.map((x) => splitHeads(b, x, heads)) as [ValueName, ValueName, ValueName];
  const past = (index: number) => others.past && b.gather(others.past, b.constant('int64', [], [index]), 0);
  const pastKey = past(0);
  const k = pastKey ? b.concat([pastKey, newK], 2) : newK;
  const v = pastKey ? b.concat([past(1)!, newV], 2) : newV;
  const output = attendMasked(b, node, { q, k, v, pastKey, mask: others.mask, bias: others.bias });
  if (output === undefined) return undefined;
  const present = asked(node, 1) ? b.concat([b.unsqueeze(k, [0]), b.unsqueeze(v, [0])], 0) : undefined;
  return [output, present];
}

const attention: Decomposition = (b, node) => {
  const [x, weights] = [node.inputs[0]!, node.inputs[1]!];
  const width = b.dims(weights)?.[1];
  if (typeof width !== 'number' || given(node, 6) !== undefined) return undefined;
  const product = b.matmul(x, weights);
  const projected = given(node, 2) ? b.add(product, node.inputs[2]!) : product;
  return packedAttention(b, node, projected, width, {
    mask: given(node, 3),
    past: given(node, 4),
    bias: given(node, 5),
  });
};

/** Integers are multiplied as they are; then it is attention over their scaled product. */
const quantizedAttention: Decomposition = (b, node) => {
  const [x, weights, bias, xScale, wScale] = node.inputs as [ValueName, ValueName, ValueName, ValueName, ValueName];
  const width = b.dims(weights)?.[1];
  if (typeof width !== 'number') return undefined;
  const integers = b.op('MatMulInteger', [x, weights, given(node, 6) ?? '', given(node, 7) ?? '']);
  const product = b.mul(b.cast(integers, b.type(xScale)), b.mul(xScale, wScale));
  // Behind a projection without bias, as T5's, its place is empty.
  const projected = bias === '' ? product : b.add(product, bias);
  return packedAttention(b, node, projected, width, { mask: given(node, 5), past: given(node, 8) });
};

const multiHead: Decomposition = (b, node) => {
  const heads = intAttribute(node, 'num_heads', 1);
  if (asked(node, 3) || given(node, 8) !== undefined || given(node, 9) !== undefined) return undefined;
  const parts = unpack(b, node, heads);
  if (parts === undefined) return undefined;
  const [pastKey, pastValue] = [given(node, 6), given(node, 7)];
  const k = pastKey ? b.concat([pastKey, parts.k], 2) : parts.k;
  const v = pastValue ? b.concat([pastValue, parts.v], 2) : parts.v;
  const output = attendMasked(b, node, { q: parts.q, k, v, pastKey, mask: given(node, 4), bias: given(node, 5) });
  return output === undefined ? undefined : [output, k, v];
};

/** Queries, keys and values by head from the layouts MultiHeadAttention takes, with their biases. */
function unpack(b: GraphBuilder, node: Node, heads: number): { q: ValueName; k: ValueName; v: ValueName } | undefined {
  const [query, key, value, bias] = [node.inputs[0]!, given(node, 1), given(node, 2), given(node, 3)];
  const layer = (x: ValueName, index: number) => {
    const part = b.gather(x, b.constant('int64', [], [index]), 3);
    return b.transpose(part, [0, 2, 1, 3]);
  };
  if (key === undefined) {
    if (b.dims(query)?.length !== 5 || bias !== undefined) return undefined;
    return { q: layer(query, 0), k: layer(query, 1), v: layer(query, 2) };
  }
  const width = b.dims(query)?.[2];
  const biasLength = bias && b.dims(bias)?.[0];
  if (typeof width !== 'number' || (bias !== undefined && typeof biasLength !== 'number')) return undefined;
  const biased = (x: ValueName, from: number, to: number) =>
    bias === undefined ? x : b.add(x, piece(b, bias, from, to, 0));
  const q = splitHeads(b, biased(query, 0, width), heads);
  if (b.dims(key)?.length === 5) return bias === undefined ? { q, k: layer(key, 0), v: layer(key, 1) } : undefined;
  if (value === undefined) return undefined;
  if (b.dims(key)?.length === 4) return { q, k: key, v: value };
  const end = typeof biasLength === 'number' ? biasLength : 0;
  return {
    q,
    k: splitHeads(b, biased(key, width, 2 * width), heads),
    v: splitHeads(b, biased(value, 2 * width, end), heads),
  };
}

const groupQuery: Decomposition = (b, node) => {
  const [heads, kvHeads] = [intAttribute(node, 'num_heads', 1), intAttribute(node, 'kv_num_heads', 1)];
  const width = b.dims(node.inputs[0]!)?.[2];
  if (typeof width !== 'number' || asked(node, 3)) return undefined;
  let flat: readonly ValueName[] = node.inputs.slice(0, 3);
  if (!given(node, 1)) {
    const size = width / (heads + 2 * kvHeads);
    const sizes = b.int64s([heads * size, kvHeads * size, kvHeads * size]);
    flat = b.emit('Split', [node.inputs[0]!, sizes], { axis: int(2) }, { outputs: 3 });
  }
  let [q, k] = [splitHeads(b, flat[0]!, heads), splitHeads(b, flat[1]!, kvHeads)];
  const [pastKey, pastValue] = [given(node, 3), given(node, 4)];
  const size = b.dims(q)?.[3];
  if (typeof size !== 'number') return undefined;
  if (intAttribute(node, 'do_rotary', 0) === 1) {
    const own = b.positions(q, 2);
    const places = given(node, 9) ?? b.unsqueeze(pastKey ? b.add(own, b.dimension(pastKey, 2)) : own, [0]);
    const interleaved = intAttribute(node, 'rotary_interleaved', 0) === 1;
    const angles = [7, 8].map((index) => b.gather(node.inputs[index]!, places, 0)) as [ValueName, ValueName];
    const rotated = b.dims(node.inputs[7]!)?.[1];
    if (typeof rotated !== 'number') return undefined;
    const turn = (x: ValueName) =>
      b.transpose(rotate(b, b.transpose(x, [0, 2, 1, 3]), ...angles, interleaved, 2 * rotated)!, [0, 2, 1, 3]);
    [q, k] = [turn(q), turn(k)];
  }
  const newV = splitHeads(b, flat[2]!, kvHeads);
  const allK = pastKey ? b.concat([pastKey, k], 2) : k;
  const allV = pastValue ? b.concat([pastValue, newV], 2) : newV;
  const window = intAttribute(node, 'local_window_size', -1);
  const bias = given(node, 10);
  const { output } = attend(b, {
    q,
    k: repeatHeads(b, allK, heads / kvHeads),
    v: repeatHeads(b, allV, heads / kvHeads),
    scale: scaleOf(node, size),
    softcap: floatAttribute(node, 'softcap', 0),
    biases: [causalBias(b, q, allK, pastKey, { window }), ...(bias ? [bias] : [])],
    ...sink(b, node, heads, q),
  });
  return [joinHeads(b, output), allK, allV];
};

/** A softmax with one more score nobody's value belongs to: 0, or what each head learned. */
function sink(b: GraphBuilder, node: Node, heads: number, q: ValueName) {
  const learned = given(node, 11);
  if (learned === undefined && intAttribute(node, 'smooth_softmax', 0) === 0) return {};
  const one = learned
    ? b.reshapeTo(b.cast(learned, b.type(q)), [1, heads, 1, 1])
    : b.constant(b.type(q), [1, heads, 1, 1], Array<number>(heads).fill(0));
  return {
    normalize(scores: ValueName) {
      const shape = b.concat([b.dimension(scores, 0), b.int64s([heads]), b.dimension(scores, 2), b.int64s([1])], 0);
      const dims = [b.dims(scores)?.[0], heads, b.dims(scores)?.[2], 1];
      const all = b.concat([scores, b.op('Expand', [one, shape], {}, { dims })], 3);
      return b.slice(b.softmax(all, -1), b.int64s([0]), b.int64s([-1]), [3], undefined, b.dims(scores));
    },
  };
}

const rotaryEmbedding: Decomposition = (b, node) => {
  const [input, positions, cos, sin] = node.inputs as [ValueName, ValueName, ValueName, ValueName];
  const half = b.dims(cos)?.[1];
  const rank = b.dims(input)?.length;
  if (typeof half !== 'number' || rank === undefined || intAttribute(node, 'is_packed_batching', 0) === 1)
    return undefined;
  const heads = intAttribute(node, 'num_heads', 0);
  const width = b.dims(input)?.[2];
  const size = heads > 0 && typeof width === 'number' ? width / heads : 2 * half;
  const x = rank === 4 ? b.transpose(input, [0, 2, 1, 3]) : b.reshapeTo(input, [0, 0, -1, size]);
  // One position is where the first token stands; else each token has its own.
  const places = b.rank(positions) === 1 ? b.unsqueeze(b.add(b.positions(x, 1), positions), [0]) : positions;
  const turned = rotate(
    b,
    x,
    b.gather(cos, places, 0),
    b.gather(sin, places, 0),
    intAttribute(node, 'interleaved', 0) === 1,
    intAttribute(node, 'rotary_embedding_dim', 0),
  );
  if (turned === undefined) return undefined;
  const scale = floatAttribute(node, 'scale', 1);
  const all = scale === 1 ? turned : b.mul(turned, b.scalar(scale, turned));
  return [rank === 4 ? b.transpose(all, [0, 2, 1, 3]) : b.reshapeLike(all, input)];
};

export const fusedAttentionFamily = {
  'com.microsoft::Attention': attention,
  'com.microsoft::QAttention': quantizedAttention,
  'com.microsoft::MultiHeadAttention': multiHead,
  'com.microsoft::GroupQueryAttention': groupQuery,
  'com.microsoft::RotaryEmbedding': rotaryEmbedding,
} satisfies Readonly<Record<string, Decomposition>>;
