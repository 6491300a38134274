/** The attention operators of com.microsoft: Attention, MultiHeadAttention, GroupQueryAttention, QAttention. */
import type { GraphBuilder } from '../builder.ts';
import type { Node, ValueName } from '../model.ts';
import { floatAttribute, int, intAttribute, intsAttribute } from '../model.ts';
import { rotate } from './attention.ts';
import { UnknownRankError } from '../node-builder.ts';
import type { Decomposition } from './decomposition.ts';
import { asked, given } from './decomposition.ts';
import { attend, causalBias, joinHeads, queryPositions, repeatHeads, scaleOfHeads, splitHeads } from './heads.ts';

const scaleOf = (b: GraphBuilder, node: Node, q: ValueName) => scaleOfHeads(b, q, floatAttribute(node, 'scale', 0));
const hiddenValue = (node: Node) => floatAttribute(node, 'mask_filter_value', -10000);

/**
 * What a mask adds to the scores [batch, heads, queries, keys]: flags for [batch, keys] or [batch, queries, keys], or for a
 * square of the longest sequence [batch, 1, longest, longest]; or the sequences' lengths [batch], with `starts` perhaps
 * followed by where they start, without by what packed sequences want.
 */
function maskBias(b: GraphBuilder, mask: ValueName, q: ValueName, k: ValueName, hidden: number, starts: boolean) {
  const [zero, low] = [b.scalar(0, q), b.scalar(hidden, q)];
  const rank = b.rank(mask);
  if (rank === 1) {
    const places = b.positions(k, 2);
    const [batch, count] = [b.dims(q)?.[0], b.dims(mask)?.[0]];
    const column = (x: ValueName) => b.unsqueeze(b.cast(x, 'int64'), [1, 2, 3]);
    if (count === batch) return b.where(b.less(places, column(mask)), zero, low);
    const rows = b.dimension(q, 0);
    const visible = b.less(places, column(b.slice(mask, b.int64s([0]), rows, [0], undefined, [batch])));
    if (!starts) return b.where(visible, zero, low);
    // Zeros behind, so that there are starts where the mask has none.
    const none = b.op('ConstantOfShape', [rows], {
      value: { kind: 'tensor', value: b.weightOf(b.type(mask), [1], [0]) },
    });
    const twice = b.add(rows, rows);
    const first = b.slice(b.concat([mask, none], 0), rows, twice, [0], undefined, [batch]);
    return b.where(b.and(visible, b.greaterOrEqual(places, column(first))), zero, low);
  }
  const visible = b.greater(mask, b.scalar(0, mask));
  if (rank < 4) return b.where(b.unsqueeze(visible, rank === 2 ? [1, 2] : [1]), zero, low);
  // The rows of the queries, which are the last, and the columns of the keys.
  const [queries, keys] = [b.dimension(q, 2), b.dimension(k, 2)];
  const rows = b.slice(visible, b.sub(keys, queries), keys, [2], undefined, [
    ...b.dims(mask)!.slice(0, 2),
    b.dims(q)?.[2],
    b.dims(mask)?.[3],
  ]);
  return b.where(b.slice(rows, b.int64s([0]), keys, [3]), zero, low);
}

/** Queries, keys and values by head, with what has been before; and the attention over them. */
interface Projected {
  readonly q: ValueName;
  readonly k: ValueName;
  readonly v: ValueName;
  readonly pastKey?: ValueName | undefined;
  readonly mask?: ValueName | undefined;
  /** Whether a mask of one axis may say where sequences start. */
  readonly starts?: boolean;
  readonly bias?: ValueName | undefined;
}

function attendMasked(b: GraphBuilder, node: Node, { q, k, v, pastKey, mask, starts, bias }: Projected) {
  const biases: ValueName[] = [];
  if (intAttribute(node, 'unidirectional', 0) === 1)
    biases.push(causalBias(b, q, k, pastKey, { hidden: hiddenValue(node) }));
  if (mask !== undefined) biases.push(maskBias(b, mask, q, k, hiddenValue(node), starts ?? false));
  if (bias !== undefined) biases.push(bias);
  const { output, biased } = attend(b, { q, k, v, scale: scaleOf(b, node, q), biases });
  return { output: joinHeads(b, output), scores: biased };
}

