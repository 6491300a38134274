import { UserError } from '../onnx/index.ts';
import type { Model } from '../onnx/index.ts';
import type { Tower } from '../programs/index.ts';
import { anatomyOf } from './anatomy.ts';
import { chooseBlocks } from './graph.ts';
import type { AttentionBlock } from './locate.ts';
import { downstream, traceModel } from './trace.ts';
import type { Tracer } from './trace.ts';

/** A tower with where its last attention is. */
export interface AttentionTower extends Tower {
  readonly path: string;
}

/**
 * The layers of self-attention over the tokens of each input, by input: a classifier has one tower, a model that compares a
 * picture with a text two. What looks at both is in none. `streams`: with what each layer leaves behind, which only layers
 * that are normed before attention have; a UserError says where it is not found.
 * Throws a UserError when the model attends nowhere, or to none of these inputs by itself.
 */
export function attentionTowers(
  model: Model,
  inputs: readonly string[],
  { streams = false } = {},
): readonly AttentionTower[] {
  const blocks = chooseBlocks(model).filter(({ kind }) => kind !== 'cross');
  const tracer = traceModel(model);
  const reached = inputs.map((input) => downstream(tracer, input));
  const towers = inputs.flatMap((input, at): AttentionTower[] => {
    const own = blocks.filter(({ queries }) =>
      reached.every((values, other) => values.has(queries) === (other === at)),
    );
    if (own.length === 0) return [];
    for (const block of own) checkWhole(tracer, block, own[0]!);
    const behind = streams ? streamsOf(tracer, own) : [];
    const parts = own.map(({ probabilities, context, heads }, layer) => ({
      probabilities,
      context,
      heads,
      ...(streams ? { stream: behind[layer]! } : {}),
    }));
    return [{ input, path: own.at(-1)!.path, blocks: parts }];
  });
  if (towers.length === 0) throw new UserError('no layer of this model attends over the tokens of one input alone');
  return towers;
}

/** Layers that see all tokens at once, and as many as the first: only then does what one says of a token go on to the next. */
function checkWhole({ facts }: Tracer, block: AttentionBlock, first: AttentionBlock): void {
  const [dims, before] = [facts.get(block.probabilities)?.dims, facts.get(first.probabilities)?.dims];
  const parts = dims?.length === 4 ? dims[0] : dims?.length === 3 ? Number(dims[0]) / (block.heads ?? 1) : 1;
  if ((dims?.length ?? 4) > 4 || (typeof parts === 'number' && parts !== 1))
    throw new UserError(
      `${block.path} attends in windows: nothing can be followed across them; grad-cam has no such need`,
    );
  const [tokens, others] = [dims?.at(-1), before?.at(-1)];
  if (typeof tokens === 'number' && typeof others === 'number' && tokens !== others)
    throw new UserError(
      `${block.path} attends over ${tokens} tokens, ${first.path} over ${others}: nothing can be followed`,
    );
}

/** The residual stream behind each layer: what the next one's attention is added to. */
function streamsOf(tracer: Tracer, blocks: readonly AttentionBlock[]): string[] {
  const parts = blocks.map((block) => anatomyOf(tracer, block));
  const normed = parts.find(({ norm }) => norm !== undefined);
  if (normed !== undefined)
    throw new UserError(
      `${normed.block.path} is normed behind its attention: there is no stream to read each layer off`,
    );
  const { sum, block } = parts.at(-1)!;
  const added = (tracer.consumers.get(sum) ?? []).find(
    ({ operator, inputs }) => operator === 'Add' && inputs.every((name) => !tracer.constants.has(name)),
  );
  if (added === undefined) throw new UserError(`${block.path}: no feed-forward part was found behind it`);
  return [...parts.slice(1).map(({ residual }) => residual), added.outputs[0]!];
}
