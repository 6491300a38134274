/** Which picture suits a result: parts one under another, each a drawing. */
import type { AttentionResult, BlockResult, Measured } from '../../attention/index.ts';
import { escapeMarkup } from '../escape.ts';
import { formatNumber, formatPercent } from '../format.ts';
import { wrapText } from '../legend.ts';
import type { Language } from '../messages.ts';
import { dataUri } from '../png.ts';
import { makeScale } from '../scale.ts';
import type { Scale } from '../scale.ts';
import { label, stack, tone } from '../svg.ts';
import type { Drawing } from '../svg.ts';
import { warningText } from '../warnings.ts';
import { ems } from '../width.ts';
import { headViewSvg } from './head-view.ts';
import type { Frame, Matrix } from './matrix.ts';
import { heatLegend, labelledMatrix, scaleOf } from './matrix.ts';
import { neuronView } from './neuron-view.ts';
import { modelView, panelGrid } from './panels.ts';
import { dotsByLayer, headMap, headPlane } from './plots.ts';
import type { LayerNumbers } from './plots.ts';
import { patchGrid, patchOverlay, tokenStrip } from './strips.ts';
import type { AttentionPicture } from './strips.ts';
import { wordGrid } from './word-grid.ts';
import { ATTENTION_WORDS } from './words.ts';
import type { AttentionWords } from './words.ts';

export interface FigureOptions extends Frame {
  readonly language: Language;
  /** User units. */
  readonly width: number;
  readonly picture?: AttentionPicture;
  /** Whether the page shows the interactive head view, so that a drawn one is not needed. */
  readonly interactive?: boolean;
}

interface Scene extends FigureOptions {
  readonly result: AttentionResult;
  readonly words: AttentionWords;
  readonly unit: string;
}

/** Heading, parts and the note that attention is not by itself an explanation. */
export async function attentionFigure(result: AttentionResult, options: FigureOptions): Promise<Drawing> {
  const words = ATTENTION_WORDS[options.language];
  const unit = words.measures[result.analysis] ?? result.analysis;
  const scene: Scene = { ...options, result, words, unit };
  const { theme, width } = options;
  const about = result.target === undefined ? '' : `, ${words.of(result.target.label, result.output ?? '')}`;
  const heading: Drawing = {
    width,
    height: 40,
    body:
      label(0, 15, words.title(result.analysis), { size: 16, weight: 600, attributes: tone('ink', theme) }) +
      label(0, 34, `${unit}${about}`, { size: 12, attributes: tone('muted', theme) }),
  };
  const warnings = result.warnings.map((each) => warningText(each, options.language).text);
  return stack([heading, ...(await partsOf(scene)), note([words.caution, ...warnings], scene)], 18);
}

async function partsOf(scene: Scene): Promise<Drawing[]> {
  const { result } = scene;
  if (result.places !== undefined) return planeParts(scene, result.places);
  if (result.relations !== undefined) return relationParts(scene, result.relations);
  const parts: Drawing[] = [];
  if (result.map !== undefined) parts.push(...(await mapParts(scene, result.map)));
  const [first] = result.blocks;
  const shown = first?.measure ?? first?.probabilities;
  if (first?.vectors !== undefined) parts.push(...(await neuronParts(scene, first)));
  else if (shown !== undefined) parts.push(...(await blockParts(scene, shown)));
  return parts;
}

const blockTitle = (words: AttentionWords, { layer, kind }: BlockResult): string =>
  words.block(layer, words.kinds[kind]);

function blockParts(scene: Scene, shown: Measured): Promise<Drawing[]> | Drawing[] {
  const axes = shown.axes.filter((axis) => axis !== 'batch').join(' ');
  if (axes === 'head') return numberParts(scene);
  if (axes === 'head class') return classParts(scene, shown.classes ?? []);
  if (axes === 'head query' || axes === 'head key') return rowParts(scene);
  return matrixParts(scene);
}

/** Numbers of each block of which the analysis has any. */
const measuredBlocks = ({ result }: Scene): readonly (readonly [BlockResult, Measured])[] =>
  result.blocks.flatMap((block) => {
    const own = block.measure ?? block.probabilities;
    return own === undefined ? [] : [[block, own] as const];
  });

function layersOf(scene: Scene, pick: (own: Measured) => readonly number[]): LayerNumbers[] {
  return measuredBlocks(scene).map(([block, own]) => ({
    title: blockTitle(scene.words, block),
    layer: block.layer,
    numbers: pick(own),
  }));
}