/** What attention of one projection takes beside it. */
interface Beside {
  readonly mask?: ValueName | undefined;
  readonly past?: ValueName | undefined;
  readonly bias?: ValueName | undefined;
}

/** One projection to queries, keys and values at once, then attention; past and present are stacked in one tensor. */
function packedAttention(b: GraphBuilder, node: Node, projected: ValueName, others: Beside): (ValueName | undefined)[] {
  const heads = intAttribute(node, 'num_heads', 1);
  const sizes = intsAttribute(node, 'qkv_hidden_sizes');
  const split = b.emit(
    'Split',
    [projected, sizes ? b.int64s(sizes) : ''],
    { axis: int(2), num_outputs: sizes ? undefined : int(3) },
    { outputs: 3 },
  );
  const [plainQ, plainK, newV] = split.map((x) => splitHeads(b, x, heads)) as [ValueName, ValueName, ValueName];
  const past = (index: number) => others.past && b.gather(others.past, b.constant('int64', [], [index]), 0);
  const pastKey = past(0);
  const turned = intAttribute(node, 'do_rotary', 0) === 1;
  const [q, newK] = turned ? rotateByPosition(b, node, [plainQ, plainK], pastKey) : [plainQ, plainK];
  const k = pastKey ? b.concat([pastKey, newK!], 2) : newK!;
  const v = pastKey ? b.concat([past(1)!, newV], 2) : newV;
  const { output } = attendMasked(b, node, {
    q: q!,
    k,
    v,
    pastKey,
    mask: others.mask,
    starts: true,
    bias: others.bias,
  });
  const present = asked(node, 1) ? b.concat([b.unsqueeze(k, [0]), b.unsqueeze(v, [0])], 0) : undefined;
  return [output, present];
}

/**
 * Rotary embedding inside Attention, as its kernels for graphics cards have it: the two halves of a head's first
 * `rotary_embedding_dim` elements are pairs, and angles are position / 10000^(2i / dim). There is no kernel on a CPU.
 */
function rotateByPosition(b: GraphBuilder, node: Node, values: readonly ValueName[], pastKey: ValueName | undefined) {
  const like = values[0]!;
  const size = b.dims(like)?.[3];
  const width = intAttribute(node, 'rotary_embedding_dim', 0) || size;
  if (typeof width !== 'number') throw new UnknownRankError(like);
  const frequencies = Array.from({ length: width / 2 }, (_, index) => 10000 ** ((-2 * index) / width));
  const places = b.cast(queryPositions(b, like, pastKey), 'float32');
  const angles = b.unsqueeze(b.mul(places, b.constant('float32', [width / 2], frequencies)), [0]);
  const [cos, sin] = [b.cast(b.cos(angles), b.type(like)), b.cast(b.sin(angles), b.type(like))];
  return values.map((x) => rotateHeads(b, x, [cos, sin], false, width));
}

/** Heads [batch, heads, length, size] turned by their positions' angles. */
const rotateHeads = (
  b: GraphBuilder,
  x: ValueName,
  angles: [ValueName, ValueName],
  interleaved: boolean,
  width: number,
) => b.transpose(rotate(b, b.transpose(x, [0, 2, 1, 3]), ...angles, interleaved, width), [0, 2, 1, 3]);

const attention: Decomposition = (b, node) => {
  if (given(node, 6) !== undefined) return undefined;
  const product = b.matmul(node.inputs[0]!, node.inputs[1]!);
  const projected = given(node, 2) ? b.add(product, node.inputs[2]!) : product;
  return packedAttention(b, node, projected, { mask: given(node, 3), past: given(node, 4), bias: given(node, 5) });
};

