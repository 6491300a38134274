/** Tables of interventions and of tests of attention: as a heat map (SVG, PNG, HTML) and as text. */
import type { Intervention, InterventionTable } from '../attention/index.ts';
import { toHex } from './color.ts';
import { escapeMarkup, terminalSafe } from './escape.ts';
import { formatDuration, formatExact, formatNumber, formatSigned } from './format.ts';
import { wrapText } from './legend.ts';
import { measuredPhrase, measuredTitle, measuredWord } from './intervention-words.ts';
import { LANGUAGE_TAGS } from './messages.ts';
import type { Language } from './messages.ts';
import { reportStyle } from './report-style.ts';
import { cellColors, makeScale } from './scale.ts';
import type { ScaleKind, Theme } from './scale.ts';
import { label, rect, stack, svgDocument, tone } from './svg.ts';
import type { Drawing } from './svg.ts';
import { padEnd, padStart, paint } from './tokens-ansi.ts';
import type { TerminalColor } from './tokens-ansi.ts';
import { warningText } from './warnings.ts';
import { columns as columnsOf, ems, truncate } from './width.ts';

export interface InterventionRenderOptions {
  readonly language?: Language;
  readonly theme?: Theme;
  /** Columns of the terminal. Default 80. */
  readonly width?: number;
  /** Of the terminal. Default `none`. */
  readonly color?: TerminalColor;
}

/** Measures that have no sign. */
const UNSIGNED = new Set(['probability', 'rank', 'importance', 'score', 'adversarial', 'model']);

interface Shown {
  readonly table: InterventionTable;
  readonly measure: string;
  readonly data: ArrayLike<number>;
  readonly kind: ScaleKind;
}

/** The measures worth drawing: of a patch the normalised ones, where there are; of a lens the probability; else all. */
function shownOf({ command, tables }: Intervention): Shown[] {
  return tables.flatMap((table) => {
    const measures = Object.entries(table.measures).filter(([, { data }]) =>
      data.some((value) => !Number.isNaN(value)),
    );
    const chosen = command === 'patch' || table.texts !== undefined ? measures.slice(0, 1) : measures;
    return chosen.map(([measure, { data }]) => ({
      table,
      measure,
      data,
      kind: UNSIGNED.has(measure) ? 'sequential' : 'diverging',
    }));
  });
}

const SIZE = 12;

/** One measure as cells with their numbers or texts where there is room, labels around, and what the colours mean. */
function heatDrawing({ table, measure, data, kind }: Shown, language: Language, theme: Theme): Drawing {
  const { rows, columns, texts } = table;
  const word = (name: string) => truncate(measuredWord(name, language), 16, columnsOf);
  const [rowLabels, columnLabels] = [rows.labels.map(word), columns.labels.map(word)];
  const roomy = columns.labels.length <= 16;
  const [cellWidth, cellHeight] = roomy ? [texts === undefined ? 52 : 76, 24] : [Math.max(12, 20), 18];
  const left = Math.max(...rowLabels.map((text) => ems(text) * SIZE), ems(word(rows.name)) * SIZE) + 12;
  const longest = Math.max(...columnLabels.map((text) => ems(text) * SIZE));
  // Long labels stand on end.
  const upright = longest > cellWidth - 4;
  const top = 26 + (upright ? Math.min(120, longest) + 10 : 22);
  const scale = makeScale(data, kind);
  const ink = { size: SIZE, attributes: tone('ink', theme) };
  const muted = { size: SIZE, attributes: tone('muted', theme) };
  const heading = `${measuredWord(measure, language)} (${word(rows.name)} × ${word(columns.name)})`;
  const parts = [label(0, 12, heading, { ...ink, weight: 600 })];
  columnLabels.forEach((text, column) => {
    const x = left + (column + 0.5) * cellWidth;
    parts.push(
      upright
        ? `<g transform="translate(${x + 4} ${top - 6}) rotate(-90)">${label(0, 0, text, ink)}</g>`
        : label(x, top - 8, text, { ...ink, anchor: 'middle' }),
    );
  });
  parts.push(label(left - 8, top - 8, word(rows.name), { ...muted, anchor: 'end' }));
  rowLabels.forEach((text, row) => {
    parts.push(label(left - 8, top + row * cellHeight + cellHeight / 2 + 4, text, { ...ink, anchor: 'end' }));
    columnLabels.forEach((_, column) => {
      const at = row * columnLabels.length + column;
      const value = data[at]!;
      if (Number.isNaN(value)) return;
      const [x, y] = [left + column * cellWidth, top + row * cellHeight];
      const { background, text: on } = cellColors(scale, value, theme);
      const title = `${rows.labels[row]!}, ${columns.labels[column]!}: ${formatExact(value)}${texts === undefined ? '' : ` ${texts[at]!}`}`;
      parts.push(
        `<g>${rect(x, y, cellWidth - 1, cellHeight - 1, `fill="${toHex(background)}"`)}<title>${escapeMarkup(title)}</title>${
          roomy
            ? label(x + cellWidth / 2, y + cellHeight / 2 + 4, cellText(value, texts?.[at], kind, scale.limit), {
                size: 11,
                anchor: 'middle',
                attributes: `fill="${toHex(on)}"`,
              })
            : ''
        }</g>`,
      );
    });
  });
  const bottom = top + rowLabels.length * cellHeight;
  const limit = `${measuredPhrase('fullColour', language)} ${formatNumber(scale.limit)}`;
  const legend = MEANINGS.has(measure) ? `${limit}; ${measuredPhrase(MEANINGS.get(measure)!, language)}` : limit;
  parts.push(label(left, bottom + 18, legend, muted));
  const width = Math.max(left + columnLabels.length * cellWidth, left + ems(legend) * SIZE, ems(heading) * SIZE * 1.1);
  return { width, height: bottom + 26, body: parts.join('') };
}

