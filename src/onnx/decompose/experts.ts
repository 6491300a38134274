/** Mixtures of experts of com.microsoft: MoE, and QMoE with its weights as integers. */
import type { GraphBuilder } from '../builder.ts';
import { UserError } from '../errors.ts';
import type { Node, ValueName } from '../model.ts';
import { floatAttribute, int, intAttribute, nodeLabel, stringAttribute } from '../model.ts';
import { unpackIntegers } from '../packed.ts';
import type { Decomposition } from './decomposition.ts';
import { given } from './decomposition.ts';
import { fastGelu } from './fused.ts';

/** One product of all experts: [experts, out, in] and [experts, out]. */
interface Layer {
  readonly weight: ValueName;
  readonly bias: ValueName | undefined;
}

/** The projection into the experts, that out of them, and a second one in beside the first. */
interface Experts {
  readonly first: Layer;
  readonly second: Layer;
  readonly third: Layer | undefined;
  /** Numbers that mix the chosen experts, where they are others than those that choose: [tokens, experts]. */
  readonly mixing: ValueName | undefined;
}

const refuse = (node: Node, what: string): never => {
  throw new UserError(`${node.operator} "${nodeLabel(node)}": ${what} has no gradient rule`);
};

/** x W' + bias for every expert: [experts, tokens, out]. */
function project(b: GraphBuilder, x: ValueName, { weight, bias }: Layer): ValueName {
  const product = b.matmul(x, b.matrixTranspose(weight));
  return bias === undefined ? product : b.add(product, b.unsqueeze(bias, [1]));
}

/**
 * What each token takes of each expert, [tokens, experts], zero for all but the k of the highest score. The share is the
 * softmax over all experts, or with `normalize_routing_weights` over those that were chosen.
 */
function shares(b: GraphBuilder, node: Node, scores: ValueName, mixing: ValueName | undefined): ValueName {
  const experts = b.dims(scores)?.[1];
  if (typeof experts !== 'number') return refuse(node, 'a number of experts that the file does not tell');
  const normalized = intAttribute(node, 'normalize_routing_weights', 0) === 1;
  const count = b.int64s([intAttribute(node, 'k', 1)]);
  const ranked = mixing !== undefined || normalized ? scores : b.softmax(scores, 1);
  const [best, chosen] = b.emit('TopK', [ranked, count], { axis: int(1) }, { outputs: 2 }) as [ValueName, ValueName];
  let share = best;
  if (mixing !== undefined) {
    const mixed = b.op('GatherElements', [mixing, chosen], { axis: int(1) });
    share = normalized ? b.div(mixed, b.sum(mixed, [1])) : mixed;
  } else if (normalized) share = b.softmax(best, 1);
  const places = b.equal(b.unsqueeze(chosen, [2]), b.int64s(Array.from({ length: experts }, (_, at) => at)));
  return b.sum(b.mul(b.unsqueeze(share, [2]), b.cast(places, b.type(share))), [1], false);
}

/** min(g, limit) sigmoid(alpha g) (clip(l, -limit, limit) + beta) */
function swiglu(b: GraphBuilder, node: Node, gate: ValueName, linear: ValueName): ValueName {
  const limit = node.attributes['swiglu_limit'] === undefined ? Infinity : floatAttribute(node, 'swiglu_limit', 0);
  const [alpha, beta] = [floatAttribute(node, 'activation_alpha', 1), floatAttribute(node, 'activation_beta', 0)];
  const clip = (x: ValueName, low: number) =>
    limit === Infinity ? x : b.op('Clip', [x, low === -Infinity ? '' : b.scalar(low, x), b.scalar(limit, x)]);
  const g = clip(gate, -Infinity);
  const gated = b.mul(g, b.sigmoid(alpha === 1 ? g : b.mul(g, b.scalar(alpha, g))));
  const l = clip(linear, -limit);
  return b.mul(gated, beta === 0 ? l : b.add(l, b.scalar(beta, l)));
}

function activated(b: GraphBuilder, node: Node, x: ValueName, { first, third }: Experts): ValueName {
  const inside = project(b, x, first);
  const kind = stringAttribute(node, 'activation_type', 'relu');
  if (kind !== 'swiglu') {
    const y = ACTIVATIONS[kind]?.(b, inside) ?? refuse(node, `the activation "${kind}"`);
    return third === undefined ? y : b.mul(y, project(b, x, third));
  }
  const fusion = intAttribute(node, 'swiglu_fusion', 0);
  if (fusion === 0) {
    if (third === undefined) return refuse(node, 'swiglu without a second projection');
    return swiglu(b, node, inside, project(b, x, third));
  }
  const width = b.dims(inside)?.[2];
  if (typeof width !== 'number') return refuse(node, 'a width of the experts that the file does not tell');
  const half = width / 2;
  const [gate, linear] = [0, 1].map((part) =>
    fusion === 1
      ? b.slice(inside, b.int64s([part]), b.int64s([width]), [2], [2])
      : b.slice(inside, b.int64s([part * half]), b.int64s([(part + 1) * half]), [2]),
  ) as [ValueName, ValueName];
  return swiglu(b, node, gate, linear);
}