/** Integers are multiplied as they are; then it is attention over their scaled product. */
const quantizedAttention: Decomposition = (b, node) => {
  const [x, weights, bias, xScale, wScale] = node.inputs as [ValueName, ValueName, ValueName, ValueName, ValueName];
  const integers = b.op('MatMulInteger', [x, weights, given(node, 6) ?? '', given(node, 7) ?? '']);
  const product = b.mul(b.cast(integers, b.type(xScale)), b.mul(xScale, wScale));
  // Behind a projection without bias, as T5's, its place is empty.
  const projected = bias === '' ? product : b.add(product, bias);
  return packedAttention(b, node, projected, { mask: given(node, 5), past: given(node, 8) });
};

const multiHead: Decomposition = (b, node) => {
  const heads = intAttribute(node, 'num_heads', 1);
  if (given(node, 8) !== undefined || given(node, 9) !== undefined) return undefined;
  const parts = unpack(b, node, heads);
  if (parts === undefined) return undefined;
  const [pastKey, pastValue] = [given(node, 6), given(node, 7)];
  const k = pastKey ? b.concat([pastKey, parts.k], 2) : parts.k;
  const v = pastValue ? b.concat([pastValue, parts.v], 2) : parts.v;
  const { output, scores } = attendMasked(b, node, {
    ...parts,
    k,
    v,
    pastKey,
    mask: given(node, 4),
    bias: given(node, 5),
  });
  return [output, k, v, scores];
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
  // The bias of queries, then of keys, then of values, which may be of another width.
  const width = b.dimension(query, 2);
  const twice = b.add(width, width);
  const biased = (x: ValueName, from: ValueName, to: ValueName) =>
    bias === undefined ? x : b.add(x, b.slice(bias, from, to, [0], undefined, [b.dims(x)?.[2]]));
  const q = splitHeads(b, biased(query, b.int64s([0]), width), heads);
  if (b.dims(key)?.length === 5) return bias === undefined ? { q, k: layer(key, 0), v: layer(key, 1) } : undefined;
  if (value === undefined) return undefined;
  if (b.rank(key) === 4) return { q, k: key, v: value };
  return {
    q,
    k: splitHeads(b, biased(key, width, twice), heads),
    v: splitHeads(b, biased(value, twice, b.int64s([Number.MAX_SAFE_INTEGER])), heads),
  };
}

const groupQuery: Decomposition = (b, node) => {
  const [heads, kvHeads] = [intAttribute(node, 'num_heads', 1), intAttribute(node, 'kv_num_heads', 1)];
  const [plainQ, plainK, newV] = groupedHeads(b, node, heads, kvHeads) ?? [];
  if (plainQ === undefined || plainK === undefined || newV === undefined) return undefined;
  let [q, k] = [plainQ, plainK];
  const [pastKey, pastValue] = [given(node, 3), given(node, 4)];
  if (intAttribute(node, 'do_rotary', 0) === 1) {
    const own = b.positions(q, 2);
    const places = given(node, 9) ?? b.unsqueeze(pastKey ? b.add(own, b.dimension(pastKey, 2)) : own, [0]);
    const interleaved = intAttribute(node, 'rotary_interleaved', 0) === 1;
    const angles = [7, 8].map((index) => b.gather(node.inputs[index]!, places, 0)) as [ValueName, ValueName];
    const rotated = b.dims(node.inputs[7]!)?.[1];
    if (typeof rotated !== 'number') return undefined;
    [q, k] = [rotateHeads(b, q, angles, interleaved, 2 * rotated), rotateHeads(b, k, angles, interleaved, 2 * rotated)];
  }
  const allK = pastKey ? b.concat([pastKey, k], 2) : k;
  const allV = pastValue ? b.concat([pastValue, newV], 2) : newV;
  const window = intAttribute(node, 'local_window_size', -1);
  const bias = given(node, 10);
  const parts = attend(b, {
    q,
    k: repeatHeads(b, allK, heads / kvHeads),
    v: repeatHeads(b, allV, heads / kvHeads),
    scale: scaleOf(b, node, q),
    softcap: floatAttribute(node, 'softcap', 0),
    biases: [causalBias(b, q, allK, pastKey, { window }), ...(bias ? [bias] : [])],
    ...sink(b, node, heads, q),
  });
  return [joinHeads(b, parts.output), allK, allV];
};

