/** Linear attention of com.microsoft and what stands around it in Qwen3-Next, gated DeltaNet and Mamba models. */
import type { GraphBuilder } from '../builder.ts';
import { UserError } from '../errors.ts';
import type { Node, ValueName } from '../model.ts';
import { floatAttribute, int, intAttribute, nodeLabel, stringAttribute } from '../model.ts';
import type { DataType } from '../tensor.ts';
import type { Decomposition } from './decomposition.ts';
import { asked, given } from './decomposition.ts';

const silu = (b: GraphBuilder, x: ValueName) => b.mul(x, b.sigmoid(x));

/** What a step of the recurrence takes, time first, all in the type of the state. */
interface Steps {
  /** [time, batch, heads, queries per head, dk] */
  readonly q: ValueName;
  /** [time, batch, heads, 1, dk] */
  readonly k: ValueName;
  /** [time, batch, heads, 1, dv] */
  readonly v: ValueName;
  /** What of the state stays: [time, batch, heads, dk or 1, 1]. */
  readonly kept: ValueName | undefined;
  /** How far the state is corrected: [time, batch, heads, 1, 1]. */
  readonly rate: ValueName | undefined;
}

/**
 * The state S [batch, heads, dk, dv] step by step (Yang et al. 2024, Gated Delta Networks):
 * S' = exp(g) S; S = S' + k' (v), or with the delta rule S' + beta k' (v - k S'); o = scale q S.
 */
const linearAttention: Decomposition = (b, node) => {
  if (intAttribute(node, 'state_window', 0) > 0) return undefined;
  const [query, key, value] = node.inputs as [ValueName, ValueName, ValueName];
  const [qHeads, heads] = [intAttribute(node, 'q_num_heads', 1), intAttribute(node, 'kv_num_heads', 1)];
  const [qWidth, kWidth, vWidth] = [query, key, value].map((x) => b.dims(x)?.[2]);
  if (typeof qWidth !== 'number' || typeof kWidth !== 'number' || typeof vWidth !== 'number') return undefined;
  const [dk, dv] = [qWidth / qHeads, vWidth / heads];
  const past = given(node, 3);
  const type = past === undefined ? b.type(query) : b.type(past);
  // [batch, time, heads * each] as [time, batch, heads, rows, columns]
  const timeFirst = (x: ValueName, own: number, rows: number, columns: number) => {
    const parts = b.reshapeTo(b.cast(x, type), [0, 0, own, rows, columns]);
    return b.transpose(parts, [1, 0, 2, 3, 4]);
  };
  /** Each head as often as there are heads of values to it. */
  const spread = (x: ValueName, own: number, columns: number) => {
    if (own >= heads) return timeFirst(x, heads, own / heads, columns);
    const parts = b.op('Expand', [timeFirst(x, own, 1, columns), b.int64s([1, 1, 1, heads / own, 1])]);
    return b.reshapeTo(parts, [0, 0, heads, 1, columns]);
  };
  const rule = stringAttribute(node, 'update_rule', 'gated_delta');
  const gates = rule.startsWith('gated') ? given(node, 4) : undefined;
  const rates = rule.endsWith('delta') ? given(node, 5) : undefined;
  const gateWidth = gates && b.dims(gates)?.[2];
  const rateWidth = rates && b.dims(rates)?.[2];
  if (gates && typeof gateWidth !== 'number') return undefined;
  if (rates && typeof rateWidth !== 'number') return undefined;
  const steps: Steps = {
    q: spread(query, qHeads, dk),
    k: spread(key, kWidth / dk, dk),
    v: timeFirst(value, heads, 1, dv),
    kept: gates && b.exp(timeFirst(gates, heads, (gateWidth as number) / heads, 1)),
    rate: rates && timeFirst(rates, rateWidth as number, 1, 1),
  };
  const named = floatAttribute(node, 'scale', 0);
  const [state, outputs] = recur(b, steps, past ?? emptyState(b, steps.v, dk, dv), named === 0 ? dk ** -0.5 : named);
  const output = b.reshapeTo(b.transpose(outputs, [1, 0, 2, 3, 4]), [0, 0, Math.max(qHeads, heads) * dv]);
  return [b.cast(output, b.type(query)), state];
};

const emptyState = (b: GraphBuilder, v: ValueName, dk: number, dv: number) => {
  const [, batch, heads] = b.dims(v) ?? [];
  const shape = b.concat([b.dimension(v, 1), b.dimension(v, 2), b.int64s([dk, dv])], 0);
  const zero = { kind: 'tensor', value: b.weightOf(b.type(v), [1], [0]) } as const;
  return b.op('ConstantOfShape', [shape], { value: zero }, { dims: [batch, heads, dk, dv] });
};