const ACTIVATIONS: Readonly<Record<string, (b: GraphBuilder, x: ValueName) => ValueName>> = {
  identity: (_b, x) => x,
  relu: (b, x) => b.op('Relu', [x]),
  gelu: fastGelu,
  silu: (b, x) => b.mul(x, b.sigmoid(x)),
};

/**
 * Every expert sees every token and what it gives is multiplied by the token's share, which is zero for most: experts / k
 * times the work of the kernel, all in three products that any rule knows.
 */
function mixture(b: GraphBuilder, node: Node, experts: Experts): readonly ValueName[] {
  if (intAttribute(node, 'use_sparse_mixer', 0) === 1) refuse(node, 'a sparse mixer');
  if (intAttribute(node, 'swiglu_limit_after_activation', 0) === 1) refuse(node, 'a limit after the activation');
  const [input, scores] = node.inputs as [ValueName, ValueName];
  const width = b.dims(input)?.at(-1);
  const tokens = b.rank(input) === 2 ? input : b.reshapeTo(input, [-1, typeof width === 'number' ? width : 0]);
  const share = shares(b, node, scores, experts.mixing);
  const inside = activated(b, node, b.unsqueeze(tokens, [0]), experts);
  const weighted = b.mul(project(b, inside, experts.second), b.unsqueeze(b.transpose(share, [1, 0]), [2]));
  return [b.reshapeLike(b.sum(weighted, [0], false), input)];
}

const moe: Decomposition = (b, node) => {
  const layer = (at: number): Layer | undefined => {
    const weight = given(node, at);
    return weight === undefined ? undefined : { weight, bias: given(node, at + 1) };
  };
  return mixture(b, node, { first: layer(2)!, second: layer(4)!, third: layer(6), mixing: undefined });
};

/** Integers minus their zero point, times the scale of their row or of their block of it: [experts, out, in]. */
const quantizedMoe: Decomposition = (b, node) => {
  const kind = stringAttribute(node, 'quant_type', 'int');
  if (kind !== 'int') return refuse(node, `the quantisation "${kind}"`);
  const block = intAttribute(node, 'block_size', 0);
  const common = intAttribute(node, 'expert_weight_bits', 4);
  const layer = (number: number): Layer | undefined => {
    // Weights, scales and biases of one layer after another, then the zero points.
    const [weight, scales, bias] = [0, 1, 2].map((part) => given(node, 3 * number - 1 + part));
    if (weight === undefined || scales === undefined) return undefined;
    const bits = intAttribute(node, `fc${number}_expert_weight_bits`, common);
    if (![2, 4, 8].includes(bits)) return refuse(node, `weights of ${bits} bits`);
    const [experts, rows, bytes] = b.dims(weight) ?? [];
    if (typeof experts !== 'number' || typeof rows !== 'number' || typeof bytes !== 'number') return undefined;
    const columns = (bytes * 8) / bits;
    const perRow = block > 0 ? columns / block : 1;
    const type = b.type(node.inputs[0]!);
    const zeros = given(node, 10 + number);
    // Of a row each, packed along the rows; or of its blocks, packed along them.
    const points = (packed: ValueName) => {
      const [lead, last] = block > 0 ? [[experts, rows], perRow] : [[experts], rows];
      const all = b.reshapeTo(b.cast(unpackIntegers(b, packed, bits), type), [...lead, -1]);
      const cut = b.slice(all, b.int64s([0]), b.int64s([last]), [lead.length]);
      return b.reshapeTo(cut, [experts, rows, perRow, 1]);
    };
    const offset = zeros === undefined ? b.constant(type, [], [2 ** (bits - 1)]) : points(zeros);
    const scale = b.reshapeTo(b.cast(scales, type), [experts, rows, perRow, 1]);
    const numbers = b.cast(unpackIntegers(b, weight, bits), type);
    const grouped = b.reshapeTo(numbers, [experts, rows, perRow, columns / perRow]);
    const whole = b.mul(b.sub(grouped, offset), scale);
    return { weight: b.reshapeTo(whole, [experts, rows, columns]), bias };
  };
  const [first, second] = [layer(1), layer(2)];
  if (first === undefined || second === undefined) return undefined;
  return mixture(b, node, { first, second, third: layer(3), mixing: given(node, 14) });
};

export const expertFamily = {
  'com.microsoft::MoE': moe,
  'com.microsoft::QMoE': quantizedMoe,
} satisfies Readonly<Record<string, Decomposition>>;
