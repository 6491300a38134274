import type { ModelHost } from '../../runtime/core.ts';
import { jensenShannon, kendallTau, totalVariation } from './divergence.ts';
import { gradientsAt } from './gradients.ts';
import { attentionFrom, findQuery, meanOf, selfBlocks } from './query.ts';
import type { Query } from './query.ts';
import type { Question, QuestionOptions, Subject } from './question.ts';
import { about, ask, blockLabel, headCount, layerAxis, positionLabels } from './question.ts';
import type { Removal } from './removal.ts';
import { canDelete, withoutPositions } from './removal.ts';
import type { Intervention } from './result.ts';
import { axis, cells } from './result.ts';

export interface CorrelateRequest extends QuestionOptions {
  readonly subject: Subject;
  /** The position whose attention is compared; found unless said: see `findQuery`. */
  readonly query?: number | undefined;
  /** How a position is left out. Default: `delete` where it can be done. */
  readonly removal?: Removal | undefined;
}

/** Scores of every position by attention, gradient and leaving it out. */
export interface Rankings {
  readonly query: Query;
  readonly removal: Removal;
  /** [blocks][heads][positions] */
  readonly attention: readonly (readonly Float64Array[])[];
  /** |embedding . d target / d embedding| */
  readonly gradient: Float64Array;
  /** Total variation distance of the answer without the position; NaN for the target's own. */
  readonly leaveOneOut: Float64Array;
}

/** One pass, a backward pass, and a pass for each position. */
export async function rankPositions(
  question: Question,
  { query, removal, leaveOneOut = true }: Pick<CorrelateRequest, 'query' | 'removal'> & { leaveOneOut?: boolean },
): Promise<Rankings> {
  const { chain, run, target } = question;
  const blocks = selfBlocks(question);
  const found = await findQuery(question, query);
  const captured = await chain.read(
    run.inputs,
    blocks.map(({ probabilities, heads }) => ({ value: probabilities, heads })),
  );
  const positions = run.hidden[0]!.dims[1]!;
  const [gradient] = await gradientsAt(question, [{ value: embeddingOf(question), by: 'positions', heads: null }]);
  const how = removal ?? (canDelete(question) ? 'delete' : 'attention');
  const left = new Float64Array(positions).fill(Number.NaN);
  if (leaveOneOut) {
    const removable = Array.from({ length: positions }, (_, at) => at).filter((at) => at !== target.position);
    const { before, after } = await withoutPositions(
      question,
      removable.map((at) => [at]),
      how,
    );
    removable.forEach((at, index) => {
      left[at] = totalVariation(before, after[index]!);
    });
  }
  return {
    query: found,
    removal: how,
    attention: blocks.map((block) => attentionFrom(captured.captured.get(block.probabilities)!, block, found)),
    gradient: gradient!.map(Math.abs),
    leaveOneOut: left,
  };
}

/** The word embedding, where the positions are the tokens'; else the stream's first value. */
function embeddingOf({ chain, run }: Question): string {
  const dims = chain.tracer.facts.get(chain.stream.source)?.dims;
  const given = run.inputs[chain.stream.input]!.dims;
  const tokens = dims?.length === 3 && given.length === 2 && given[1] === run.hidden[0]!.dims[1];
  return tokens ? chain.stream.source : chain.stream.segments[0]!.from;
}

/**
 * Whether attention ranks positions as gradients and leaving out do (Jain & Wallace 2019,
 * https://arxiv.org/abs/1902.10186): Kendall's tau-b of the attention a query pays (each head, each layer's mean over
 * heads, the mean over all) with |embedding . gradient| and with the total variation distance of the answer when the
 * position is left out; and the Jensen-Shannon divergence of both, scaled to sum to 1, from attention.
 * A low correlation says that attention does not rank as they do, not which of them is right. Positions attended to by
 * nobody (the target's own, in a language model, cannot be left out) are dropped. With few positions tau is coarse.
 * Cost: 1 forward and backward pass, and a pass for each position.
 */
export async function correlateAttention(
  host: ModelHost,
  { subject, query, removal, ...options }: CorrelateRequest,
): Promise<Intervention> {
  const question = await ask(host, subject, options);
  const blocks = selfBlocks(question);
  const found = await rankPositions(question, { query, removal });
  const layers = found.attention.map(meanOf);
  const rows = blocks.length > 1 ? [...layers, meanOf(layers)] : layers;
  const labels = [...blocks.map(blockLabel), ...(blocks.length > 1 ? ['mean'] : [])];
  const byLayer = cells(rows.length, 4);
  rows.forEach((attention, row) => {
    byLayer.data.set(compare(attention, found), row * 4);
  });
  const width = Math.max(...blocks.map(headCount));
  const [tauGradient, tauLeaveOneOut] = [cells(blocks.length, width), cells(blocks.length, width)];
  found.attention.forEach((heads, layer) =>
    heads.forEach((attention, head) => {
      const [gradient, leftOut] = compare(attention, found) as [number, number, number, number];
      tauGradient.data[layer * width + head] = gradient;
      tauLeaveOneOut.data[layer * width + head] = leftOut;
    }),
  );
  const scores = [rows.at(-1)!, found.gradient, found.leaveOneOut];
  const positions = found.gradient.length;
  const byPosition = cells(3, positions);
  scores.forEach((row, index) => {
    byPosition.data.set(row, index * positions);
  });
  return about(question, {
    command: 'ablate',
    analysis: 'correlation',
    options: { query: found.query, removal: found.removal },
    tables: [
      {
        name: 'layers',
        rows: axis('layer', labels),
        columns: axis('measure', ['tau gradient', 'tau leave-one-out', 'JS gradient', 'JS leave-one-out']),
        measures: { agreement: byLayer },
      },
      {
        name: 'heads',
        rows: layerAxis(blocks),
        columns: axis(
          'head',
          Array.from({ length: width }, (_, head) => head),
        ),
        measures: { 'tau leave-one-out': tauLeaveOneOut, 'tau gradient': tauGradient },
      },
      {
        name: 'positions',
        rows: axis('ranking', ['attention', 'gradient', 'leave-one-out']),
        columns: axis('position', positionLabels(subject, positions)),
        measures: { score: byPosition },
      },
    ],
    warnings:
      found.query === 'mean'
        ? ['the answer is read from several positions: attention is averaged over all queries']
        : [],
  });
}

/** tau and JS of attention with the gradient and with leaving out, over positions that all can be said of. */
function compare(attention: Float64Array, { gradient, leaveOneOut }: Rankings): number[] {
  const known = Array.from(leaveOneOut).flatMap((value, at) => (Number.isNaN(value) ? [] : [at]));
  const pick = (scores: Float64Array) => known.map((at) => scores[at]!);
  const [a, g, l] = [pick(attention), pick(gradient), pick(leaveOneOut)];
  return [kendallTau(a, g), kendallTau(a, l), jensenShannon(a, g), jensenShannon(a, l)];
}
