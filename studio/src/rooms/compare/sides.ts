/** What two sides have in common: how each is asked for, and the scale both are drawn on. */
import { imageScores, makeScale, methodFacts, tokenScores } from 'onnxray/views';
import type { Scale } from 'onnxray/views';
import type { Explanation, Subject } from '../../engine/engine.ts';
import { useFrame, useJob } from '../../frame/context.ts';
import type { Result } from '../../frame/context.ts';

const TYPING_MS = 250;
/** As in every map of a picture: a few single pixels do not decide what all others look like. */
const PERCENTILE = 99;

/** What one side explains; `id` tells subjects apart. */
export interface Asked {
  readonly model: string;
  readonly id: string;
  readonly subject: Subject;
}

export function useSide(asked: Asked | undefined, method: string, target: string | undefined): Result<Explanation> {
  const { engine } = useFrame();
  return useJob(
    asked && JSON.stringify([asked.model, asked.id, method, target]),
    method,
    (control) => engine.explain({ model: asked!.model, subject: asked!.subject, method, target }, control),
    asked?.subject.kind === 'text' ? TYPING_MS : 0,
  );
}

/**
 * The scale of both sides, or undefined where each keeps its own: scores that only rank the places of one picture are no
 * measure of another's.
 */
export function sharedScale(explanations: readonly (Explanation | undefined)[]): Scale | undefined {
  const known = explanations.filter((each) => each !== undefined);
  if (known.length === 0) return undefined;
  const facts = known.map((each) => methodFacts(each));
  const kind = facts.some((each) => each.kind === 'diverging') ? 'diverging' : 'sequential';
  if (known.every(({ image }) => image === undefined)) return makeScale(known.flatMap(scoresOfText), kind);
  if (facts.some(({ unit }) => unit === 'score')) return undefined;
  return makeScale(
    known.flatMap((each) => [...(imageScores(each)?.map.data ?? [])]),
    kind,
    PERCENTILE,
  );
}

/** Special tokens are left out, as in every text, unless nothing else has a score. */
function scoresOfText(explanation: Explanation): readonly number[] {
  const all = [...(tokenScores(explanation) ?? [])];
  const own = all.filter((_, i) => explanation.text?.offsets[i] != null);
  return own.some((score) => score !== 0) ? own : all;
}
