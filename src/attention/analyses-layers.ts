/** Analyses that follow attention through all layers. */
import type { Scores } from '../explanation/index.ts';
import { UsageError } from '../onnx/index.ts';
import { altiPlus } from './alti-plus.ts';
import type { AnalysisContext, AttentionAnalysis } from './analysis.ts';
import { blockResult, defineAnalysis, measured } from './analysis.ts';
import type { Stack } from './chain.ts';
import { stackOf } from './chain.ts';
import { chefer, transformerAttribution } from './chefer.ts';
import { crossAttention } from './cross.ts';
import { flow } from './flow.ts';
import { locateAttention } from './locate.ts';
import { alti, globenc } from './norms.ts';
import type { Rolled } from './norms.ts';
import { FUSIONS } from './reductions.ts';
import type { Found } from './result.ts';
import { rollout } from './rollout.ts';

const STACK = {
  kind: 'choice',
  default: 'auto',
  choices: ['auto', 'encoder', 'decoder'],
  help: 'the layers of which part; the encoder’s where there is one',
} as const;

const RESIDUAL = { kind: 'text', default: '0.5', help: 'weight of the residual connection, 0 to 1' } as const;
const FUSION = { kind: 'choice', default: 'mean', choices: FUSIONS, help: 'how heads become one' } as const;

const stackOption = (stack: 'auto' | Stack) => (stack === 'auto' ? {} : { stack });
const signalOf = ({ signal }: AnalysisContext) => (signal === undefined ? {} : { signal });

/** A number from 0 to 1. */
function shareOption(analysis: string, name: string, text: string, below = 1): number {
  const share = Number(text);
  if (text.trim() === '' || !(share >= 0) || share > below)
    throw new UsageError(`option ${name} of ${analysis} must be a number from 0 to ${below}, not "${text}"`);
  return share;
}

function whole(context: AnalysisContext, map: Scores, stack: 'auto' | Stack, more: Partial<Found> = {}): Found {
  const chosen = stackOf(locateAttention(context.host.model), stack === 'auto' ? undefined : stack);
  const [queries, keys] = [map.dims[1]!, map.dims[1]!];
  return {
    blocks: chosen.map((block) => blockResult(block, { heads: undefined }, { queries, keys })),
    map: measured(map, ['query', 'key']),
    ...more,
  };
}

const rolloutAnalysis = defineAnalysis({
  name: 'rollout',
  summary: 'attention multiplied through the layers (Abnar & Zuidema 2020)',
  options: {
    residual: RESIDUAL,
    fusion: FUSION,
    discard: { kind: 'text', default: '0', help: 'share of each layer’s smallest weights to drop, 0 to 1' },
    stack: STACK,
  },
  needs: 'input',
  scope: 'model',
  async run(context, { residual, fusion, discard, stack }) {
    const map = await rollout(context.host, context.tensors, {
      residual: shareOption('rollout', 'residual', residual),
      discard: shareOption('rollout', 'discard', discard),
      fusion,
      ...stackOption(stack),
      ...signalOf(context),
    });
    return whole(context, map, stack);
  },
});

/** Beyond this many tokens all pairs take minutes. */
const FLOW_LENGTH = 24;

const flowAnalysis = defineAnalysis({
  name: 'flow',
  summary: 'the most that can flow from each token to each through the layers (Abnar & Zuidema 2020)',
  options: {
    residual: RESIDUAL,
    fusion: FUSION,
    query: {
      kind: 'text',
      default: 'auto',
      help: `the token whose flow is wanted, a position or all (auto: all of at most ${FLOW_LENGTH}, else the first of an encoder and the last of a decoder)`,
    },
    stack: STACK,
  },
  needs: 'input',
  scope: 'model',
  async run(context, { residual, fusion, query, stack }) {
    if (query !== 'auto' && query !== 'all' && !/^\d+$/.test(query))
      throw new UsageError(`option query of flow must be a position, all or auto, not "${query}"`);
    const length = context.text?.tokens.length;
    const kind = stackOf(locateAttention(context.host.model), stack === 'auto' ? undefined : stack)[0]!.kind;
    const auto = length === undefined || length <= FLOW_LENGTH ? 'all' : kind === 'decoder' ? length - 1 : 0;
    const from = query === 'auto' ? auto : query === 'all' ? 'all' : Number(query);
    const map = await flow(context.host, context.tensors, {
      residual: shareOption('flow', 'residual', residual),
      fusion,
      ...(from === 'all' ? {} : { queries: [from] }),
      ...(context.onProgress === undefined ? {} : { onProgress: context.onProgress }),
      ...stackOption(stack),
      ...signalOf(context),
    });
    return whole(context, map, stack, from === 'all' ? {} : { rows: [from] });
  },
});

