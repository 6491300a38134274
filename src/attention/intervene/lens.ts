import { UserError } from '../../onnx/index.ts';
import type { DenseTensor } from '../../onnx/index.ts';
import { numbers } from '../../programs/index.ts';
import type { ModelHost } from '../../runtime/core.ts';
import { classRow, toDistribution } from './distribution.ts';
import type { Question, QuestionOptions, Subject } from './question.ts';
import { about, ask, blockLabel, checkPosition, positionLabels } from './question.ts';
import type { Intervention, InterventionTable } from './result.ts';
import { axis, cells } from './result.ts';

export interface LensRequest extends QuestionOptions {
  readonly subject: Subject;
  /** Names of the classes the answer is one of, in order: labels, or a vocabulary. */
  readonly classes?: readonly string[] | undefined;
  /** Read only at this position; all unless said. */
  readonly position?: number | undefined;
}

/**
 * Logit lens: the residual stream before each layer, and after the last, read by what stands before the answer (the final
 * norm and the head of a language model; pooler and classifier of an encoder): what the model would answer if it stopped
 * there. Measures of the target's class: `logit` (the output's own value), `probability`, `rank` (0 is the best), and the
 * best class's name beside each. For answers position by position: at every position; else once per layer.
 * In models that norm after each sum the stream is read as it is, normed. Cost: one pass and, per layer, the head.
 * Known flaw: early layers need not write in the basis that the head reads (Belrose et al. 2023,
 * https://arxiv.org/abs/2303.08112). nostalgebraist 2020, "interpreting GPT: the logit lens".
 */
export async function logitLens(
  host: ModelHost,
  { subject, classes, position, ...options }: LensRequest,
): Promise<Intervention> {
  const question = await ask(host, subject, options);
  const { chain, run, targetRef } = question;
  const place = classRow(targetRef, run.answer);
  const count = positionsOf(question);
  checkPosition('position', position, count);
  const chosen = position === undefined ? Array.from({ length: count }, (_, at) => at) : [position];
  const depth = run.hidden.length;
  const measures = {
    probability: cells(depth, chosen.length),
    logit: cells(depth, chosen.length),
    rank: cells(depth, chosen.length),
  };
  const texts: string[] = [];
  for (const [layer, hidden] of run.hidden.entries()) {
    if (hidden.dims.join() !== run.hidden.at(-1)!.dims.join())
      throw new UserError(`the stream before layer ${layer} has another size than at its end: the head cannot read it`);
    const answer = await chain.answer(run, hidden);
    chosen.forEach((at, column) => {
      const cell = layer * chosen.length + column;
      const row = rowAt(answer, count === 1 ? place.start : at * place.size, place.size);
      const distribution = toDistribution(row, place.link);
      measures.probability.data[cell] = distribution[place.target]!;
      measures.logit.data[cell] = row[place.target]!;
      measures.rank.data[cell] = row.filter((value) => value > row[place.target]!).length;
      const best = row.indexOf(Math.max(...chunkedMax(row)));
      texts.push(classes?.[best] ?? String(best));
    });
  }
  const labels = [...chain.stream.segments.map(({ blocks }) => blockLabel(chain.blocks[blocks[0]!.block]!)), 'end'];
  const table: InterventionTable = {
    name: 'lens',
    rows: axis('layer', labels),
    columns:
      count === 1
        ? axis('position', ['answer'])
        : axis(
            'position',
            chosen.map((at) => positionLabels(subject, count)[at]!),
          ),
    measures,
    texts,
  };
  return about(question, {
    command: 'ablate',
    analysis: 'lens',
    options: { position: position ?? null },
    tables: [table],
  });
}

/** Positions of an answer that is made one by one; 1 for an answer about the whole input. */
function positionsOf({ run, target }: Question): number {
  return target.position === undefined ? 1 : run.answer.dims[1]!;
}

function rowAt(answer: DenseTensor, start: number, size: number): number[] {
  return Array.from(numbers(answer).subarray(start, start + size));
}

/** Arguments of a call are limited; a vocabulary is not. */
function chunkedMax(row: readonly number[]): number[] {
  const most: number[] = [];
  for (let start = 0; start < row.length; start += 10_000) most.push(Math.max(...row.slice(start, start + 10_000)));
  return most;
}
