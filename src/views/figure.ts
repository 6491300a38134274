import type { Explanation } from '../explanation/index.ts';
import { barsOf, barsSvg } from './bars.ts';
import { formatNumber } from './format.ts';
import { imageScores } from './image-map.ts';
import type { ImageScoreOptions, ImageScores } from './image-map.ts';
import { drawImages } from './image-drawing.ts';
import type { ImageView } from './image-drawing.ts';
import type { RgbPicture, RgbaImage } from './image-overlay.ts';
import { cautions, completenessSentence, factsOf } from './judgement.ts';
import { heatMapDrawing, heatMapOf } from './heat-map.ts';
import type { HeatMap } from './heat-map.ts';
import { legendSvg, legendText, wrapText } from './legend.ts';
import { MESSAGES } from './messages.ts';
import type { Language } from './messages.ts';
import { methodFacts } from './method.ts';
import { passages, specialShare, tokenScores } from './pieces.ts';
import { formatPercent } from './format.ts';
import { dataUri } from './png.ts';
import type { PngEncoder } from './png.ts';
import { MUTED, INK, makeScale } from './scale.ts';
import { sidesOf } from './sides.ts';
import type { Scale, Theme } from './scale.ts';
import { label, solid, stack, svgDocument } from './svg.ts';
import type { Drawing } from './svg.ts';
import { tokensSvg } from './tokens-svg.ts';
import { warningText } from './warnings.ts';
import { ems } from './width.ts';
import { escapeMarkup } from './escape.ts';

/** What an explanation can be drawn as, with its scale. Exactly one kind. */
export type Subject =
  | { readonly kind: 'text'; readonly scale: Scale }
  | { readonly kind: 'image'; readonly scores: ImageScores; readonly picture: RgbPicture | undefined }
  | { readonly kind: 'matrix'; readonly map: HeatMap }
  | { readonly kind: 'features' };

/**
 * Text when there are tokens with a score each, a matrix for methods that give one, image when there is a map, else a list of
 * features.
 * The limit of a text scale is the largest |score| of a token that stands for text: special tokens, which often hold
 * more, are drawn in full colour then.
 */
export function subjectOf(
  explanation: Explanation,
  options: ImageScoreOptions & { readonly picture?: RgbPicture } = {},
): Subject {
  const map = heatMapOf(explanation);
  if (map !== undefined) return { kind: 'matrix', map };
  const scores = tokenScores(explanation);
  if (scores !== undefined) {
    const { kind } = methodFacts(explanation);
    const offsets = explanation.text?.offsets;
    const own = offsets === undefined ? scores : scores.filter((_, i) => offsets[i] != null);
    const scale = makeScale(own.some((score) => score !== 0) ? own : scores, kind);
    return { kind: 'text', scale };
  }
  const image = imageScores(explanation, options);
  return image === undefined ? { kind: 'features' } : { kind: 'image', scores: image, picture: options.picture };
}

/** What the reader must be told about the drawing itself: legend, smoothing, truncation, special tokens. */
export function captionOf(explanation: Explanation, subject: Subject, language: Language): readonly string[] {
  const words = MESSAGES[language];
  if (subject.kind === 'features' || subject.kind === 'matrix') return [];
  if (subject.kind === 'image')
    return [
      ...legendText(explanation, subject.scores.scale, language).sentences,
      subject.scores.sigma > 0 ? words.smoothed(formatNumber(subject.scores.sigma, 2)) : words.notSmoothed,
    ];
  const pieces = passages(explanation).flatMap((passage) => passage.pieces);
  const share = specialShare(pieces);
  const beyond = pieces.some(({ kind, score }) => kind === 'special' && Math.abs(score) > subject.scale.limit);
  const truncated = explanation.text?.truncated ?? 0;
  return [
    ...legendText(explanation, subject.scale, language).sentences,
    ...(beyond ? [words.specialBeyond] : []),
    ...(share >= 0.05 ? [words.specialShare(formatPercent(share))] : []),
    ...(truncated > 0 ? [words.truncated(truncated)] : []),
  ];
}

export interface FigureOptions extends ImageScoreOptions {
  readonly language: Language;
  readonly theme: Theme;
  /** User units. Default 720. */
  readonly width?: number;
  readonly picture?: RgbPicture;
  /** Default `overlay`. */
  readonly view?: ImageView;
  /** Longer side of pictures in pixels; they are never enlarged. Default 448. */
  readonly side?: number;
  /** Bars shown below a text. Default 12. */
  readonly top?: number;
  readonly encodePng: PngEncoder;
}

/** One explanation as a complete SVG figure: heading, picture or text or both, legend, bars, numbers, cautions. */
export async function figureSvg(explanation: Explanation, options: FigureOptions): Promise<string> {
  return figuresSvg([explanation], options);
}

