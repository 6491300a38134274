/** Pictures of attention: every shape an analysis gives, as SVG, PNG, HTML and in the terminal. */
import type { AttentionResult, BlockResult, Measured } from '../../attention/index.ts';
import { escapeMarkup, terminalSafe } from '../escape.ts';
import { formatNumber, formatPercent } from '../format.ts';
import { wrapText } from '../legend.ts';
import { LANGUAGE_TAGS } from '../messages.ts';
import type { Language } from '../messages.ts';
import { encodePng } from '../png.ts';
import type { PngEncoder, Rasterizer } from '../png.ts';
import { reportStyle } from '../report-style.ts';
import { makeScale, rampColor, position } from '../scale.ts';
import type { Theme } from '../scale.ts';
import { svgDocument } from '../svg.ts';
import { padEnd, padStart, paint } from '../tokens-ansi.ts';
import type { TerminalColor } from '../tokens-ansi.ts';
import { warningText } from '../warnings.ts';
import { columns, truncate } from '../width.ts';
import { attentionFigure, namesOf, shareLines, shownRow } from './figure.ts';
import { HEAD_VIEW_SCRIPT, HEAD_VIEW_STYLE, headViewHtml } from './head-view.ts';
import type { AttentionPicture } from './strips.ts';
import { ATTENTION_WORDS } from './words.ts';

export type { AttentionPicture } from './strips.ts';

export interface AttentionRenderOptions {
  readonly format: 'svg' | 'png' | 'html';
  readonly language?: Language;
  /** For models of pictures: what to draw maps over. */
  readonly picture?: AttentionPicture;
  readonly theme?: Theme;
  /** User units; 720 unless said. */
  readonly width?: number;
  readonly encodePng?: PngEncoder;
}

/** Draws a result: a complete document for `svg` and `html`, bytes for `png`. */
export type RenderAttention = (
  result: AttentionResult,
  options: AttentionRenderOptions,
) => Promise<string | Uint8Array>;

/** `renderAttention` with this way of making PNGs. */
export function attentionRenderer(rasterize: Rasterizer): RenderAttention {
  return async (result, { format, ...options }) =>
    format === 'png' ? rasterize(await drawAttention(result, 'svg', options)) : drawAttention(result, format, options);
}

async function drawAttention(
  result: AttentionResult,
  format: 'svg' | 'html',
  { language = 'en', theme = 'light', width = 720, ...rest }: Omit<AttentionRenderOptions, 'format'>,
): Promise<string> {
  const frame = { theme, width, language, encodePng: rest.encodePng ?? encodePng };
  const figure = await attentionFigure(result, {
    ...frame,
    interactive: format === 'html',
    ...(rest.picture === undefined ? {} : { picture: rest.picture }),
  });
  const title = ATTENTION_WORDS[language].title(result.analysis);
  const lang = LANGUAGE_TAGS[language];
  if (format === 'html') {
    const drawn = svgDocument(figure, { theme, title, margin: 0, lang, transparent: true });
    return page(result, drawn, language);
  }
  return svgDocument(figure, { theme, title, margin: 24, lang });
}

/** Most elements the interactive view carries: a page of a few MB. */
const MOST_INTERACTIVE = 3_000_000;

function page(result: AttentionResult, svg: string, language: Language): string {
  const words = ATTENTION_WORDS[language];
  const blocks = result.blocks.flatMap(({ layer, kind, only, probabilities }) => {
    if (probabilities === undefined || result.analysis !== 'probabilities') return [];
    const [, heads, queries, keys] = probabilities.dims as [number, number, number, number];
    const size = queries * keys;
    return [
      {
        title: words.block(layer, words.kinds[kind]),
        queries: namesOf({ result }, queries),
        keys: namesOf({ result }, keys),
        heads: Array.from({ length: heads }, (_, head) => ({
          title: words.head(only?.[head] ?? head),
          data: probabilities.data.subarray(head * size, (head + 1) * size),
        })),
      },
    ];
  });
  const carried = blocks.reduce((sum, { heads }) => sum + heads.reduce((own, { data }) => own + data.length, 0), 0);
  const interactive = blocks.length > 0 && carried <= MOST_INTERACTIVE;
  const title = escapeMarkup(words.title(result.analysis));
  return `<!doctype html>
<html lang="${LANGUAGE_TAGS[language]}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1"><title>${title}</title>
<style>${reportStyle()}
${HEAD_VIEW_STYLE}
.figure{overflow-x:auto;margin-bottom:2.5rem}.figure svg{max-width:100%;height:auto}</style></head>
<body><main class="page"><div class="figure">${svg}</div>
${interactive ? headViewHtml(blocks, words) : ''}
</main>${interactive ? `<script>${HEAD_VIEW_SCRIPT}</script>` : ''}</body></html>
`;
}

