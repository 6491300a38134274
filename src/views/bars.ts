import type { Explanation } from '../explanation/index.ts';
import { formatNumber, formatSigned, ticks } from './format.ts';
import { methodFacts } from './method.ts';
import { MESSAGES } from './messages.ts';
import type { Language } from './messages.ts';
import { tokenScores } from './pieces.ts';
import { MARKS } from './scale.ts';
import type { ScaleKind, Theme } from './scale.ts';
import { label, line, rect, solid, tone } from './svg.ts';
import type { Drawing } from './svg.ts';
import { showControls } from './escape.ts';
import { ems, truncate } from './width.ts';

export type BarUnit = 'token' | 'word' | 'feature';

export interface Bar {
  readonly label: string;
  readonly score: number;
}

/** The strongest scores of an explanation, strongest first, and the sum of those left out. */
export interface Bars {
  readonly by: BarUnit;
  readonly kind: ScaleKind;
  readonly bars: readonly Bar[];
  /** The bars not shown: how many, and the sum of their scores. */
  readonly others: { readonly count: number; readonly score: number };
}

/**
 * The `top` (default 12) entries by |score|. Texts are summed per word unless `by` is `token`; special tokens stand
 * for themselves. Anything else is listed by its place in the input, such as `x[3]`.
 */
export function barsOf(
  explanation: Explanation,
  options: { readonly by?: 'token' | 'word'; readonly top?: number } = {},
): Bars {
  const scores = tokenScores(explanation);
  const byWord = options.by !== 'token' && explanation.text !== undefined;
  const entries =
    scores === undefined ? features(explanation) : byWord ? words(explanation, scores) : tokens(explanation, scores);
  const ranked = [...entries].sort((a, b) => size(b.score) - size(a.score));
  const top = options.top ?? 12;
  // One bar left out is a bar that can be shown.
  const shown = ranked.length === top + 1 ? ranked.length : top;
  const rest = ranked.slice(shown);
  return {
    by: scores === undefined ? 'feature' : byWord ? 'word' : 'token',
    kind: methodFacts(explanation).kind,
    bars: ranked.slice(0, shown),
    others: { count: rest.length, score: rest.reduce((sum, { score }) => sum + score, 0) },
  };
}

function size(score: number): number {
  return Number.isFinite(score) ? Math.abs(score) : -1;
}

function tokens(explanation: Explanation, scores: Float64Array): Bar[] {
  return numberRepeats(explanation.tokens!.map((label, i) => ({ label, score: scores[i]! })));
}

function words(explanation: Explanation, scores: Float64Array): Bar[] {
  const context = explanation.text!;
  const groups = new Map<string, { segment: number; start: number; end: number; label?: string; score: number }>();
  explanation.tokens!.forEach((token, i) => {
    const [offsets, segment, word] = [context.offsets[i], context.segments[i], context.words[i]];
    if (offsets == null || segment == null || word == null) {
      groups.set(`special ${i}`, { segment: -1, start: 0, end: 0, label: token, score: scores[i]! });
      return;
    }
    const key = `${segment} ${word}`;
    const group = groups.get(key);
    groups.set(key, {
      segment,
      start: Math.min(group?.start ?? offsets[0], offsets[0]),
      end: Math.max(group?.end ?? offsets[1], offsets[1]),
      score: (group?.score ?? 0) + scores[i]!,
    });
  });
  return numberRepeats(
    Array.from(groups.values(), (group) => ({
      label: group.label ?? context.texts[group.segment]!.slice(group.start, group.end).trim(),
      score: group.score,
    })),
  );
}

/** The second `free` becomes `free (2)`, so that two bars are never mistaken for one another. */
function numberRepeats(bars: readonly Bar[]): Bar[] {
  const seen = new Map<string, number>();
  return bars.map(({ label, score }) => {
    const count = (seen.get(label) ?? 0) + 1;
    seen.set(label, count);
    return { label: count === 1 ? label : `${label} (${count})`, score };
  });
}