function numberParts(scene: Scene): Drawing[] {
  const { words, unit, width, theme, result } = scene;
  const layers = layersOf(scene, ({ data }) => Array.from(data));
  const scale = numbersScale(layers);
  const from = result.blocks[0]?.only?.[0] ?? 0;
  const parts: Drawing[] = [
    headMap(layers, scale, words, { width, theme, from }),
    heatLegend(scale, unit, { theme, width: 280 }),
  ];
  for (const kind of ['encoder', 'decoder', 'cross'] as const) {
    const own = layers.filter((_, at) => measuredBlocks(scene)[at]![0].kind === kind);
    const axis = `${words.layer}, ${words.kinds[kind]}`;
    if (own.length > 1) parts.push(dotsByLayer(own, { layer: axis, unit }, { width: Math.min(width, 620), theme }));
  }
  return parts;
}

const numbersScale = (layers: readonly LayerNumbers[]): Scale =>
  scaleOf(layers.map(({ numbers }) => ({ rows: 1, columns: numbers.length, data: numbers })));

function classParts(scene: Scene, classes: readonly string[]): Drawing[] {
  const { words, unit, width, theme, result } = scene;
  const from = result.blocks[0]?.only?.[0] ?? 0;
  const names = [...new Set(measuredBlocks(scene).flatMap(([, own]) => own.classes ?? classes))];
  const perClass = names.map((name) =>
    measuredBlocks(scene).flatMap(([block, own]): LayerNumbers[] => {
      const at = own.classes?.indexOf(name) ?? -1;
      const count = own.classes?.length ?? 1;
      if (at < 0) return [];
      const numbers = Array.from({ length: own.data.length / count }, (_, head) => own.data[head * count + at]!);
      return [{ title: blockTitle(words, block), layer: block.layer, numbers }];
    }),
  );
  const scale = numbersScale(perClass.flat());
  const parts = names.map((name, at) =>
    stack(
      [caption(words.classes[name] ?? name, scene), headMap(perClass[at]!, scale, words, { width, theme, from })],
      6,
    ),
  );
  return [...parts, heatLegend(scale, unit, { theme, width: 280 })];
}

/** [heads, positions] of each block, as one matrix each. */
async function rowParts(scene: Scene): Promise<Drawing[]> {
  const { words, unit, theme } = scene;
  const matrices = measuredBlocks(scene).map(([block, own]) => {
    const [, heads, columns] = own.dims as [number, number, number];
    return { block, matrix: { rows: heads, columns, data: own.data } satisfies Matrix };
  });
  const scale = scaleOf(matrices.map(({ matrix }) => matrix));
  const parts: Drawing[] = [];
  for (const { block, matrix } of matrices) {
    const rows = Array.from({ length: matrix.rows }, (_, head) => String(block.only?.[head] ?? head));
    const key = measuredBlocks(scene)[0]![1].axes.at(-1) === 'key';
    const axes = {
      rows,
      columns: namesOf(scene, matrix.columns),
      rowTitle: words.heads,
      columnTitle: key ? words.key : words.query,
    };
    const picture = await labelledMatrix(matrix, scale, axes, {
      ...scene,
      width: Math.min(scene.width, 620),
      cell: 20,
    });
    parts.push(stack([caption(blockTitle(words, block), scene), picture], 6));
  }
  return [...parts, heatLegend(scale, unit, { theme, width: 280 })];
}

/** Matrices of a block by head; blocks without heads have one. */
function headMatrices({ dims, data }: Measured): Matrix[] {
  const [rows, columns] = [dims.at(-2)!, dims.at(-1)!];
  const size = rows * columns;
  return Array.from({ length: Math.floor(data.length / size) }, (_, at) => ({
    rows,
    columns,
    data: data.subarray(at * size, (at + 1) * size),
  }));
}

