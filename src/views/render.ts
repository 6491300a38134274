import type { Explanation } from '../explanation/index.ts';
import { barsOf } from './bars.ts';
import { terminalSafe } from './escape.ts';
import { captionOf, figureSvg, subjectOf } from './figure.ts';
import type { ImageView } from './image-drawing.ts';
import { formatNumber, formatSigned } from './format.ts';
import { heatMapAnsi } from './heat-map.ts';
import { imageAnsi } from './image-ansi.ts';
import type { ImageScoreOptions } from './image-map.ts';
import type { RgbPicture } from './image-overlay.ts';
import { cautions, completenessSentence, predictionValues } from './judgement.ts';
import { legendAnsi, wrapText } from './legend.ts';
import { MESSAGES } from './messages.ts';
import type { Language } from './messages.ts';
import { methodFacts } from './method.ts';
import { encodePng } from './png.ts';
import type { PngEncoder, Rasterizer } from './png.ts';
import { renderReport } from './report.ts';
import { makeScale } from './scale.ts';
import type { Theme } from './scale.ts';
import { sidesOf } from './sides.ts';
import { bar, padEnd, padStart, tokensAnsi } from './tokens-ansi.ts';
import type { TerminalColor } from './tokens-ansi.ts';
import { warningText } from './warnings.ts';
import { columns, truncate } from './width.ts';

export type Format = 'ansi' | 'svg' | 'html' | 'png';

export interface RenderOptions extends ImageScoreOptions {
  /** Default `en`. */
  readonly language?: Language;
  /** The given picture, for explanations of images; without it only the scores are drawn. */
  readonly picture?: RgbPicture;
  /** How scores are drawn over pictures, but on the terminal. Default `overlay`. */
  readonly view?: ImageView;
  /** Longer side of pictures in pixels; they are never enlarged. Default 448. */
  readonly side?: number;
  /** Page colour of SVG and PNG. Default `light`. HTML follows the reader's preference. */
  readonly theme?: Theme;
  /** Columns of the terminal (default 80) or user units of the SVG (default 720). */
  readonly width?: number;
  /** For `ansi`. Default `none`; see `terminalColor`. */
  readonly color?: TerminalColor;
  /** For `png`: pixels per user unit. Default 2. */
  readonly density?: number;
  /** How pixel buffers become PNG bytes. Default: `encodePng`. */
  readonly encodePng?: PngEncoder;
}

/** Draws one explanation: text for `ansi`, one complete document for `svg` and `html`, bytes for `png`. */
export interface RenderExplanation {
  (explanation: Explanation, options: RenderOptions & { readonly format: 'png' }): Promise<Uint8Array>;
  (explanation: Explanation, options: RenderOptions & { readonly format: Exclude<Format, 'png'> }): Promise<string>;
  (explanation: Explanation, options: RenderOptions & { readonly format: Format }): Promise<string | Uint8Array>;
}

/** The renderer for a place that makes pixels of an SVG document in its own way. */
export function explanationRenderer(rasterize: Rasterizer): RenderExplanation {
  const render = async (
    explanation: Explanation,
    options: RenderOptions & { readonly format: Format },
  ): Promise<string | Uint8Array> =>
    options.format === 'png'
      ? rasterize(await drawExplanation(explanation, { ...options, format: 'svg' }), options.density)
      : drawExplanation(explanation, { ...options, format: options.format });
  return render as RenderExplanation;
}

/** As `renderExplanation`, for what needs no rasterizer. */
export async function drawExplanation(
  explanation: Explanation,
  options: RenderOptions & { readonly format: Exclude<Format, 'png'> },
): Promise<string> {
  const language = options.language ?? 'en';
  switch (options.format) {
    case 'ansi':
      return explanationAnsi(explanation, options);
    case 'html':
      return renderReport({
        language,
        models: [explanation.model],
        sections: [
          {
            title: explanation.text?.texts[0] ?? explanation.image?.path ?? explanation.target.label,
            explanations: [explanation],
            ...(options.picture && { picture: options.picture }),
          },
        ],
        ...(options.encodePng && { encodePng: options.encodePng }),
        ...(options.view && { view: options.view }),
        ...(options.side && { side: options.side }),
      });
    case 'svg':
      return figureSvg(explanation, {
        ...options,
        language,
        theme: options.theme ?? 'light',
        encodePng: options.encodePng ?? encodePng,
      });
  }
}

/** The explanation for a terminal: what was asked, the coloured text or map, legend, strongest entries, what to know. */
export function explanationAnsi(explanation: Explanation, options: RenderOptions = {}): string {
  const language = options.language ?? 'en';
  const width = Math.max(20, options.width ?? 80);
  const color = options.color ?? 'none';
  const words = MESSAGES[language];
  const value = `${words.valueOf(explanation.output, explanation.target.label)}: ${formatNumber(explanation.value, 4)}`;
  const top = predictionValues(explanation).rows[0];
  const heading = [explanation.method, ...(top ? [`${words.prediction}: ${top.label} ${top.text}`] : []), value]
    .map(terminalSafe)
    .join('  ·  ');
  const blocks = [wrapText(heading, width).join('\n')];
  const captions: string[] = [];
  for (const side of sidesOf(explanation)) {
    const subject = subjectOf(side, options);
    if (subject.kind === 'text')
      blocks.push(
        tokensAnsi(side, subject.scale, { color, width, language }),
        legendAnsi(side, subject.scale, { color, language, width }),
      );
    else if (subject.kind === 'image')
      blocks.push(
        imageAnsi(subject.scores, { color, width }),
        legendAnsi(side, subject.scores.scale, { color, language, width }),
      );
    else if (subject.kind === 'matrix') blocks.push(heatMapAnsi(subject.map, width));
    else blocks.push(featureRows(side, width));
    const legend = subject.kind === 'features' || subject.kind === 'matrix' ? 0 : 2;
    captions.push(...captionOf(side, subject, language).slice(legend));
  }
  const notes = [
    ...captions,
    completenessSentence(explanation, language),
    ...cautions(explanation, language),
    ...explanation.warnings.map((warning) => warningText(warning, language).text),
  ].map(terminalSafe);
  blocks.push(notes.flatMap((note) => wrapText(note, width)).join('\n'));
  return blocks.join('\n\n');
}

function featureRows(explanation: Explanation, width: number): string {
  const { bars } = barsOf(explanation, { top: 20 });
  const scale = makeScale(
    bars.map(({ score }) => score),
    methodFacts(explanation).kind,
  );
  const labels = bars.map(({ label }) => truncate(terminalSafe(label), 28, columns));
  const numbers = bars.map(({ score }) => formatSigned(score));
  const [first, second] = [Math.max(0, ...labels.map(columns)), Math.max(0, ...numbers.map(columns))];
  const half = Math.max(4, Math.min(16, Math.floor((width - first - second - 5) / 2)));
  return bars
    .map(({ score }, i) =>
      `${padEnd(labels[i]!, first)}  ${padStart(numbers[i]!, second)}  ${bar(score, scale, half)}`.trimEnd(),
    )
    .join('\n');
}
