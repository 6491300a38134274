import { seededRandom } from '../../inputs/core.ts';
import { randomOrder } from '../../programs/index.ts';
import type { ModelHost } from '../../runtime/core.ts';
import { gradientsAt } from './gradients.ts';
import type { QuestionOptions, Subject } from './question.ts';
import { about, ask, headCount, layerAxis } from './question.ts';
import type { Intervention } from './result.ts';
import { axis, cells } from './result.ts';
import type { Change, Row } from './rows.ts';

export interface PruneRequest extends QuestionOptions {
  readonly subject: Subject;
  /** Random orders to average over. Default 5. */
  readonly draws?: number;
  /** Points of the curve beside 0. Default 10, or the number of heads where there are fewer. */
  readonly points?: number;
  readonly seed?: number;
}

/**
 * Head pruning curve: heads are taken out one after another (context zero), the least important first, and the target's
 * value is followed; beside it, the most important first, and random orders (mean over `draws`).
 * Importance is Michel et al.'s for one input: |sum context . d target / d context|, the first-order effect of the
 * head's mask, https://arxiv.org/abs/1905.10650. They average over a data set; one input's ranking is noisier.
 * Cost: one forward and backward pass, and `points` * (draws + 2) passes.
 */
export async function pruningCurve(
  host: ModelHost,
  { subject, draws = 5, points = 10, seed = 0, ...options }: PruneRequest,
): Promise<Intervention> {
  const question = await ask(host, subject, options);
  const { chain, run, target, value } = question;
  const blocks = chain.streamBlocks;
  const found = await gradientsAt(
    question,
    blocks.map(({ context, heads }) => ({ value: context, by: 'heads', heads })),
  );
  const width = Math.max(...blocks.map(headCount));
  const importance = cells(blocks.length, width);
  const heads = blocks.flatMap((block, at) =>
    Array.from({ length: headCount(block) }, (_, head) => {
      const score = Math.abs(found[at]![head]!);
      importance.data[at * width + head] = score;
      return { block: block.index, head, score };
    }),
  );
  const steps = Math.min(points, heads.length);
  const counts = Array.from({ length: steps }, (_, step) => Math.round(((step + 1) * heads.length) / steps));
  const ascending = [...heads].sort((left, right) => left.score - right.score);
  const random = seededRandom(seed);
  const drawn = Array.from({ length: draws }, () => randomOrder(heads.length, random).map((at) => heads[at]!));
  const orders = [ascending, ascending.toReversed(), ...drawn];
  const rows = orders.flatMap((order) =>
    counts.map((count): Row => ({ at: 0, changes: without(order.slice(0, count)) })),
  );
  const values = await chain.values(run, rows, target);
  const rankings = ['least important first', 'most important first', 'random'];
  const curve = cells(rankings.length, steps + 1);
  for (let ranking = 0; ranking < 3; ranking++) {
    curve.data[ranking * (steps + 1)] = value;
    for (let step = 0; step < steps; step++) {
      const own = ranking < 2 ? [ranking] : drawn.map((_, draw) => draw + 2);
      let sum = 0;
      for (const order of own) sum += values[order * steps + step]!;
      curve.data[ranking * (steps + 1) + step + 1] = sum / own.length;
    }
  }
  return about(question, {
    command: 'ablate',
    analysis: 'prune',
    options: { draws, points: steps, seed },
    tables: [
      {
        name: 'curve',
        rows: axis('ranking', rankings),
        columns: axis('removed', [0, ...counts]),
        measures: { value: curve },
      },
      {
        name: 'importance',
        rows: layerAxis(blocks),
        columns: axis(
          'head',
          Array.from({ length: width }, (_, head) => head),
        ),
        measures: { importance },
      },
    ],
  });
}

/** Heads taken out, gathered by block. */
function without(heads: readonly { readonly block: number; readonly head: number }[]): Change[] {
  const byBlock = new Map<number, number[]>();
  for (const { block, head } of heads) byBlock.set(block, [...(byBlock.get(block) ?? []), head]);
  return Array.from(byBlock, ([block, own]) => ({ site: 'heads', block, heads: own }));
}
