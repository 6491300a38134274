/**
 * Attention weighted by what it carries. With f_h(x) = (x W_V + b_V) W_O, head by head, a query i takes from key j the vector
 * T_i(j) = sum_h a_h(i, j) f_h(x_j), to which its own place adds the residual x_i.
 *
 * Kobayashi et al. 2020, https://arxiv.org/abs/2004.10102: the 2-norm of T without the residual. 2021,
 * https://arxiv.org/abs/2109.07152: with the residual, and through the layer norm that follows, LN(T) = (T - mean T) /
 * sigma_i * scale. ALTI, Ferrando et al. 2022, https://arxiv.org/abs/2203.04212: c_ij = max(0, |y_i| - |y_i - LN(T_i(j))|) in
 * the 1-norm, y the layer's output; rows made one, multiplied through the layers. GlobEnc, Modarressi et al. 2022,
 * https://arxiv.org/abs/2205.03286: the 2-norm through the residual and both norms, the feed-forward part left out but for
 * its share in the second norm's deviation; rows made one, multiplied through the layers.
 */
import { UserError, int } from '../onnx/index.ts';
import type { GraphBuilder, Model, NamedTensors, ValueInfo, ValueName } from '../onnx/index.ts';
import type { Scores } from '../explanation/index.ts';
import type { ModelHost } from '../runtime/core.ts';
import type { Anatomy, Norm } from './anatomy.ts';
import { anatomyOf, secondNorm } from './anatomy.ts';
import { chainOf, checkOneRow, onlyRow, rowsToOne, stackOf } from './chain.ts';
import type { Stack } from './chain.ts';
import { inFourAxes } from '../programs/index.ts';
import { ATTENTION, chooseBlocks, finish, give, openAttention, runAttention } from './graph.ts';
import type { OpenAttention, OpenBlock } from './graph.ts';
import type { AttentionBlock, Projection } from './locate.ts';

export interface NormsOptions {
  /** Blocks by index; all unless said. */
  readonly blocks?: readonly number[];
  /** What the norm is of: attention alone, with the residual, or that through the layer norm (where one follows). Default attention. */
  readonly of?: 'attention' | 'residual' | 'layer-norm';
  readonly signal?: AbortSignal;
}

/** Norms of what each query takes from each key, by block: [queries, keys]. */
export async function attentionNorms(
  host: ModelHost,
  tensors: NamedTensors,
  { blocks, of = 'attention', signal }: NormsOptions = {},
): Promise<readonly { readonly block: AttentionBlock; readonly norms: Scores }[]> {
  checkOneRow(tensors, 'the norm of attention');
  const located = chooseBlocks(host.model, blocks);
  const indices = located.map(({ index }) => index);
  const compile = (model: Model) => {
    const open = openAttention(model, indices);
    for (const each of open.blocks) {
      const anatomy = anatomyOf(open.tracer, each.block);
      const cross = each.block.kind === 'cross';
      const norms = of === 'layer-norm' && anatomy.norm !== undefined ? [anatomy.norm] : [];
      const residual = of !== 'attention' && !cross ? 'own' : 'none';
      const value = overQueries(open.b, each, anatomy, { residual, norms, what: 'norm' });
      give(open.b, value, ATTENTION.output(each.block.index, 'norms'));
    }
    return finish(open.b);
  };
  const outputs = await runAttention(host, { kind: 'norms', of, blocks: indices }, compile, tensors, signal);
  return located.map((block) => ({ block, norms: outputs[ATTENTION.output(block.index, 'norms')]! }));
}

export interface RollingOptions {
  /** Layers of which stack; the encoder's where there is one, unless said. */
  readonly stack?: Stack;
  readonly signal?: AbortSignal;
}

export interface Rolled {
  /** What each token at the end owes to each at the start, [queries, keys]; rows sum to one. */
  readonly map: Scores;
  /** The same of each layer alone, by block. */
  readonly layers: readonly { readonly block: AttentionBlock; readonly scores: Scores }[];
}

/** ALTI: contributions in the 1-norm, multiplied through the layers. */
export function alti(host: ModelHost, tensors: NamedTensors, options: RollingOptions = {}): Promise<Rolled> {
  return rolled(host, tensors, 'alti', options);
}

/** GlobEnc: norms through both layer norms, multiplied through the layers. Throws a UserError for models that norm before. */
export function globenc(host: ModelHost, tensors: NamedTensors, options: RollingOptions = {}): Promise<Rolled> {
  return rolled(host, tensors, 'globenc', options);
}

async function rolled(
  host: ModelHost,
  tensors: NamedTensors,
  kind: 'alti' | 'globenc',
  { stack, signal }: RollingOptions,
): Promise<Rolled> {
  checkOneRow(tensors, kind);
  const blocks = stackOf(chooseBlocks(host.model), stack);
  const compile = (model: Model) => {
    const open = openAttention(
      model,
      blocks.map(({ index }) => index),
    );
    const layers = open.blocks.map((each) => {
      const layer = rowsToOne(open.b, kind === 'alti' ? contributions(open, each) : throughBothNorms(open, each));
      give(open.b, layer, ATTENTION.output(each.block.index, kind));
      return layer;
    });
    give(open.b, chainOf(open.b, layers), ATTENTION.whole(kind));
    return finish(open.b);
  };
  const outputs = await runAttention(host, { kind, stack: stack ?? null }, compile, tensors, signal);
  return {
    map: outputs[ATTENTION.whole(kind)]!,
    layers: blocks.map((block) => ({ block, scores: outputs[ATTENTION.output(block.index, kind)]! })),
  };
}

/**
 * ALTI's contributions of each key, [queries, keys], as they are: rows do not sum to one. Of cross-attention, whose residual is
 * of no key, [queries, keys + 1], the last column being the residual's.
 */