async function matrixParts(scene: Scene): Promise<Drawing[]> {
  const { words, unit, theme, width, result } = scene;
  const all = measuredBlocks(scene).map(([block, own]) => ({ block, own, matrices: headMatrices(own) }));
  const scale = scaleOf(all.flatMap(({ matrices }) => matrices));
  const legend = heatLegend(scale, unit, { theme, width: 280 });
  const [only] = all;
  if (all.length === 1 && only!.matrices.length === 1) {
    const { block, own } = only!;
    const matrix = only!.matrices[0]!;
    const axes = {
      rows: namesOf(scene, matrix.rows),
      columns: namesOf(scene, matrix.columns),
      rowTitle: own.axes.includes('query') ? words.query : words.key,
      columnTitle: own.axes.at(-1) === 'key' ? words.key : '',
    };
    const head = block.only?.[0];
    const title = blockTitle(words, block) + (head === undefined ? '' : `, ${words.head(head)}`);
    const picture = await labelledMatrix(matrix, scale, axes, { ...scene, width: Math.min(width, 620) });
    const parts = [caption(title, scene), picture, legend];
    if (scene.interactive !== true && result.analysis === 'probabilities' && matrix.rows <= 64 && matrix.columns <= 64)
      parts.push(headViewSvg(matrix, axes.rows, axes.columns, { theme }));
    return parts;
  }
  if (all.length === 1) {
    const { block, matrices } = only!;
    const panels = matrices.map((matrix, head) => ({ title: words.head(block.only?.[head] ?? head), matrix }));
    const grid = await panelGrid(panels, scale, { ...scene, perRow: Math.min(4, panels.length) });
    return [caption(blockTitle(words, block), scene), grid, legend];
  }
  if (all.every(({ matrices }) => matrices.length === 1)) {
    const panels = all.map(({ block, matrices }) => ({ title: blockTitle(words, block), matrix: matrices[0]! }));
    return [await panelGrid(panels, scale, { ...scene, perRow: Math.min(4, panels.length) }), legend];
  }
  const layers = all.map(({ block, matrices }) => ({ title: blockTitle(words, block), heads: matrices }));
  return [await modelView(layers, scale, words, scene), legend];
}

async function mapParts(scene: Scene, { dims, data }: Measured): Promise<Drawing[]> {
  const { words, unit, theme, width, result, picture } = scene;
  const [rows, columns] = dims as [number, number];
  const { position, row, own } = shownRow(result, { axes: ['query', 'key'], dims, data });
  const others = own ? data.map((each, at) => (at % (columns + 1) === 0 ? 0 : each)) : data;
  const matrix: Matrix = { rows, columns, data: others };
  const queryName =
    namesOf(scene, rows === 1 && result.rows !== undefined ? columns : rows)[position] ?? String(position);
  const signed = Array.from(row).some((each) => each < 0);
  const parts: Drawing[] = [];
  const grid = picture === undefined ? undefined : patchGrid(columns);
  const { tokens } = result;
  if (picture !== undefined && grid !== undefined && tokens?.length === rows && rows !== columns) {
    // Words that look at a picture: where each of them does, on one scale.
    const named = tokens.map((word, at) => ({ word, numbers: data.subarray(at * columns, (at + 1) * columns) }));
    const scale = makeScale(
      named.flatMap(({ numbers }) => [...numbers.subarray(grid.before)]),
      signed ? 'diverging' : 'sequential',
      99,
    );
    const options = { grid, scale, theme, width, encodePng: scene.encodePng };
    parts.push(
      await wordGrid(picture, named, options),
      heatLegend(scale, unit, { theme, width: 280, ramp: 'overlay' }),
    );
  } else if (picture !== undefined && grid !== undefined) {
    // [CLS] and its like keep much to themselves; the colours are for the patches.
    const scale = makeScale(row.subarray(grid.before), signed ? 'diverging' : 'sequential', 99);
    const image = patchOverlay(picture, row, grid, scale);
    const shown = Math.min(width, 480);
    const height = (shown * image.height) / image.width;
    const uri = dataUri(await scene.encodePng(image));
    const body = `<image width="${shown}" height="${height}" href="${escapeMarkup(uri)}"/>`;
    parts.push({ width: shown, height, body }, heatLegend(scale, unit, { theme, width: 280, ramp: 'overlay' }));
  } else {
    const scale = makeScale(row, signed ? 'diverging' : 'sequential');
    parts.push(
      caption(words.owes(queryName), scene),
      tokenStrip(namesOf(scene, columns), row, scale, { width, theme }),
      note(
        [
          words.fullColour(formatNumber(scale.limit)),
          ...(signed ? [words.signed] : []),
          ...(own ? [words.ownPlace] : []),
          ...shareLines(result, words),
        ],
        scene,
      ),
    );
  }
  if (rows > 1) {
    const scale = scaleOf([matrix]);
    const axes = {
      rows: namesOf(scene, rows),
      columns: namesOf(scene, columns),
      rowTitle: words.query,
      columnTitle: words.key,
    };
    const wide = { ...scene, width: Math.min(width, 620) };
    parts.push(await labelledMatrix(matrix, scale, axes, wide), heatLegend(scale, unit, { theme, width: 280 }));
  }
  return parts;
}