/** What colours say, where a sign has a meaning. */
const MEANINGS: ReadonlyMap<string, 'raises' | 'restores'> = new Map([
  ['normalised', 'restores'],
  ['difference', 'raises'],
  ['effect', 'raises'],
  ['contribution', 'raises'],
]);

function cellText(value: number, text: string | undefined, kind: ScaleKind, limit: number): string {
  const number = alike(value, kind, limit);
  return text === undefined ? number : `${truncate(text, 8, columnsOf)} ${number}`;
}

/** Numbers of one table with as many decimals each: three digits of the largest. */
function alike(value: number, kind: ScaleKind, limit: number): string {
  if (limit >= 1e6 || limit < 1e-4) return kind === 'diverging' ? formatSigned(value) : formatNumber(value);
  const text = Math.abs(value).toFixed(Math.max(0, 2 - Math.floor(Math.log10(limit))));
  if (Number(text) === 0) return '0';
  return value < 0 ? `\u2212${text}` : kind === 'diverging' ? `+${text}` : text;
}

/** What was asked, and single numbers. */
function facts(measured: Intervention, language: Language): string[] {
  const { output, target, value, corruptedValue, figures, runtime } = measured;
  const word = (name: string) => measuredWord(name, language);
  const values =
    corruptedValue === undefined
      ? `${output} "${target.label}": ${formatNumber(value, 4)}`
      : `${output} "${target.label}": ${measuredPhrase('clean', language)} ${formatNumber(value, 4)}, ${measuredPhrase('corrupted', language)} ${formatNumber(corruptedValue, 4)}`;
  const found = Object.entries(figures).map(([name, figure]) => `${word(name)}: ${formatNumber(figure, 4)}`);
  const cost = `${formatNumber(runtime.passes)} ${measuredPhrase('passes', language)}, ${formatDuration(runtime.ms)}`;
  return [
    values,
    ...(found.length === 0 ? [] : [found.join(' · ')]),
    cost,
    ...measured.warnings.map((each) => warningText(each, language).text),
  ];
}

/** All of a result's heat maps in one SVG document. */
export function interventionSvg(
  measured: Intervention,
  { language = 'en', theme = 'light' }: InterventionRenderOptions = {},
): string {
  const title = measuredTitle(measured.command, measured.analysis, language);
  const heading = [label(0, 16, title, { size: 16, weight: 600, attributes: tone('ink', theme) })];
  const lines = facts(measured, language).flatMap((fact) => wrapText(fact, 96));
  lines.forEach((fact, at) =>
    heading.push(label(0, 38 + at * 17, fact, { size: SIZE, attributes: tone('muted', theme) })),
  );
  const widest = Math.max(ems(title) * 16, ...lines.map((fact) => ems(fact) * SIZE));
  const head: Drawing = { width: widest, height: 38 + lines.length * 17, body: heading.join('') };
  const maps = shownOf(measured).map((shown) => heatDrawing(shown, language, theme));
  return svgDocument(stack([head, ...maps], 20), { theme, title, margin: 20, lang: LANGUAGE_TAGS[language] });
}

