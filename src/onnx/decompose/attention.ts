/** Attention and RotaryEmbedding of ai.onnx. */
import type { GraphBuilder } from '../builder.ts';
import type { Node, ValueName } from '../model.ts';
import { floatAttribute, intAttribute, int, string } from '../model.ts';
import { TYPE_BY_NUMBER } from '../read.ts';
import type { Decomposition } from './decomposition.ts';
import { given } from './decomposition.ts';
import { UnknownRankError } from '../node-builder.ts';
import { attend, causalBias, joinHeads, repeatHeads, scaleOfHeads, splitHeads } from './heads.ts';

export const attention: Decomposition = (b, node) => {
  const [query, key, value] = node.inputs as [ValueName, ValueName, ValueName];
  const rank = b.dims(query)?.length;
  const folded = rank === 3;
  if (rank === undefined) return undefined;
  const heads = (x: ValueName, name: string) => (folded ? splitHeads(b, x, intAttribute(node, name, 1)) : x);
  const q = heads(query, 'q_num_heads');
  const withPast = (x: ValueName, past: ValueName | undefined) => (past ? b.concat([past, x], 2) : x);
  const k = withPast(heads(key, 'kv_num_heads'), given(node, 4));
  const v = withPast(heads(value, 'kv_num_heads'), given(node, 5));
  const [qHeads, kHeads] = [b.dims(q)?.[1], b.dims(k)?.[1]];
  if (typeof qHeads !== 'number' || typeof kHeads !== 'number') return undefined;
  const precision = TYPE_BY_NUMBER[intAttribute(node, 'softmax_precision', 0)];
  const type = b.type(q);
  const parts = attend(b, {
    q,
    k: repeatHeads(b, k, qHeads / kHeads),
    v: repeatHeads(b, v, qHeads / kHeads),
    scale: scaleOfHeads(b, q, floatAttribute(node, 'scale', 0)),
    biases: biases(b, node, q, k),
    softcap: floatAttribute(node, 'softcap', 0),
    ...(precision === undefined
      ? {}
      : { normalize: (scores: ValueName) => b.cast(b.softmax(b.cast(scores, precision), -1), type) }),
  });
  const stages = [parts.scores, parts.capped, parts.biased, parts.probabilities];
  return [
    folded ? joinHeads(b, parts.output) : parts.output,
    k,
    v,
    stages[intAttribute(node, 'qk_matmul_output_mode', 0)],
  ];
};

/** What is added to the scores: the mask, the causal triangle, what hides padding. */
function biases(b: GraphBuilder, node: Node, q: ValueName, k: ValueName): ValueName[] {
  const list: ValueName[] = [];
  const [zero, hidden] = [b.scalar(0, q), b.scalar(-Infinity, q)];
  const mask = given(node, 3);
  if (mask !== undefined) {
    const boolean = b.type(mask) === 'bool';
    const whole = padMask(b, mask, k, boolean);
    list.push(boolean ? b.where(whole, zero, hidden) : whole);
  }
  if (intAttribute(node, 'is_causal', 0) === 1) list.push(causalBias(b, q, k, given(node, 4)));
  const lengths = given(node, 6);
  if (lengths !== undefined) {
    const visible = b.less(b.positions(k, 2), b.unsqueeze(lengths, [1, 2, 3]));
    list.push(b.where(visible, zero, hidden));
  }
  return list;
}

/** A mask shorter than the keys hides the rest. */
function padMask(b: GraphBuilder, mask: ValueName, k: ValueName, boolean: boolean): ValueName {
  const last = b.rank(mask) - 1;
  const [from, to] = [b.dims(mask)?.[last], b.dims(k)?.[2]];
  if (from === to || from === 1) return mask;
  if (typeof from !== 'number' || typeof to !== 'number') return mask;
  const zeros = Array<number>(last).fill(0);
  const pads = b.int64s([...zeros, 0, ...zeros, to - from]);
  if (!boolean) return b.op('Pad', [mask, pads, b.scalar(-Infinity, mask)], { mode: string('constant') });
  return b.cast(b.op('Pad', [b.cast(mask, 'int32'), pads], { mode: string('constant') }), 'bool');
}

/**
 * x1, x2 of each pair turned by its angle: (x1 cos - x2 sin, x1 sin + x2 cos). x is [batch, length, heads, size], of which
 * the first `rotated` elements are turned; 0 means all.
 */
export function rotate(
  b: GraphBuilder,
  x: ValueName,
  cos: ValueName,
  sin: ValueName,
  interleaved: boolean,
  rotated: number,
): ValueName {
  const size = b.dims(x)?.[3];
  const width = rotated === 0 ? size : rotated;
  // Angles come by the pair, so they tell where the sizes do not.
  const known = typeof width === 'number' ? width : 2 * lastOf(b, cos);
  return rotateFirst(b, x, cos, sin, interleaved, known);
}

function lastOf(b: GraphBuilder, angles: ValueName): number {
  const last = b.dims(angles)?.at(-1);
  if (typeof last !== 'number') throw new UnknownRankError(angles);
  return last;
}

function rotateFirst(
  b: GraphBuilder,
  x: ValueName,
  cos: ValueName,
  sin: ValueName,
  interleaved: boolean,
  width: number,
): ValueName {
  const size = b.dims(x)?.[3];
  const cut = (value: ValueName, from: number, to: number) =>
    from === 0 && to === size ? value : b.slice(value, b.int64s([from]), b.int64s([to]), [3]);
  const [turned, rest] = [cut(x, 0, width), width === size ? undefined : cut(x, width, Number.MAX_SAFE_INTEGER)];
  const angles = (cache: ValueName) => b.unsqueeze(cache, [2]);
  const [c, s] = [angles(cos), angles(sin)];
  const half = width / 2;
  const [x1, x2] = interleaved
    ? [0, 1].map((start) => {
        const pairs = b.reshapeTo(turned, [0, 0, 0, half, 2]);
        return b.gather(pairs, b.constant('int64', [], [start]), 4);
      })
    : b.emit('Split', [turned, b.int64s([half, half])], { axis: int(3) }, { outputs: 2 });
  const real = b.sub(b.mul(c, x1!), b.mul(s, x2!));
  const imaginary = b.add(b.mul(s, x1!), b.mul(c, x2!));
  const whole = interleaved
    ? b.reshapeTo(b.concat([b.unsqueeze(real, [4]), b.unsqueeze(imaginary, [4])], 4), [0, 0, 0, width])
    : b.concat([real, imaginary], 3);
  return rest === undefined ? whole : b.concat([whole, rest], 3);
}

export const rotaryEmbedding: Decomposition = (b, node) => {
  const [input, cos, sin] = node.inputs as [ValueName, ValueName, ValueName];
  const rank = b.dims(input)?.length;
  if (rank === undefined) return undefined;
  const heads = intAttribute(node, 'num_heads', 0);
  const x = rank === 4 ? b.transpose(input, [0, 2, 1, 3]) : b.reshapeTo(input, [0, 0, heads, -1]);
  const positions = given(node, 3);
  const at = (cache: ValueName) => (positions ? b.gather(cache, positions, 0) : cache);
  const interleaved = intAttribute(node, 'interleaved', 0) === 1;
  const turned = rotate(b, x, at(cos), at(sin), interleaved, intAttribute(node, 'rotary_embedding_dim', 0));
  return [rank === 4 ? b.transpose(turned, [0, 2, 1, 3]) : b.reshapeLike(turned, input)];
};

export const attentionFamily = { Attention: attention, RotaryEmbedding: rotaryEmbedding };
