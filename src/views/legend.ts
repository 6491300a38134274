import type { Explanation } from '../explanation/index.ts';
import { toHex } from './color.ts';
import { terminalSafe } from './escape.ts';
import { formatNumber, formatSigned } from './format.ts';
import { methodFacts } from './method.ts';
import { MESSAGES } from './messages.ts';
import type { Language } from './messages.ts';
import { LEVELS, fill, levelClass, rampColor } from './scale.ts';
import type { Ramp, Scale, ScaleKind, Theme } from './scale.ts';
import { label, rect, tone } from './svg.ts';
import type { Drawing } from './svg.ts';
import { paint } from './tokens-ansi.ts';
import type { TerminalColor } from './tokens-ansi.ts';
import { columns, ems, truncate } from './width.ts';

/** The ends of the scale and its unit, as numbers and words. */
export interface LegendText {
  readonly low: string;
  readonly middle: string | undefined;
  readonly high: string;
  readonly unit: string;
  /** What the colours mean and where the limit lies; one sentence each. */
  readonly sentences: readonly string[];
}

export function legendText(explanation: Explanation, scale: Scale, language: Language): LegendText {
  const words = MESSAGES[language];
  const limit = formatNumber(scale.limit);
  const signed = scale.kind === 'diverging';
  return {
    low: signed ? formatSigned(-scale.limit) : '0',
    middle: signed ? '0' : undefined,
    high: signed ? `+${limit}` : limit,
    unit: words.units[methodFacts(explanation).unit](explanation.output),
    sentences: [
      signed ? words.legendSigned(explanation.target.label) : words.legendUnsigned,
      scale.clipped === 0 ? words.limitLargest(limit) : words.limitPercentile(limit, scale.percentile),
      ...(scale.invalid > 0 ? [words.invalid(scale.invalid)] : []),
    ],
  };
}

interface BarOptions {
  readonly width: number;
  readonly theme: Theme;
  readonly ramp?: Ramp;
}

/** A colour bar with its numbers and unit, `width` user units wide. */
export function legendSvg(
  explanation: Explanation,
  scale: Scale,
  options: BarOptions & { readonly language: Language },
): Drawing {
  return colourBar(scale.kind, legendText(explanation, scale, options.language), options);
}

/** A colour bar with words at its ends, and below it. */
export function colourBar(
  kind: ScaleKind,
  text: Pick<LegendText, 'low' | 'middle' | 'high' | 'unit'>,
  { width, theme, ramp = 'cells' }: BarOptions,
): Drawing {
  const signed = kind === 'diverging';
  const levels = Array.from({ length: signed ? 2 * LEVELS + 1 : LEVELS + 1 }, (_, i) => (signed ? i - LEVELS : i));
  const step = width / levels.length;
  const cells = levels
    .map((level, i) => {
      const color = toHex(rampColor(ramp, kind, level / LEVELS, theme));
      // The class lets a page show the ramp of its own theme.
      const name = ramp === 'cells' ? ` class="${levelClass(kind, level)}"` : '';
      return rect(i * step, 0, step + 0.3, 10, `fill="${color}" shape-rendering="crispEdges"${name}`);
    })
    .join('');
  const small = { size: 11, attributes: tone('muted', theme) } as const;
  const body = [
    cells,
    rect(0, 0, width, 10, `fill="none" ${tone('hairline', theme, 'stroke')}`),
    label(0, 25, text.low, small),
    text.middle === undefined ? '' : label(width / 2, 25, text.middle, { ...small, anchor: 'middle' }),
    label(width, 25, text.high, { ...small, anchor: 'end' }),
    label(width / 2, 41, truncate(text.unit, width / 11, ems), { ...small, anchor: 'middle' }),
  ].join('');
  return { width, height: 45, body };
}

/** The legend for a terminal: a colour bar with its numbers, the unit, then its sentences, within `width` columns. */
export function legendAnsi(
  explanation: Explanation,
  scale: Scale,
  options: { readonly color: TerminalColor; readonly language: Language; readonly width: number },
): string {
  const text = legendText(explanation, scale, options.language);
  const steps = Math.max(3, Math.min(24, options.width - columns(text.low + text.high) - 2));
  const bar =
    options.color === 'none'
      ? '…'
      : Array.from({ length: steps }, (_, i) => {
          const t = (i + 0.5) / steps;
          return paint(' ', fill(scale.kind, scale.kind === 'diverging' ? 2 * t - 1 : t, 'light'), options.color);
        }).join('');
  const used = columns(text.low + text.high) + 2 + (options.color === 'none' ? 1 : steps);
  const unit = terminalSafe(text.unit);
  const fits = used + 3 + columns(unit) <= options.width;
  const sentences = [...(fits ? [] : [unit]), ...text.sentences.map(terminalSafe)];
  return [
    `${text.low} ${bar} ${text.high}${fits ? `   ${unit}` : ''}`,
    ...sentences.flatMap((sentence) => wrapText(sentence, options.width)),
  ].join('\n');
}

/** Breaks sentences into lines of at most `width` by the given measure; breaks between any two full-width characters, never at a no-break space. */
export function wrapText(text: string, width: number, measure: (text: string) => number = columns): string[] {
  const lines: string[] = [];
  let current = '';
  for (const part of text.match(
    /[\u2e80-\u9fff\uf900-\uffef][，。；：、！？）”]*|[^ \t\n\u2e80-\u9fff\uf900-\uffef]+[ \t\n]*|[ \t\n]+/gu,
  ) ?? []) {
    if (current !== '' && measure((current + part).trimEnd()) > width) {
      lines.push(current.trimEnd());
      current = '';
    }
    current += part;
  }
  if (current.trim() !== '') lines.push(current.trimEnd());
  return lines;
}