/** Explanations of the same picture below one another, as one complete SVG document. */
export async function figuresSvg(explanations: readonly Explanation[], options: FigureOptions): Promise<string> {
  const drawings: Drawing[] = [];
  for (const explanation of explanations) drawings.push(await figureDrawing(explanation, options));
  return svgDocument(stack(drawings, 44), {
    theme: options.theme,
    margin: 24,
    title: explanations.map(({ method, target }) => `${method}: ${target.label}`).join(', '),
    lang: options.language === 'zh' ? 'zh-CN' : 'en',
  });
}

async function figureDrawing(explanation: Explanation, options: FigureOptions): Promise<Drawing> {
  const { language, theme } = options;
  const width = options.width ?? 720;
  const parts: Drawing[] = [headingSvg(explanation, width, theme, language)];
  const captions: string[] = [];
  for (const side of sidesOf(explanation)) {
    const subject = subjectOf(side, options);
    parts.push(...(await sideDrawings(side, subject, { ...options, width })));
    captions.push(...captionOf(side, subject, language));
  }
  const facts = factsOf(explanation, language)
    .map(({ name, value }) => `${name}: ${value}`)
    .join('\u00a0· ');
  const lines = [
    ...new Set(captions),
    completenessSentence(explanation, language),
    facts,
    ...cautions(explanation, language),
    ...explanation.warnings.map((warning) => warningText(warning, language).text),
  ];
  parts.push(paragraph(lines, width, theme));
  return stack(parts, 20);
}

async function sideDrawings(
  explanation: Explanation,
  subject: Subject,
  {
    language,
    theme,
    encodePng,
    top = 12,
    width,
    view = 'overlay',
    side = 448,
  }: FigureOptions & { readonly width: number },
): Promise<Drawing[]> {
  const words = MESSAGES[language];
  const bars = (): Drawing =>
    barsSvg(explanation, barsOf(explanation, { top }), { width: Math.min(width, 480), theme, language });
  const legendWidth = Math.min(width, 320);
  if (subject.kind === 'text')
    return [
      tokensSvg(explanation, subject.scale, { width, theme }),
      legendSvg(explanation, subject.scale, { width: legendWidth, theme, language }),
      bars(),
    ];
  if (subject.kind === 'matrix') return [await heatMapDrawing(subject.map, words, { theme, encodePng, width })];
  if (subject.kind === 'features') return [bars()];
  const images = drawImages(explanation, subject, side, 448, view);
  const joined = view === 'side-by-side' && images.overlay !== undefined;
  const panels = [
    ...(images.original && !joined ? [{ name: words.picture, image: images.original }] : []),
    ...(images.overlay ? [{ name: words.views[view], image: images.overlay }] : []),
    { name: words.heatMap, image: images.heat },
  ];
  return [
    await sideBySide(panels, width, theme, encodePng),
    legendSvg(explanation, subject.scores.scale, {
      width: legendWidth,
      theme,
      language,
      ramp: images.overlay && (view === 'overlay' || joined) ? 'overlay' : 'heat',
    }),
  ];
}

function headingSvg(explanation: Explanation, width: number, theme: Theme, language: Language): Drawing {
  const words = MESSAGES[language];
  const value = formatNumber(explanation.value, 4);
  const sub = wrapText(`${words.valueOf(explanation.output, explanation.target.label)}: ${value}`, width / 14, ems);
  const body = [
    label(0, 20, explanation.method, { size: 20, weight: 600, attributes: solid(INK[theme]) }),
    ...sub.map((text, i) => label(0, 42 + i * 19, text, { size: 14, attributes: solid(MUTED[theme]) })),
  ].join('');
  return { width, height: 28 + sub.length * 19, body };
}

function paragraph(sentences: readonly string[], width: number, theme: Theme): Drawing {
  const lines = sentences.flatMap((sentence) => wrapText(sentence, width / 12.5, ems));
  const body = lines
    .map((text, i) => label(0, 12 + i * 18, text, { size: 12, attributes: solid(MUTED[theme]) }))
    .join('');
  return { width, height: lines.length * 18, body };
}

/** Images of equal height beside one another, each with its name below. */
async function sideBySide(
  panels: readonly { readonly name: string; readonly image: RgbaImage }[],
  width: number,
  theme: Theme,
  encodePng: PngEncoder,
): Promise<Drawing> {
  const gap = 16;
  const aspects = panels.map(({ image }) => image.width / image.height);
  const height = Math.min(320, (width - gap * (panels.length - 1)) / aspects.reduce((sum, aspect) => sum + aspect, 0));
  const uris = await Promise.all(panels.map(async ({ image }) => dataUri(await encodePng(image))));
  let x = 0;
  const body = panels.map(({ name }, i) => {
    const size = `x="${x.toFixed(1)}" y="0" width="${(height * aspects[i]!).toFixed(1)}" height="${height.toFixed(1)}"`;
    const text = label(x, height + 18, name, { size: 12, attributes: solid(MUTED[theme]) });
    x += height * aspects[i]! + gap;
    return `<image ${size} href="${uris[i]!}"><title>${escapeMarkup(name)}</title></image>${text}`;
  });
  return { width, height: height + 24, body: body.join('') };
}
