import type { Explanation } from '../explanation/index.ts';
import { escapeMarkup } from './escape.ts';
import { subjectOf } from './figure.ts';
import { formatNumber, formatSigned } from './format.ts';
import { drawImages } from './image-drawing.ts';
import type { ImageSubject, ImageView } from './image-drawing.ts';
import type { ImageScoreOptions } from './image-map.ts';
import type { RgbPicture, RgbaImage } from './image-overlay.ts';
import { predictionValues } from './judgement.ts';
import { colourBar, wrapText } from './legend.ts';
import { methodFacts } from './method.ts';
import { LANGUAGE_TAGS, MESSAGES } from './messages.ts';
import type { Language } from './messages.ts';
import { dataUri, encodePng } from './png.ts';
import type { PngEncoder } from './png.ts';
import { INK, MUTED, makeScale } from './scale.ts';
import type { Scale, ScaleKind, Theme } from './scale.ts';
import { at as placed, label, solid, svgDocument } from './svg.ts';
import type { Drawing } from './svg.ts';
import { ems, truncate } from './width.ts';

/** One picture of a sheet; several explanations of it stand beside one another. */
export interface SheetRow {
  readonly title: string;
  readonly picture: RgbPicture | undefined;
  readonly explanations: readonly Explanation[];
}

export interface SheetOptions extends ImageScoreOptions {
  /** Default `en`. */
  readonly language?: Language;
  /** How each picture is drawn. Default `overlay`. */
  readonly view?: ImageView;
  /**
   * `shared`: methods of one picture whose scores are in the same unit (contributions to one output, or its sensitivity) have one
   * scale. `own` (and always those that only rank places, such as class activation maps): each map its own. Default `shared`.
   */
  readonly scale?: 'shared' | 'own';
  readonly theme?: Theme;
  /** Side of a cell in user units. Default 200. */
  readonly cell?: number;
  /** Rows beside one another where each has one explanation. Default 4. */
  readonly across?: number;
  readonly encodePng?: PngEncoder;
}

const GAP = 14;
/** Between the baselines of a caption's lines, and from the picture to the first. */
const LINE = 15;
/** A title or a label takes no more lines than this. */
const MOST_LINES = 3;

/**
 * Many explanations of pictures on one page, as an SVG document: for each picture itself and its overlays, with method,
 * answer, value and the limit of its scale below; and one legend for all of them at the foot.
 */
export async function contactSheet(rows: readonly SheetRow[], options: SheetOptions = {}): Promise<string> {
  const { theme = 'light', language = 'en', cell = 200, across = 4, scale = 'shared' } = options;
  const most = Math.max(1, ...rows.map(({ explanations }) => explanations.length));
  // One explanation each: a grid of overlays. More: a row for each picture, which stands in front.
  const single = most === 1;
  const columns = single ? Math.min(across, Math.max(1, rows.length)) : most + 1;
  const kinds = new Map<ScaleKind, Kind>();
  let sharing = false;
  const cells = rows.map(({ title, picture, explanations }): readonly Cell[] => {
    const drawn = scaled(explanations, picture, options, scale);
    const scales = drawn.flatMap((subject) => (subject === undefined ? [] : [subject.scores.scale]));
    sharing ||= new Set(scales).size < scales.length;
    const images = drawn.map((subject, at) =>
      subject === undefined ? undefined : drawImages(explanations[at]!, subject, 2 * cell, 2 * cell, options.view),
    );
    const own = explanations.map(({ target, value, method, output }, at): Cell => {
      const found = drawn[at]?.scores.scale;
      if (found !== undefined)
        note(kinds, found, MESSAGES[language].units[methodFacts(explanations[at]!).unit](output));
      const limit = found === undefined ? '' : ` · ≤ ${formatNumber(found.limit, 3)}`;
      return {
        image: images[at]?.overlay ?? images[at]?.heat,
        first: single ? title : method,
        second: target.label,
        numbers: `${formatNumber(value, 3)}${limit}`,
      };
    });
    const original = images.find((each) => each?.original !== undefined)?.original;
    return single ? own : [{ image: original, first: title, second: predicted(explanations[0]) }, ...own];
  });
  const lines = single ? chunks(cells.flat(), columns) : cells;
  const body: string[] = [];
  let y = 0;
  for (const line of lines) {
    const drawing = await lineOf(line, { cell, theme, encode: options.encodePng ?? encodePng });
    body.push(placed(0, y, drawing));
    y += drawing.height + GAP;
  }
  const width = columns * (cell + GAP) - GAP;
  const foot = footOf(kinds, { ...options, theme, language, width, sharing });
  body.push(placed(0, y + 6, foot));
  return svgDocument(
    { width, height: y + 6 + foot.height, body: body.join('') },
    { theme, margin: 20, title: rows.map(({ title }) => title).join(', '), lang: LANGUAGE_TAGS[language] },
  );
}