async function neuronParts(scene: Scene, block: BlockResult): Promise<Drawing[]> {
  const { words, result } = scene;
  const { queries, keys } = block.vectors!;
  const names = namesOf(scene, block.keys);
  const query = result.rows?.[0] ?? 0;
  const parts = {
    token: names[query] ?? String(query),
    keys: names,
    query: queries.data,
    keyVectors: keys.data,
    probabilities: block.probabilities!.data,
  };
  const title = `${blockTitle(words, block)}, ${words.head(block.only?.[0] ?? 0)}`;
  return [caption(title, scene), note([words.neuron], scene), await neuronView(parts, words, scene)];
}

function planeParts(scene: Scene, places: NonNullable<AttentionResult['places']>): Drawing[] {
  const { words, theme, width, result } = scene;
  const plane = headPlane(places, words, { width: Math.min(width, 640), theme });
  const { explained } = result;
  return [plane, note([explained === undefined ? words.umap : words.plane(formatPercent(explained))], scene)];
}

function relationParts(scene: Scene, relations: NonNullable<AttentionResult['relations']>): Drawing[] {
  const { words, theme, width } = scene;
  const columns = [0, 130, 200, 330, 520];
  const row = (cells: readonly string[], y: number, weight: 400 | 600) =>
    cells
      .map((cell, at) => label(columns[at]!, y, cell, { size: 12, weight, attributes: tone('ink', theme) }))
      .join('');
  const heading = row([words.relation, words.pairs, words.found, '', words.offset], 14, 600);
  const body = relations.map(({ relation, count, layer, head, accuracy, offset, baseline, direction }, at) => {
    const arrow = direction === 'dependent-to-head' ? '→' : '←';
    const cells = [
      relation,
      String(count),
      `${formatPercent(accuracy)}`,
      `${arrow} ${words.layer} ${layer}, ${words.head(head)}`,
      `${formatPercent(baseline)} (${offset > 0 ? '+' : ''}${offset})`,
    ];
    return row(cells, 36 + at * 19, 400);
  });
  return [{ width, height: 36 + relations.length * 19, body: heading + body.join('') }];
}

/** The row of a map that is shown alone: of the first token of an encoder, of the last of a decoder. */
export function shownRow(
  { analysis, blocks, maps, rows: chosen }: AttentionResult,
  { dims, data }: Measured,
): {
  readonly query: number;
  readonly position: number;
  readonly row: Float32Array | Float64Array;
  readonly own: boolean;
} {
  const [rows, columns] = dims as [number, number];
  const query = rows === 1 || (blocks[0]?.kind === 'encoder' && maps === undefined) ? 0 : rows - 1;
  const row = data.slice(query * columns, (query + 1) * columns);
  const position = chosen?.[query] ?? query;
  // Relevance starts from the identity: what a token owes to itself would drown all else.
  const own = STARTS_AT_ITSELF.has(analysis) && maps === undefined && rows === columns;
  if (own) row[position] = 0;
  return { query, position, row, own };
}

const STARTS_AT_ITSELF: ReadonlySet<string> = new Set(['chefer', 'transformer-attribution']);

/** Of each token of a decoder, how much came from what was encoded and how much from what stands before it. */
export function shareLines(result: AttentionResult, words: AttentionWords): readonly string[] {
  const shares = result.maps?.['shares'];
  if (shares === undefined) return [];
  const names = namesOf({ result }, shares.dims[0]!);
  return names.map((name, at) =>
    words.shares(name, formatPercent(shares.data[2 * at]!), formatPercent(shares.data[2 * at + 1]!)),
  );
}

/** What positions are called: tokens where they are as many, else numbers. */
export function namesOf({ result }: Pick<Scene, 'result'>, count: number): string[] {
  const { tokens } = result;
  return Array.from({ length: count }, (_, at) => (tokens?.length === count ? tokens[at]! : String(at)));
}

function caption(text: string, { theme, width }: Scene): Drawing {
  return { width, height: 16, body: label(0, 13, text, { size: 13, weight: 600, attributes: tone('ink', theme) }) };
}

function note(sentences: readonly string[], { theme, width }: Scene): Drawing {
  const lines = sentences.flatMap((sentence) => wrapText(sentence, Math.min(width, 640) / 11.5, ems));
  const body = lines.map((text, at) => label(0, 12 + at * 16, text, { size: 11.5, attributes: tone('muted', theme) }));
  return { width, height: lines.length * 16, body: body.join('') };
}