/** A result for the terminal: numbers per head as a table, maps and matrices by what they show most. Ends with a line feed. */
export function attentionAnsi(
  result: AttentionResult,
  { color, width, language }: { readonly color: TerminalColor; readonly width: number; readonly language: Language },
): string {
  const words = ATTENTION_WORDS[language];
  const unit = words.measures[result.analysis] ?? result.analysis;
  const about = result.target === undefined ? '' : `, ${words.of(result.target.label, result.output ?? '')}`;
  const lines = [terminalSafe(`${words.title(result.analysis)} - ${unit}${about}`), ''];
  if (result.map !== undefined)
    lines.push(...mapLines(result, result.map, width), ...shareLines(result, words).map(terminalSafe));
  else if (result.sinks !== undefined) lines.push(...sinkLines(result));
  else if (result.relations !== undefined) lines.push(...relationLines(result));
  else if (result.places !== undefined) lines.push(...placeLines(result));
  else
    for (const block of result.blocks) {
      const { layer, kind, only, measure, probabilities, topKeys } = block;
      const own = measure ?? probabilities;
      if (own === undefined) continue;
      lines.push(words.block(layer, words.kinds[kind]));
      const text =
        topKeys === undefined ? blockLines(result, own, only, { color, language }) : topLines(result, block, width);
      lines.push(...text.map((each) => `  ${each}`));
    }
  lines.push(
    '',
    ...[words.caution, ...result.warnings.map((each) => warningText(each, language).text)].flatMap((text) =>
      wrapText(terminalSafe(text), width),
    ),
  );
  return `${lines.join('\n')}\n`;
}

function blockLines(
  result: AttentionResult,
  own: Measured,
  only: readonly number[] | undefined,
  { color, language }: { readonly color: TerminalColor; readonly language: Language },
): string[] {
  const words = ATTENTION_WORDS[language];
  const heads = own.axes.includes('head') ? own.dims[own.axes.indexOf('head')]! : 1;
  const name = (head: number) => (own.axes.includes('head') ? padEnd(words.head(only?.[head] ?? head), 8) : '');
  const size = own.data.length / heads;
  const scale = makeScale(own.data, Array.from(own.data).some((each) => each < 0) ? 'diverging' : 'sequential');
  return Array.from({ length: heads }, (_, head) => {
    const row = own.data.subarray(head * size, (head + 1) * size);
    if (size === 1) {
      const shade =
        color === 'none'
          ? ''
          : ` ${paint('    ', rampColor('heat', scale.kind, position(scale, row[0]!), 'light'), color)}`;
      return `${name(head)}${padStart(formatNumber(row[0]!), 8)}${shade}`;
    }
    if (own.classes !== undefined)
      return `${name(head)} ${own.classes.map((each, at) => `${words.classes[each] ?? each} ${formatPercent(row[at]!)}`).join('  ')}`;
    const last = own.dims.at(-1)!;
    const sums = new Float64Array(last);
    row.forEach((each, at) => (sums[at % last]! += each / (size / last)));
    return `${name(head)} ${words.most}: ${strongest(sums, namesOf({ result }, last))}`;
  });
}

/** For each head what each query attends to most. */
function topLines(
  result: AttentionResult,
  { topKeys = [], measure, queries, keys, only }: BlockResult,
  width: number,
): string[] {
  const [, heads, rows, count] = measure!.dims as [number, number, number, number];
  const [from, to] = [namesOf({ result }, queries), namesOf({ result }, keys)];
  return Array.from({ length: heads }, (_, head) => {
    const pairs = Array.from(
      { length: rows },
      (_each, query) => `${from[query]}→${to[topKeys[(head * rows + query) * count]!]}`,
    );
    return truncate(terminalSafe(`${only?.[head] ?? head}: ${pairs.join(' ')}`), width - 2, columns);
  });
}

/** The five largest with their names. */
function strongest(numbers: ArrayLike<number>, names: readonly string[]): string {
  return Array.from(numbers, (number, at) => ({ number, at }))
    .sort((left, right) => Math.abs(right.number) - Math.abs(left.number))
    .slice(0, 5)
    .map(({ number, at }) => `${terminalSafe(names[at] ?? String(at))} ${formatNumber(number)}`)
    .join('  ');
}

function mapLines(result: AttentionResult, map: Measured, width: number): string[] {
  const { row } = shownRow(result, map);
  const keys = row.length;
  const names = namesOf({ result }, keys);
  const wide = Math.min(24, Math.max(...names.map((name) => columns(terminalSafe(name)))));
  const largest = Math.max(...Array.from(row, Math.abs), 1e-30);
  const room = Math.max(8, Math.min(40, width - wide - 14));
  return Array.from(row, (number, at) => {
    const text = padEnd(truncate(terminalSafe(names[at]!), wide, columns), wide);
    return `${text} ${padStart(formatNumber(number), 10)} ${'█'.repeat(Math.round((room * Math.abs(number)) / largest))}`;
  });
}

function sinkLines({ sinks = [] }: AttentionResult): string[] {
  return sinks.map(
    ({ layer, head, key, token, mass }) =>
      `${padStart(formatPercent(mass), 7)}  ${terminalSafe(token ?? String(key))} (${key})  ${layer}-${head}`,
  );
}

function relationLines({ relations = [] }: AttentionResult): string[] {
  return relations.map(
    ({ relation, count, layer, head, direction, accuracy, offset, baseline }) =>
      `${padEnd(terminalSafe(relation), 14)} ${padStart(String(count), 6)}  ${padStart(formatPercent(accuracy), 6)} ${layer}-${head} ${direction}  (${formatPercent(baseline)} at ${offset > 0 ? '+' : ''}${offset})`,
  );
}

function placeLines({ places = [] }: AttentionResult): string[] {
  const clusters = new Map<number, string[]>();
  for (const { layer, head, cluster } of places) {
    const members = clusters.get(cluster) ?? [];
    members.push(`${layer}-${head}`);
    clusters.set(cluster, members);
  }
  return Array.from(clusters, ([cluster, members]) => `${cluster}: ${members.join(' ')}`);
}