/** What all maps of one kind of scale have for limits and units. */
interface Kind {
  readonly limits: Set<number>;
  readonly units: Set<string>;
}

function note(kinds: Map<ScaleKind, Kind>, { kind, limit }: Scale, unit: string): void {
  const known = kinds.get(kind) ?? { limits: new Set(), units: new Set() };
  known.limits.add(limit);
  known.units.add(unit);
  kinds.set(kind, known);
}

interface Cell {
  readonly image: RgbaImage | undefined;
  readonly first: string;
  readonly second: string;
  /** What `second` is worth; it is never cut. */
  readonly numbers?: string;
}

function chunks<T>(list: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(list.length / size) }, (_, at) => list.slice(at * size, (at + 1) * size));
}

/** The maps of explanations of one picture; those of one unit on one scale, where it is shared. */
function scaled(
  explanations: readonly Explanation[],
  picture: RgbPicture | undefined,
  options: ImageScoreOptions,
  share: 'shared' | 'own',
): readonly (ImageSubject | undefined)[] {
  const subjects = explanations.map((explanation) => {
    const subject = subjectOf(explanation, { ...options, ...(picture && { picture }) });
    return subject.kind === 'image' ? subject : undefined;
  });
  if (share === 'own') return subjects;
  const groups = explanations.map((explanation) => {
    const { unit, kind } = methodFacts(explanation);
    // Scores that only rank the places of one map are no measure of another's.
    return unit === 'score' ? undefined : `${unit} ${kind} ${explanation.output}`;
  });
  const scales = new Map<string, Scale>();
  for (const group of new Set(groups.filter((each) => each !== undefined))) {
    const members = subjects.flatMap((subject, at) => (groups[at] === group && subject ? [subject.scores] : []));
    const all = Float64Array.from(members.flatMap(({ map }) => Array.from(map.data)));
    if (members.length > 1) scales.set(group, makeScale(all, members[0]!.scale.kind, options.percentile ?? 99));
  }
  return subjects.map((subject, at) => {
    const common = scales.get(groups[at] ?? '');
    return subject === undefined || common === undefined
      ? subject
      : { ...subject, scores: { ...subject.scores, scale: common } };
  });
}

/** Cells beside one another, as high as the highest of them. */
async function lineOf(
  line: readonly Cell[],
  { cell, theme, encode }: { readonly cell: number; readonly theme: Theme; readonly encode: PngEncoder },
): Promise<Drawing> {
  const body: string[] = [];
  const sizes = line.map(({ image }) => {
    const factor = image === undefined ? 0 : Math.min(cell / image.width, cell / image.height);
    return { width: (image?.width ?? 0) * factor, height: (image?.height ?? 0) * factor };
  });
  const tall = Math.max(0, ...sizes.map(({ height }) => height));
  let captions = 0;
  for (const [column, { image, first, second, numbers }] of line.entries()) {
    const x = column * (cell + GAP);
    const { width, height } = sizes[column]!;
    if (image !== undefined) {
      const size = `x="${(x + (cell - width) / 2).toFixed(1)}" y="${(tall - height).toFixed(1)}" width="${width.toFixed(1)}" height="${height.toFixed(1)}"`;
      const said = numbers === undefined ? second : `${second}: ${numbers}`;
      const title = `<title>${escapeMarkup(`${first}: ${said}`)}</title>`;
      body.push(`<image ${size} href="${dataUri(await encode(image))}">${title}</image>`);
    }
    const titles = wrapped(first, cell / 12.5);
    const notes = noted(second, numbers, cell / 11.5);
    body.push(
      ...titles.map((words, at) =>
        label(x, tall + LINE * (at + 1), words, { size: 12, weight: 600, attributes: solid(INK[theme]) }),
      ),
      ...notes.map((words, at) =>
        label(x, tall + LINE * (titles.length + at + 1), words, { size: 11, attributes: solid(MUTED[theme]) }),
      ),
    );
    captions = Math.max(captions, titles.length + notes.length);
  }
  return { width: line.length * (cell + GAP) - GAP, height: tall + LINE * captions + 6, body: body.join('') };
}