/** The same as a page of its own. */
export function interventionHtml(measured: Intervention, { language = 'en' }: InterventionRenderOptions = {}): string {
  const title = measuredTitle(measured.command, measured.analysis, language);
  const maps = shownOf(measured).map((shown) => {
    const name = `${title}: ${measuredWord(shown.measure, language)}`;
    const svg = svgDocument(heatDrawing(shown, language, 'light'), { theme: 'light', title: name, transparent: true });
    return `<figure style="margin:0 0 2rem;overflow-x:auto">${svg}</figure>`;
  });
  const said = facts(measured, language).map((fact) => `<p>${escapeMarkup(fact)}</p>`);
  const model = escapeMarkup(measured.model.path);
  return `<!doctype html>
<html lang="${LANGUAGE_TAGS[language]}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<title>${escapeMarkup(title)}</title><style>${reportStyle()}</style></head>
<body><main class="page"><header><h1>${escapeMarkup(title)}</h1><p>${model}</p></header>${said.join('')}${maps.join('')}</main></body></html>
`;
}

/** For a terminal: tables where they fit, else the strongest cells. Ends with a line feed. */
export function interventionAnsi(measured: Intervention, options: InterventionRenderOptions = {}): string {
  const { language = 'en', width = 80, color = 'none' } = options;
  const title = measuredTitle(measured.command, measured.analysis, language);
  const blocks = [
    [title, ...facts(measured, language)]
      .map(terminalSafe)
      .flatMap((line) => wrapText(line, width))
      .join('\n'),
  ];
  for (const shown of shownOf(measured)) blocks.push(tableAnsi(shown, language, width, color));
  return `${blocks.join('\n\n')}\n`;
}

function tableAnsi(shown: Shown, language: Language, width: number, color: TerminalColor): string {
  const { table, measure, data, kind } = shown;
  const { rows, columns, texts } = table;
  const word = (name: string) => truncate(terminalSafe(measuredWord(name, language)), 18, columnsOf);
  const scale = makeScale(data, kind);
  const cell = (at: number) =>
    Number.isNaN(data[at]!) ? '' : cellText(data[at]!, texts && terminalSafe(texts[at]!), kind, scale.limit);
  const heading = `${word(rows.name)} × ${word(columns.name)}: ${terminalSafe(measuredWord(measure, language))}`;
  const first = Math.max(...rows.labels.map((name) => columnsOf(word(name))));
  const widths = columns.labels.map((name, column) =>
    Math.max(
      columnsOf(word(name)),
      ...rows.labels.map((_, row) => columnsOf(cell(row * columns.labels.length + column))),
    ),
  );
  const whole = first + widths.reduce((sum, each) => sum + each + 2, 0);
  if (whole > width) return `${heading}\n${strongest(shown, language, cell)}`;
  const head = ' '.repeat(first) + columns.labels.map((name, at) => `  ${padStart(word(name), widths[at]!)}`).join('');
  const lines = rows.labels.map(
    (name, row) =>
      padEnd(word(name), first) +
      columns.labels
        .map((_, column) => {
          const at = row * columns.labels.length + column;
          const text = padStart(cell(at), widths[column]!);
          return `  ${Number.isNaN(data[at]!) ? text : paint(text, cellColors(scale, data[at]!, 'dark').background, color)}`;
        })
        .join(''),
  );
  return [heading, head.trimEnd(), ...lines.map((line) => line.trimEnd())].join('\n');
}

const STRONGEST = 15;

function strongest({ table, data }: Shown, language: Language, cell: (at: number) => string): string {
  const { rows, columns } = table;
  const order = Array.from(data, (_, at) => at)
    .filter((at) => !Number.isNaN(data[at]!))
    .sort((left, right) => Math.abs(data[right]!) - Math.abs(data[left]!))
    .slice(0, STRONGEST);
  const lines = order.map((at) => {
    const [row, column] = [Math.floor(at / columns.labels.length), at % columns.labels.length];
    const name = (axis: typeof rows, index: number) =>
      `${measuredWord(axis.name, language)} ${terminalSafe(measuredWord(axis.labels[index]!, language))}`;
    const place = columns.labels[column] === String(column) ? '' : ` [${column}]`;
    return `  ${padStart(cell(at), 10)}  ${name(rows, row)}, ${name(columns, column)}${place}`;
  });
  return [`${measuredPhrase('strongest', language)}:`, ...lines].join('\n');
}