export function contributions({ b, tracer }: OpenAttention, open: OpenBlock): ValueName {
  const anatomy = anatomyOf(tracer, open.block);
  const norms = anatomy.norm === undefined ? [] : [anatomy.norm];
  const residual = open.block.kind === 'cross' ? 'apart' : 'own';
  return overQueries(b, open, anatomy, { residual, norms, what: 'contribution' });
}

function throughBothNorms({ b, tracer }: OpenAttention, open: OpenBlock): ValueName {
  const anatomy = anatomyOf(tracer, open.block);
  const second = anatomy.norm && secondNorm(tracer, anatomy.norm);
  if (anatomy.norm === undefined || second === undefined)
    throw new UserError(
      `${open.block.path}: GlobEnc is for layers that norm after their sums, as BERT's; use alti or norms`,
    );
  return overQueries(b, open, anatomy, { residual: 'own', norms: [anatomy.norm, second], what: 'norm' });
}

interface Wanted {
  /** Where the residual goes: to the query's own key, to a place after the keys, or nowhere. */
  readonly residual: 'own' | 'apart' | 'none';
  /** The norms the vectors go through, first to last. */
  readonly norms: readonly Norm[];
  readonly what: 'norm' | 'contribution';
}

/** [queries, keys], one more with the residual apart: the vectors T of one query after another, never all of them at once, reduced to a number each. */
function overQueries(b: GraphBuilder, open: OpenBlock, anatomy: Anatomy, { residual, norms, what }: Wanted): ValueName {
  const attention = b.transpose(onlyRow(b, open.probabilities), [1, 2, 0]);
  const vectors = b.transpose(headVectors(b, open.block, anatomy.projection), [1, 0, 2]);
  const type = b.type(vectors);
  const flat = (value: ValueName) =>
    b.reshape(value, b.concat([b.int64s([-1]), b.dimension(value, b.rank(value) - 1)], 0));
  const places = b.unsqueeze(b.positions(attention, 1), [0]);
  const own = b.cast(b.equal(b.unsqueeze(b.positions(attention, 0), [1]), places), type);
  const slices: ValueName[] = [attention, own, flat(anatomy.residual)];
  for (const norm of norms) slices.push(flat(deviation(b, norm)));
  if (what === 'contribution') slices.push(flat(norms.at(-1)?.output ?? anatomy.sum));
  const infos = slices.map((value, at): ValueInfo => {
    const name = b.unusedName(`onnxray/query/${at}`);
    return { name, type: b.type(value), dims: b.dims(value)?.slice(1) };
  });
  const body = b.subgraph(infos, (inner) => {
    const [a, eye, x, ...rest] = infos.map(({ name }) => name) as [ValueName, ValueName, ValueName, ...ValueName[]];
    // [keys, 1, heads] x [keys, heads, hidden]
    let t = inner.squeeze(inner.matmul(inner.unsqueeze(a, [1]), vectors), [1]);
    if (residual === 'own') t = inner.add(t, inner.mul(inner.unsqueeze(eye, [1]), inner.unsqueeze(x, [0])));
    if (residual === 'apart') t = inner.concat([t, inner.unsqueeze(x, [0])], 0);
    norms.forEach((norm, at) => {
      const scaled = inner.div(inner.sub(t, inner.mean(t, [1])), rest[at]!);
      t = norm.scale === undefined ? scaled : inner.mul(scaled, norm.scale);
    });
    if (what === 'norm') return [inner.sqrt(inner.sum(inner.square(t), [1], false))];
    const y = inner.unsqueeze(rest.at(-1)!, [0]);
    const left = inner.sum(inner.abs(inner.sub(y, t)), [1], false);
    return [inner.op('Max', [inner.sub(inner.sum(inner.abs(y), [1], false), left), inner.scalar(0, left)])];
  });
  return b.op(
    'Scan',
    slices,
    { body: { kind: 'graph', value: body }, num_scan_inputs: int(slices.length) },
    residual === 'apart' ? {} : { dims: b.dims(attention)?.slice(0, 2) },
  );
}

/** f_h(x_j) for each head and key, [heads, keys, hidden]. */
function headVectors(b: GraphBuilder, block: AttentionBlock, projection: Projection): ValueName {
  const values = onlyRow(b, inFourAxes(b, block.values, block));
  return b.matmul(values, headWeights(b, values, projection));
}

/** The output weight of each head, [heads, size, hidden], for values [heads, keys, size]. */
export function headWeights(b: GraphBuilder, values: ValueName, projection: Projection): ValueName {
  const weight = floatWeight(b, projection);
  const whole = projection.transposed ? b.matrixTranspose(weight) : weight;
  const shape = b.concat([b.int64s([-1]), b.dimension(values, 2), b.dimension(whole, 1)], 0);
  return b.reshape(whole, shape, [b.dims(values)?.[0], b.dims(values)?.[2], b.dims(whole)?.[1]]);
}

/** A weight of integers as the numbers it stands for. */
function floatWeight(b: GraphBuilder, { weight, quantized }: Projection): ValueName {
  if (quantized === null) return weight;
  const steps = (value: ValueName) => b.cast(value, b.type(quantized.scale));
  const centred = quantized.zero === undefined ? steps(weight) : b.sub(steps(weight), steps(quantized.zero));
  return b.mul(centred, quantized.scale);
}

/** sqrt(variance + epsilon) of what a norm norms, [..., queries, 1]. */
function deviation(b: GraphBuilder, { input, epsilon }: Norm): ValueName {
  const last = b.rank(input) - 1;
  const centred = b.sub(input, b.mean(input, [last]));
  return b.sqrt(b.add(b.mean(b.square(centred), [last]), b.scalar(epsilon, input)));
}