function features(explanation: Explanation): Bar[] {
  return Object.entries(explanation.attributions).flatMap(([name, { dims, data }]) =>
    Array.from(data, (score, i) => ({ label: `${name}[${place(i, dims).join(',')}]`, score })),
  );
}

/** The indices behind the batch axis of flat index `i`. */
function place(flat: number, dims: readonly number[]): number[] {
  const indices: number[] = [];
  let rest = flat;
  for (const dim of dims.toReversed()) {
    indices.unshift(dim > 0 ? rest % dim : 0);
    rest = Math.floor(rest / Math.max(1, dim));
  }
  return indices.length > 1 ? indices.slice(1) : indices;
}

const ROW = 22;
const SIZE = 13;
const VALUE = 52;

/**
 * Horizontal bars around a zero axis, `width` user units wide (360 reads on a phone). Labels left, numbers right,
 * ticks and the unit below; a last muted row holds the sum of everything not shown, as a
 * number only, so that the numbers add up.
 */
export function barsSvg(
  explanation: Explanation,
  bars: Bars,
  options: { readonly width: number; readonly theme: Theme; readonly language: Language },
): Drawing {
  const { width, theme } = options;
  const words = MESSAGES[options.language];
  const rest: Bar[] =
    bars.others.count === 0 ? [] : [{ label: words.others(bars.others.count, bars.by), score: bars.others.score }];
  const rows = [...bars.bars, ...rest];
  const names = rows.map((row) => truncate(showControls(row.label).replace(/\s+/g, ' '), (width * 0.34) / SIZE, ems));
  const gutter = Math.min(width * 0.34, Math.max(40, ...names.map((name) => ems(name) * SIZE * 1.04))) + 10;
  const finite = rows.map(({ score }) => (Number.isFinite(score) ? score : 0));
  const drawn = finite.slice(0, bars.bars.length);
  const low = Math.min(0, ...drawn);
  const high = Math.max(0, ...drawn, low === 0 ? 1e-12 : 0);
  const plot = width - gutter - VALUE;
  const x = (value: number): number => gutter + ((value - low) / (high - low)) * plot;
  const bottom = rows.length * ROW;
  const axis = ticks(low, high, 4);
  const grid = axis.map((tick) => line(x(tick), 0, x(tick), bottom, tone('hairline', theme, 'stroke'))).join('');
  const marks = rows.map((row, i) => {
    const others = i >= bars.bars.length;
    const color = bars.kind === 'sequential' ? MARKS.unsigned : row.score < 0 ? MARKS.negative : MARKS.positive;
    const [from, to] = [x(Math.min(0, finite[i]!)), x(Math.max(0, finite[i]!))];
    const ink = tone(others ? 'muted' : 'ink', theme);
    const number = bars.kind === 'sequential' ? formatNumber(row.score) : formatSigned(row.score);
    return [
      label(gutter - 8, i * ROW + 15.5, names[i]!, { size: SIZE, anchor: 'end', attributes: ink }),
      others ? '' : rect(from, i * ROW + 4, Math.max(0.5, to - from), ROW - 8, `rx="1.5" ${solid(color)}`),
      label(width, i * ROW + 15.5, number, { size: 12, anchor: 'end', attributes: ink }),
    ].join('');
  });
  const small = { size: 11, anchor: 'middle', attributes: tone('muted', theme) } as const;
  const unit = words.units[methodFacts(explanation).unit](explanation.output);
  const body = [
    grid,
    ...marks,
    line(x(0), -2, x(0), bottom + 2, tone('muted', theme, 'stroke')),
    ...axis.map((tick) => label(x(tick), bottom + 16, tick === 0 ? '0' : formatTick(tick), small)),
    label(gutter + plot / 2, bottom + 33, truncate(unit, (plot + 2 * Math.min(gutter, VALUE)) / 11, ems), small),
  ].join('');
  return { width, height: bottom + 38, body };
}

function formatTick(value: number): string {
  const size = Math.abs(value);
  return size >= 1e-3 && size < 1e5 ? String(value).replace('-', '\u2212') : formatNumber(value, 1);
}
