import { seededRandom } from '../../inputs/core.ts';
import { randomOrder } from '../../programs/index.ts';
import type { ModelHost } from '../../runtime/core.ts';
import { rankPositions } from './correlate.ts';
import { classRow } from './distribution.ts';
import { meanOf } from './query.ts';
import type { QuestionOptions, Subject } from './question.ts';
import { about, ask, chosenBlocks } from './question.ts';
import { selfBlocks } from './query.ts';
import type { Removal } from './removal.ts';
import { withoutPositions } from './removal.ts';
import type { Intervention } from './result.ts';
import { axis, cells } from './result.ts';

export interface ErasureRequest extends QuestionOptions {
  readonly subject: Subject;
  readonly query?: number | undefined;
  /** Whose attention ranks positions: a layer's, mean over its heads; the mean over all layers unless said. */
  readonly layer?: number | undefined;
  readonly removal?: Removal | undefined;
  /** Positions that are never taken out: special tokens. */
  readonly kept?: readonly number[] | undefined;
  /** Random orders to average over. Default 5. */
  readonly draws?: number;
  readonly seed?: number;
}

/** Shares of positions taken out, as in ERASER. */
const BINS = [0.01, 0.05, 0.1, 0.2, 0.5] as const;

/**
 * Comprehensiveness and sufficiency of the positions attended to most (ERASER, DeYoung et al. 2020,
 * https://arxiv.org/abs/1911.03429), for the target's class with probability p:
 * - comprehensiveness: p(input) - p(input without the top k): high when they were needed;
 * - sufficiency: p(input) - p(top k alone): low when they are enough.
 * k is 1, 5, 10, 20 and 50 percent of the positions that can go, at least one; the mean over these is the AOPC. Beside
 * attention: the gradient's ranking, and random ones (mean over `draws`): what attention is worth is the difference.
 * Known flaw: what is left may be nothing the model ever saw (Hooker et al. 2019, https://arxiv.org/abs/1806.10758).
 * Cost: 2 passes and, for each ranking, 10; those over shortened inputs are shorter.
 */
export async function eraseTopAttended(
  host: ModelHost,
  { subject, query, layer, removal, kept = [], draws = 5, seed = 0, ...options }: ErasureRequest,
): Promise<Intervention> {
  const question = await ask(host, subject, options);
  const { run, target, targetRef } = question;
  const blocks = selfBlocks(question);
  const chosen = chosenBlocks(question.chain, layer).filter((block) => blocks.includes(block));
  const found = await rankPositions(question, { query, removal, leaveOneOut: false });
  const attention = meanOf(chosen.map((block) => meanOf(found.attention[blocks.indexOf(block)]!)));
  const free = Array.from(attention.keys()).filter((at) => !kept.includes(at) && at !== target.position);
  const by = (scores: Float64Array) => [...free].sort((left, right) => scores[right]! - scores[left]!);
  const random = seededRandom(seed);
  const orders = [
    by(attention),
    by(found.gradient),
    ...Array.from({ length: draws }, () => randomOrder(free.length, random).map((at) => free[at]!)),
  ];
  const counts = BINS.map((share) => Math.max(1, Math.round(share * free.length)));
  const removed = orders.flatMap((order) => counts.flatMap((count) => [order.slice(0, count), order.slice(count)]));
  const { before, after } = await withoutPositions(question, removed, found.removal);
  const { target: place, link } = classRow(targetRef, run.answer);
  const index = link === 'sigmoid' ? 0 : place;
  const drop = (at: number) => before[index]! - after[at]![index]!;
  const rankings = ['attention', 'gradient', 'random'];
  const [comprehensiveness, sufficiency] = [cells(3, BINS.length + 1), cells(3, BINS.length + 1)];
  for (let ranking = 0; ranking < 3; ranking++) {
    const own = ranking < 2 ? [ranking] : Array.from({ length: draws }, (_, draw) => draw + 2);
    const mean = (bin: number, side: 0 | 1) =>
      own.reduce((sum, order) => sum + drop((order * BINS.length + bin) * 2 + side) / own.length, 0);
    BINS.forEach((_, bin) => {
      comprehensiveness.data[ranking * (BINS.length + 1) + bin] = mean(bin, 0);
      sufficiency.data[ranking * (BINS.length + 1) + bin] = mean(bin, 1);
    });
    for (const table of [comprehensiveness, sufficiency]) {
      const row = table.data.subarray(ranking * (BINS.length + 1), ranking * (BINS.length + 1) + BINS.length);
      table.data[ranking * (BINS.length + 1) + BINS.length] = row.reduce((sum, value) => sum + value / BINS.length, 0);
    }
  }
  return about(question, {
    command: 'ablate',
    analysis: 'erasure',
    options: { query: found.query, removal: found.removal, layer: layer ?? null, draws, seed },
    tables: [
      {
        name: 'erasure',
        rows: axis('ranking', rankings),
        columns: axis('removed', [...BINS.map((share) => `${share * 100}%`), 'AOPC']),
        measures: { comprehensiveness, sufficiency },
      },
    ],
    figures: { probability: before[index]! },
    warnings: free.length < 10 ? [`only ${free.length} positions can be taken out: most shares are one position`] : [],
  });
}