/** Queries, keys and values by head: three inputs, or packed into one. */
function groupedHeads(b: GraphBuilder, node: Node, heads: number, kvHeads: number): ValueName[] | undefined {
  // Scores as an output are given otherwise from kernel to kernel.
  if (asked(node, 3)) return undefined;
  const query = node.inputs[0]!;
  if (given(node, 1)) return node.inputs.slice(0, 3).map((x, index) => splitHeads(b, x, index === 0 ? heads : kvHeads));
  const all = splitHeads(b, query, heads + 2 * kvHeads);
  return b.emit('Split', [all, b.int64s([heads, kvHeads, kvHeads])], { axis: int(1) }, { outputs: 3 });
}

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

/** The row of a table of cosines or sines for each token: [batch or 1, length, half]. */
type Rows = (b: GraphBuilder, node: Node, table: ValueName, x: ValueName) => ValueName;

const rotaryEmbedding =
  (rows: Rows): Decomposition =>
  (b, node) => {
    const [input, , cos, sin] = node.inputs as [ValueName, ValueName, ValueName, ValueName];
    const half = b.dims(cos)?.[1];
    const rank = b.dims(input)?.length;
    if (typeof half !== 'number' || rank === undefined || intAttribute(node, 'is_packed_batching', 0) === 1)
      return undefined;
    const heads = intAttribute(node, 'num_heads', 0);
    const width = b.dims(input)?.[2];
    const size = heads > 0 && typeof width === 'number' ? width / heads : 2 * half;
    const x = rank === 4 ? b.transpose(input, [0, 2, 1, 3]) : b.reshapeTo(input, [0, 0, -1, size]);
    const turned = rotate(
      b,
      x,
      rows(b, node, cos, x),
      rows(b, node, sin, x),
      intAttribute(node, 'interleaved', 0) === 1,
      intAttribute(node, 'rotary_embedding_dim', 0),
    );
    const scale = floatAttribute(node, 'scale', 1);
    const all = scale === 1 ? turned : b.mul(turned, b.scalar(scale, turned));
    return [rank === 4 ? b.transpose(all, [0, 2, 1, 3]) : b.reshapeLike(all, input)];
  };

/** One position is where the first token stands; else each token has its own. */
const byPosition: Rows = (b, node, table, x) => {
  const positions = node.inputs[1]!;
  const places = b.rank(positions) === 1 ? b.unsqueeze(b.add(b.positions(x, 1), positions), [0]) : positions;
  return b.gather(table, places, 0);
};

/** Three positions for each token, in time, height and width [3, batch, length]: each is looked up for a part of the angles. */
const bySection: Rows = (b, node, table) => {
  const [, high = 0, wide = 0] = intsAttribute(node, 'mrope_section') ?? [];
  const half = b.dims(table)?.[1] as number;
  const woven = intAttribute(node, 'mrope_layout', 0) === 1;
  const streamOf = (angle: number) => {
    if (!woven) return angle < half - high - wide ? 0 : angle < half - wide ? 1 : 2;
    const turn = angle % 3;
    return turn > 0 && angle < 3 * (turn === 1 ? high : wide) ? turn : 0;
  };
  const flags = [0, 1, 2].flatMap((stream) =>
    Array.from({ length: half }, (_, angle) => (streamOf(angle) === stream ? 1 : 0)),
  );
  const all = b.gather(table, node.inputs[1]!, 0);
  return b.sum(b.mul(all, b.constant(b.type(table), [3, 1, 1, half], flags)), [0], false);
};

export const fusedAttentionFamily = {
  'com.microsoft::Attention': attention,
  'com.microsoft::QAttention': quantizedAttention,
  'com.microsoft::MultiHeadAttention': multiHead,
  'com.microsoft::GroupQueryAttention': groupQuery,
  'com.microsoft::RotaryEmbedding': rotaryEmbedding(byPosition),
  'com.microsoft::MRotaryEmbedding': rotaryEmbedding(bySection),
} satisfies Readonly<Record<string, Decomposition>>;
