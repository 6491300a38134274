import type { Explanation } from '../explanation/index.ts';
import { sumOfScores } from '../explanation/index.ts';
import { formatDuration, formatNumber, formatPercent, formatPercentBound, formatSigned } from './format.ts';
import { methodFacts } from './method.ts';
import { MESSAGES } from './messages.ts';
import type { Language } from './messages.ts';

/** A number beside a picture, with its name. */
export interface Fact {
  readonly name: string;
  readonly value: string;
}

/** |convergence delta| over what the scores should sum to; undefined where the method promises no sum or nothing changed. */
export function relativeGap(explanation: Explanation): number | undefined {
  const { value, baselineValue, convergenceDelta } = explanation;
  if (convergenceDelta === null) return undefined;
  const change = Math.abs(value - (baselineValue ?? 0));
  return change > 0 ? Math.abs(convergenceDelta) / change : undefined;
}

/** Above this relative gap the reader is warned. */
const LARGE_GAP = 0.05;

/** How far the scores add up to the answer, as one sentence. */
export function completenessSentence(explanation: Explanation, language: Language): string {
  const words = MESSAGES[language];
  if (explanation.convergenceDelta === null) return words.noPromise;
  const gap = relativeGap(explanation);
  if (gap === undefined) return words.completenessNoChange;
  if (explanation.baselineValue !== null) return words.completeness(formatPercentBound(gap));
  return gap > LARGE_GAP
    ? words.notConserved(formatNumber(sumOfScores(explanation.attributions), 4), formatNumber(explanation.value, 4))
    : words.conservation(formatPercentBound(gap));
}

/** The numbers to judge an explanation by: answer, baseline, sum, gap, cost. */
export function factsOf(explanation: Explanation, language: Language): readonly Fact[] {
  const words = MESSAGES[language];
  const { baselineValue, convergenceDelta, runtime } = explanation;
  return [
    { name: words.valueOf(explanation.output, explanation.target.label), value: formatNumber(explanation.value, 4) },
    ...(baselineValue === null ? [] : [{ name: words.baselineValue, value: formatNumber(baselineValue, 4) }]),
    ...(convergenceDelta === null
      ? []
      : [
          { name: words.sum, value: formatSigned(sumOfScores(explanation.attributions), 4) },
          { name: words.gap, value: formatSigned(convergenceDelta, 2) },
        ]),
    { name: words.passes, value: String(runtime.passes) },
    { name: words.time, value: formatDuration(runtime.ms) },
  ];
}

/** What a reader must know before trusting the picture: the baseline, the nature of gradients. */
export function cautions(explanation: Explanation, language: Language): readonly string[] {
  const words = MESSAGES[language];
  const baseline = explanation.options['baseline'];
  const { unit, name } = methodFacts(explanation);
  const gap = relativeGap(explanation);
  return [
    ...(explanation.baselineValue !== null && baseline !== undefined && baseline !== null
      ? [words.relativeToBaseline(String(baseline))]
      : []),
    // Relevance that biases take is no error of steps.
    ...(gap !== undefined && gap > LARGE_GAP && explanation.baselineValue !== null
      ? [words.largeGap(formatPercentBound(gap))]
      : []),
    ...(unit === 'sensitivity' || name === 'input-x-gradient' ? [words.gradientBaseline] : []),
  ];
}

/** Predictions as people read them: percent when all are probabilities, else plain numbers. */
export function predictionValues(explanation: Explanation): {
  readonly probabilities: boolean;
  readonly rows: readonly { readonly label: string; readonly value: number; readonly text: string }[];
} {
  const all = explanation.predictions ?? [];
  const sum = all.reduce((total, { value }) => total + value, 0);
  const probabilities = all.every(({ value }) => value >= 0 && value <= 1) && sum <= 1.001;
  return {
    probabilities,
    rows: all.map(({ label, value }) => ({
      label,
      value,
      text: probabilities ? formatPercent(value) : formatNumber(value),
    })),
  };
}