/** The last state, and what each step gives: [time, batch, heads, queries per head, dv]. */
function recur(b: GraphBuilder, steps: Steps, first: ValueName, scale: number): [ValueName, ValueName] {
  const scope = b.unusedName('onnxray/recurrence');
  const given = Object.entries(steps).filter((entry): entry is [keyof Steps, ValueName] => entry[1] !== undefined);
  const info = (name: string, value: ValueName, from: number) => ({
    name: `${scope}/${name}`,
    type: b.type(value),
    dims: b.dims(value)?.slice(from),
  });
  const state = info('state', first, 0);
  const slices = given.map(([name, value]) => info(name, value, 1));
  const body = b.subgraph([state, ...slices], (inner) => {
    const at = (name: keyof Steps) => slices[given.findIndex(([each]) => each === name)]?.name;
    const [q, k, v] = [at('q')!, at('k')!, at('v')!];
    const [kept, rate] = [at('kept'), at('rate')];
    const before = kept === undefined ? state.name : inner.mul(kept, state.name);
    const added = rate === undefined ? v : inner.mul(rate, inner.sub(v, inner.matmul(k, before)));
    const after = inner.add(before, inner.mul(inner.matrixTranspose(k), added));
    return [after, inner.mul(inner.matmul(q, after), inner.scalar(scale, q))];
  });
  const [time, batch, heads, repeats] = b.dims(steps.q) ?? [];
  const type: DataType = b.type(first);
  return b.emit(
    'Scan',
    [first, ...given.map(([, value]) => value)],
    { body: { kind: 'graph', value: body }, num_scan_inputs: int(given.length) },
    {
      outputs: 2,
      facts: [
        { type, dims: b.dims(first) },
        { type, dims: [time, batch, heads, repeats, b.dims(steps.v)?.[4]] },
      ],
    },
  ) as [ValueName, ValueName];
}

/** decay_scale softplus(a + dt_bias), and sigmoid(b) */
const linearAttentionGate: Decomposition = (b, node) => {
  const [a, bias, scale, rate] = node.inputs as [ValueName, ValueName, ValueName, ValueName?];
  const inside = b.op('Softplus', [b.add(b.cast(a, b.type(bias)), bias)]);
  return [b.cast(b.mul(inside, scale), b.type(a)), rate ? b.sigmoid(rate) : undefined];
};

/** A convolution of each channel over what has been, and the end of it for the next call. */
const causalConv: Decomposition = (b, node) => {
  const others = ['channels_last', 'state_window', 'state_update_capacity', 'state_length', 'input_channels'];
  if (intAttribute(node, 'ndim', 1) !== 1 || others.some((name) => intAttribute(node, name, 0) !== 0)) return undefined;
  const [x, weight] = [node.inputs[0]!, node.inputs[1]!];
  const [channels, , kernel] = b.dims(weight) ?? [];
  if (typeof channels !== 'number' || typeof kernel !== 'number') return undefined;
  const dilation = intAttribute(node, 'dilation', 1);
  const length = (kernel - 1) * dilation;
  const past = given(node, 3);
  const before = past ? b.concat([past, x], 2) : b.pad(x, b.int64s([0, 0, length, 0, 0, 0]));
  const dims = b.dims(x);
  const attributes = { strides: [1], dilations: [dilation], pads: [0, 0], group: channels };
  const y = b.conv(before, weight, attributes, dims);
  const bias = given(node, 2);
  const sum = bias ? b.add(y, b.unsqueeze(bias, [1])) : y;
  const kind = stringAttribute(node, 'activation', 'none');
  const output = kind === 'none' || kind === '' ? sum : silu(b, sum);
  if (!asked(node, 1)) return [output];
  const ends = b.int64s([Number.MAX_SAFE_INTEGER]);
  // The last -0 would be all.
  const from = length === 0 ? ends : b.int64s([-length]);
  return [output, b.slice(before, from, ends, [2], undefined, dims && [dims[0], channels, length])];
};

/** x / sqrt(mean(x^2) + eps) scale f(gate), the mean over as many elements as there are scales. */
const gatedRmsNorm: Decomposition = (b, node) => {
  const [x, scale, gate] = node.inputs as [ValueName, ValueName, ValueName];
  const width = b.dims(scale)?.[0];
  if (typeof width !== 'number') return undefined;
  const groups = b.reshapeTo(x, [...Array<number>(b.rank(x) - 1).fill(0), -1, width]);
  const epsilon = b.scalar(floatAttribute(node, 'epsilon', 1e-5), groups);
  const inverse = b.reciprocal(b.sqrt(b.add(b.mean(b.square(groups), [b.rank(groups) - 1]), epsilon)));
  const normal = b.reshapeLike(b.mul(b.mul(groups, inverse), scale), x);
  return [b.mul(normal, gateOf(b, node, gate))];
};

function gateOf(b: GraphBuilder, node: Node, gate: ValueName): ValueName {
  const kind = stringAttribute(node, 'activation', 'silu');
  if (kind === 'sigmoid') return b.sigmoid(gate);
  if (kind === 'silu' || kind === 'swish') return silu(b, gate);
  throw new UserError(`${node.operator} "${nodeLabel(node)}": the activation "${kind}" of the gate is unknown`);
}

export const linearAttentionFamily = {
  'com.microsoft::LinearAttention': linearAttention,
  'com.microsoft::LinearAttentionGate': linearAttentionGate,
  'com.microsoft::CausalConvWithState': causalConv,
  'com.microsoft::GatedRMSNorm': gatedRmsNorm,
} satisfies Readonly<Record<string, Decomposition>>;