/** Lines of at most `width` ems; the last is cut where there would be too many, and a word that is longer than a line is too. */
function wrapped(text: string, width: number): readonly string[] {
  const lines = wrapText(text, width, ems);
  const [kept, rest] = [lines.slice(0, MOST_LINES - 1), lines.slice(MOST_LINES - 1)];
  return [...kept, ...(rest.length > 0 ? [rest.join(' ')] : [])].map((line) => truncate(line, width, ems));
}

/** What was explained and what it is worth, in one line where there is room. */
function noted(text: string, numbers: string | undefined, width: number): readonly string[] {
  if (numbers === undefined) return wrapped(text, width);
  const whole = `${text}: ${numbers}`;
  return ems(whole) <= width ? [whole] : [...wrapped(`${text}:`, width), numbers];
}

/** A colour bar for each kind of scale there is, and what to know. */
function footOf(
  kinds: ReadonlyMap<ScaleKind, Kind>,
  {
    theme,
    language,
    width,
    sharing,
    view = 'overlay',
  }: SheetOptions & {
    readonly theme: Theme;
    readonly language: Language;
    readonly width: number;
    readonly sharing: boolean;
  },
): Drawing {
  if (kinds.size === 0) return { width, height: 0, body: '' };
  const words = MESSAGES[language];
  const coloured = view === 'overlay' || view === 'side-by-side';
  const body: string[] = [];
  let x = 0;
  if (coloured)
    for (const [kind, { limits, units }] of kinds) {
      const [limit] = limits.size === 1 ? [...limits] : [undefined];
      const [unit] = units.size === 1 ? [...units] : [words.score];
      const signed = kind === 'diverging';
      const ends =
        limit === undefined
          ? [`−${words.sheet.limit}`, `+${words.sheet.limit}`]
          : [formatSigned(-limit, 3), formatSigned(limit, 3)];
      const text = {
        low: signed ? ends[0]! : '0',
        middle: signed ? '0' : undefined,
        high: signed ? ends[1]! : ends[1]!.replace('+', ''),
        unit: unit!,
      };
      body.push(placed(x, 0, colourBar(kind, text, { width: 180, theme, ramp: 'overlay' })));
      x += 220;
    }
  const sentences = [
    ...(view === 'contour' ? [words.sheet.lines] : view === 'masked' ? [words.sheet.kept] : []),
    ...(view !== 'masked' && kinds.has('sequential') && coloured ? [words.sheet.unsigned] : []),
    ...(view !== 'masked' && (kinds.has('diverging') || view === 'contour') ? [words.sheet.signed] : []),
    words.sheet.limitBelow,
    ...(sharing ? [words.sheet.shared] : []),
    words.sheet.outlined,
  ];
  const text = wrapText(sentences.join(language === 'en' ? ' ' : ''), width / 12, ems);
  const top = coloured ? 62 : 12;
  body.push(...text.map((line, i) => label(0, top + 16 * i, line, { size: 11, attributes: solid(MUTED[theme]) })));
  return { width, height: top + 16 * text.length, body: body.join('') };
}

function predicted(explanation: Explanation | undefined): string {
  const top = explanation && predictionValues(explanation).rows[0];
  return top === undefined ? '' : `${top.label} ${top.text}`;
}
