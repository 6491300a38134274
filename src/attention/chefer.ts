import { appendGradients } from '../autodiff/index.ts';

import type { DenseTensor, GraphBuilder, Model, NamedTensors, ValueName } from '../onnx/index.ts';
import type { Scores } from '../explanation/index.ts';
import type { ModelHost } from '../runtime/core.ts';
import { chainOf, checkOneRow, identityLike, onlyRow, rowsToOne, stackOf } from './chain.ts';
import type { Stack } from './chain.ts';
import { ATTENTION, addTarget, chooseBlocks, finish, give, openAttention, runAttention } from './graph.ts';
import type { OpenBlock } from './graph.ts';
import { inFourAxes } from '../programs/index.ts';
import { attentionRelevance } from './relevance.ts';

/** What is asked about: an output, and the weight of each of its elements, [1, ...]. */
export interface AttentionTarget {
  readonly output: string;
  readonly weights: Scores;
}

export interface CheferOptions {
  readonly signal?: AbortSignal;
}

/** Relevance of keys for queries, [queries, keys], by kind of attention; a model has what it has. */
export type CheferMaps = Readonly<Partial<Record<'encoder' | 'decoder' | 'cross', Scores>>>;

/**
 * Chefer, Gur & Wolf 2021 (ICCV), https://arxiv.org/abs/2103.15679: with Abar = mean over heads of the positive part of
 * gradient * A, layer by layer R += Abar R from R = I. In a decoder that attends to an encoder, self-attention also carries
 * the relevance of the encoder's tokens on, and cross-attention adds Rbar_dd' Abar Rbar_ee, where Rbar is R without the
 * identity, its rows made one, plus the identity. One forward and one backward pass; R is made within the graph. Negative
 * evidence is cut off, so it shows what speaks for the target only.
 */
export async function chefer(
  host: ModelHost,
  tensors: NamedTensors,
  target: AttentionTarget,
  { signal }: CheferOptions = {},
): Promise<CheferMaps> {
  checkOneRow(tensors, 'chefer');
  chooseBlocks(host.model);
  const request = { kind: 'chefer', output: target.output };
  const compile = (model: Model) => {
    const { b, blocks } = openAttention(model);
    const evidence = positiveEvidence(b, blocks, target.output);
    const maps = new Map<string, ValueName>();
    const start = (kind: 'encoder' | 'decoder', step: ValueName): ValueName => maps.get(kind) ?? identityLike(b, step);
    blocks.forEach(({ block }, at) => {
      const step = evidence[at]!;
      if (block.kind !== 'cross') {
        const before = start(block.kind, step);
        maps.set(block.kind, b.add(before, b.matmul(step, before)));
        const cross = maps.get('cross');
        if (block.kind === 'decoder' && cross !== undefined) maps.set('cross', b.add(cross, b.matmul(step, cross)));
        return;
      }
      const [own, other] = [maps.get('decoder'), maps.get('encoder')];
      let added = step;
      if (other !== undefined) added = b.matmul(added, centred(b, other));
      if (own !== undefined) added = b.matmul(b.matrixTranspose(centred(b, own)), added);
      const before = maps.get('cross');
      maps.set('cross', before === undefined ? added : b.add(before, added));
    });
    for (const [kind, map] of maps) give(b, map, ATTENTION.whole(kind));
    return finish(b);
  };
  const outputs = await runAttention(host, request, compile, withTarget(tensors, target), signal);
  const maps: { -readonly [K in keyof CheferMaps]: Scores } = {};
  for (const kind of ['encoder', 'decoder', 'cross'] as const) {
    const map = outputs[ATTENTION.whole(kind)];
    if (map !== undefined) maps[kind] = map;
  }
  return maps;
}

/** Feeds with the weights of the target beside them. */
export function withTarget(tensors: NamedTensors, { weights }: AttentionTarget): NamedTensors {
  const data = Float32Array.from(weights.data);
  const tensor: DenseTensor = { type: 'float32', dims: weights.dims, data };
  return { ...tensors, [ATTENTION.target]: tensor };
}

/** For each block the mean over heads of the positive part of gradient * A, [queries, keys]. */
function positiveEvidence(b: GraphBuilder, blocks: readonly OpenBlock[], output: string): ValueName[] {
  const seed = addTarget(b, output);
  const gradients = appendGradients(b, { of: output, wrt: blocks.map(({ block }) => block.probabilities), seed });
  return blocks.map(({ block, probabilities }) =>
    meanOfPositive(b, b.mul(probabilities, inFourAxes(b, gradients.get(block.probabilities)!, block))),
  );
}

function meanOfPositive(b: GraphBuilder, byHead: ValueName): ValueName {
  return onlyRow(b, b.mean(b.op('Max', [byHead, b.scalar(0, byHead)]), [1], false));
}

function centred(b: GraphBuilder, r: ValueName): ValueName {
  const eye = identityLike(b, r);
  return b.add(rowsToOne(b, b.sub(r, eye)), eye);
}

export interface TransformerAttributionOptions extends CheferOptions {
  readonly stack?: Stack;
}

/**
 * Chefer, Gur & Wolf 2021 (CVPR), https://arxiv.org/abs/2012.09838: the relevance R of each layer's probabilities (LRP:
 * positive contributions through linear layers, products of two values halved, norms and activations passed) times their
 * gradient, positive part, mean over heads, plus I; rows made one, multiplied through the layers: [queries, keys]. One
 * forward pass, one backward pass and one of relevance.
 */
export async function transformerAttribution(
  host: ModelHost,
  tensors: NamedTensors,
  target: AttentionTarget,
  { stack, signal }: TransformerAttributionOptions = {},
): Promise<Scores> {
  checkOneRow(tensors, 'transformer-attribution');
  const indices = stackOf(chooseBlocks(host.model), stack).map(({ index }) => index);
  const compile = (model: Model) => {
    const { b, blocks, tracer } = openAttention(model, indices);
    const seed = addTarget(b, target.output);
    const wrt = blocks.map(({ block }) => block.probabilities);
    const gradients = appendGradients(b, { of: target.output, wrt, seed });
    const relevance = attentionRelevance(b, tracer, { of: target.output, wrt, seed });
    const steps = blocks.map(({ block }) => {
      const [g, r] = [gradients, relevance].map((map) => inFourAxes(b, map.get(block.probabilities)!, block));
      const step = meanOfPositive(b, b.mul(g!, r!));
      return rowsToOne(b, b.add(identityLike(b, step), step));
    });
    give(b, chainOf(b, steps), ATTENTION.whole('map'));
    return finish(b);
  };
  const request = { kind: 'transformer-attribution', output: target.output, blocks: indices };
  const outputs = await runAttention(host, request, compile, withTarget(tensors, target), signal);
  return outputs[ATTENTION.whole('map')]!;
}