const rolling = (
  name: 'alti' | 'globenc',
  summary: string,
  run: (...request: Parameters<typeof alti>) => Promise<Rolled>,
): AttentionAnalysis =>
  defineAnalysis({
    name,
    summary,
    options: { stack: STACK },
    needs: 'input',
    scope: 'model',
    async run(context, { stack }) {
      const { map, layers } = await run(context.host, context.tensors, { ...stackOption(stack), ...signalOf(context) });
      const blocks = layers.map(({ block, scores }) => {
        const [queries, keys] = scores.dims as [number, number];
        const own = { queries, keys, measure: measured(scores, ['query', 'key']) };
        return blockResult(block, { heads: undefined }, own);
      });
      return { blocks, map: measured(map, ['query', 'key']) };
    },
  });

const altiPlusAnalysis = defineAnalysis({
  name: 'alti-plus',
  summary:
    'what each token of a decoder owes to each that was encoded, and to what was written before (Ferrando et al. 2022)',
  options: {},
  needs: 'input',
  scope: 'model',
  async run(context) {
    const { source, target, shares } = await altiPlus(context.host, context.tensors, signalOf(context));
    const lengths = { encoder: source.dims[1]!, decoder: source.dims[0]!, cross: source.dims[1]! };
    const blocks = locateAttention(context.host.model).map((block) => {
      const queries = block.kind === 'encoder' ? lengths.encoder : lengths.decoder;
      return blockResult(block, { heads: undefined }, { queries, keys: lengths[block.kind] });
    });
    const map = measured(source, ['query', 'key']);
    return {
      blocks,
      map,
      maps: {
        source: map,
        target: measured(target, ['query', 'key']),
        shares: measured(shares, ['query', 'class'], ['source', 'target']),
      },
    };
  },
});

const cheferAnalysis = defineAnalysis({
  name: 'chefer',
  summary:
    'positive gradient x attention, added up through the layers; encoder, decoder and cross (Chefer et al. 2021)',
  options: {},
  needs: 'target',
  scope: 'model',
  async run(context) {
    const target = await context.target();
    const maps = await chefer(context.host, context.tensors, target, signalOf(context));
    const named = Object.entries(maps).map(([kind, map]) => [kind, measured(map, ['query', 'key'])] as const);
    const blocks = locateAttention(context.host.model).map((block) => {
      const [queries, keys] = maps[block.kind]!.dims as [number, number];
      return blockResult(block, { heads: undefined }, { queries, keys });
    });
    const main = maps.cross ?? maps.encoder ?? maps.decoder;
    return {
      blocks,
      ...(main === undefined ? {} : { map: measured(main, ['query', 'key']) }),
      ...(named.length > 1 ? { maps: Object.fromEntries(named) } : {}),
    };
  },
});

const crossAnalysis = defineAnalysis({
  name: 'cross',
  summary: 'where each word of a decoder looks in what was encoded: cross-attention, mean over layers, heads fused',
  options: { fusion: FUSION },
  needs: 'input',
  scope: 'blocks',
  async run(context, { fusion }) {
    const { host, tensors } = context;
    const all = locateAttention(host.model).filter(({ kind }) => kind === 'cross');
    const own = context.blocks === undefined ? all : all.filter(({ index }) => context.blocks!.includes(index));
    const map = await crossAttention(host, tensors, {
      fusion,
      blocks: own.map(({ index }) => index),
      ...signalOf(context),
    });
    const [queries, keys] = map.dims as [number, number];
    return {
      blocks: own.map((block) => blockResult(block, { heads: undefined }, { queries, keys })),
      map: measured(map, ['query', 'key']),
    };
  },
});

const attribution = defineAnalysis({
  name: 'transformer-attribution',
  summary: 'relevance x gradient of attention, multiplied through the layers (Chefer et al. 2021, CVPR)',
  options: { stack: STACK },
  needs: 'target',
  scope: 'model',
  async run(context, { stack }) {
    const target = await context.target();
    const options = { ...stackOption(stack), ...signalOf(context) };
    return whole(context, await transformerAttribution(context.host, context.tensors, target, options), stack);
  },
});

export const THROUGH_LAYERS: readonly AttentionAnalysis[] = [
  rolloutAnalysis,
  flowAnalysis,
  rolling('alti', 'what each token contributes, by how much nearer it brings the output (Ferrando et al. 2022)', alti),
  altiPlusAnalysis,
  rolling(
    'globenc',
    'norms through residual and both layer norms of post-norm encoders (Modarressi et al. 2022)',
    globenc,
  ),
  cheferAnalysis,
  attribution,
  crossAnalysis,
];
