/** What is reduced of blocks of one shape, which leaves the graph as few tensors for all of them. */
import { int } from '../onnx/index.ts';
import type { GraphBuilder, ValueName } from '../onnx/index.ts';
import type { Scores } from '../explanation/index.ts';
import { give } from './graph.ts';
import type { AttentionBlock } from './locate.ts';
import type { Attended, Piece, Pieces, Reduction, Seats } from './reductions.ts';
import {
  PIECES,
  confidence,
  entropyByQuery,
  massAtOffsets,
  meanDistance,
  meanEntropy,
  meanEntropyOfParts,
  received,
} from './reductions.ts';

/** What is one number or row of numbers per head. */
export type Reduced =
  | 'entropy'
  | 'entropy-by-query'
  | 'distance'
  | 'confidence'
  | 'received'
  | 'size'
  | { readonly offset: number };

/** A block, and of its probabilities and scores what is asked about. */
export interface Member extends Attended {
  readonly block: AttentionBlock;
  /** All its probabilities. */
  readonly whole: ValueName;
}

/** Blocks of one kind whose probabilities are known to be of one shape; those of unknown shape each by themselves. */
export function groupBlocks(b: GraphBuilder, members: readonly Member[]): readonly (readonly Member[])[] {
  const groups = new Map<string, Member[]>();
  for (const member of members) {
    const { block, whole, probabilities } = member;
    const key = [block.kind, b.type(probabilities), b.dims(whole)?.join(), b.dims(probabilities)?.join()].join(' ');
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [member]);
    else group.push(member);
  }
  return [...groups.values()];
}

/** The name a reduced value goes by. */
export const reducedName = (what: Reduced): string => (typeof what === 'string' ? what : `offset ${what.offset}`);

/** What is one number per head, [batch, heads of all, 1]. */
const NUMBERS: ReadonlyMap<string, Reduction> = new Map([
  ['entropy', meanEntropy],
  ['distance', meanDistance],
  ['confidence', confidence],
]);

/** What is a row per head, or of the whole. */
const ROWS: ReadonlyMap<string, Reduction> = new Map([
  ['entropy-by-query', entropyByQuery],
  ['received', received],
  ['size', { pieces: [], finish: (b, _, { like }) => b.op('Shape', [like]) }],
]);

export function isReduced(what: string | object): what is Reduced {
  return typeof what === 'object' ? 'offset' in what : NUMBERS.has(what) || ROWS.has(what);
}

const OUTPUT = /^onnxray\/attention\/of\/([\d,]+)\/(numbers|row)\/(.*)$/;
const outputName = (group: readonly Member[], kind: 'numbers' | 'row', names: readonly string[]): string =>
  `onnxray/attention/of/${group.map(({ block }) => block.index).join()}/${kind}/${names.join()}`;

/**
 * Makes outputs of what is asked of a group: all that is a number per head as one [batch, heads of all, numbers], for every
 * output costs, and each row as one. Their names say which blocks and numbers they hold; `partReduced` takes them apart.
 */
export function giveReduced(
  b: GraphBuilder,
  group: readonly Member[],
  where: Pick<Seats, 'rows' | 'before'>,
  asked: readonly Reduced[],
): void {
  // Places in another text are neither before nor after, near nor far.
  const cross = group[0]!.block.kind === 'cross';
  const offsets = asked.flatMap((what) => (typeof what === 'object' && !cross ? [what.offset] : []));
  const names = asked.flatMap((what) => (typeof what === 'string' && !(cross && what === 'distance') ? [what] : []));
  const single = names.filter((name) => NUMBERS.has(name));
  const rows = names.filter((name) => ROWS.has(name));
  // Where each query's entropy is asked for too, its mean comes of that.
  const ofParts = !names.includes('entropy-by-query') && group.every(({ parts }) => parts !== undefined);
  const numbers = single.map((name) => (name === 'entropy' && ofParts ? meanEntropyOfParts : NUMBERS.get(name)!));
  if (offsets.length > 0) numbers.push(massAtOffsets);
  const seats: Seats = { ...where, like: group[0]!.probabilities, offsets };
  const reductions = [...numbers, ...rows.map((name) => ROWS.get(name)!)];
  const pieces = joinPieces(b, group, seats, [...new Set(reductions.flatMap((reduction) => reduction.pieces))]);
  const columns = [...single, ...offsets.map((offset) => reducedName({ offset }))];
  const finished = numbers.map(({ finish }) => finish(b, pieces, seats));
  if (finished.length > 0) give(b, b.concat(finished, 2), outputName(group, 'numbers', columns));
  for (const name of rows) give(b, ROWS.get(name)!.finish(b, pieces, seats), outputName(group, 'row', [name]));
}

/**
 * Pieces of all blocks of a group, joined along the heads, so that in a short pass there are few nodes. The pieces of each
 * block leave it as one value, and the first block's nodes are the last: onnxruntime goes back from what is asked for,
 * later nodes first, so only thus each matrix is reduced while it is in the processor's cache and then let go, instead of
 * all of them when the last has been made.
 */
function joinPieces(b: GraphBuilder, group: readonly Member[], seats: Seats, names: readonly Piece[]): Pieces {
  const made = group
    .toReversed()
    .map((member) =>
      b.concat(
        names
          .toReversed()
          .map((name) => PIECES[name].of(b, member, seats))
          .toReversed(),
        2,
      ),
    )
    .toReversed();
  const all = names.length === 0 ? [] : splitPieces(b, b.concat(made, 1), seats, names);
  return (name) => all[names.indexOf(name)]!;
}

function splitPieces(b: GraphBuilder, joined: ValueName, seats: Seats, names: readonly Piece[]): readonly ValueName[] {
  if (names.length === 1) return [joined];
  const sizes = b.concat(
    names.map((name) => PIECES[name].width(b, seats)),
    0,
  );
  return b.emit('Split', [joined, sizes], { axis: int(2) }, { outputs: names.length });
}

/** What a program of `giveReduced` gave, by block and name: [batch, heads] each, [batch, heads, ...] of rows. */
export function partReduced(outputs: Readonly<Record<string, Scores>>): ReadonlyMap<number, Record<string, Scores>> {
  const found = new Map<number, Record<string, Scores>>();
  for (const [output, scores] of Object.entries(outputs)) {
    const [, indices, kind, list] = OUTPUT.exec(output) ?? [];
    if (indices === undefined) continue;
    const blocks = indices.split(',').map(Number);
    blocks.forEach((block, at) => {
      const own = found.get(block) ?? {};
      found.set(block, own);
      const names = list!.split(',');
      if (names[0] === 'size') own['size'] = scores;
      else if (kind === 'row') own[names[0]!] = partOf(scores, at, blocks.length);
      else names.forEach((name, column) => (own[name] = partOf(scores, at, blocks.length, column)));
    });
  }
  return found;
}

/** Of [batch, heads of all, width] the heads of one block, and of them one column if told. */
function partOf({ dims, data }: Scores, at: number, blocks: number, column?: number): Scores {
  const [batch, all, width] = dims as [number, number, number];
  const heads = all / blocks;
  if (column !== undefined) {
    const part = new Float32Array(batch * heads);
    for (let row = 0; row < batch; row++)
      for (let head = 0; head < heads; head++)
        part[row * heads + head] = data[(row * all + at * heads + head) * width + column]!;
    return { dims: [batch, heads], data: part };
  }
  // One block's rows lie together, and are copied together.
  const part = new Float32Array(batch * heads * width);
  for (let row = 0; row < batch; row++) {
    const start = (row * all + at * heads) * width;
    part.set(data.subarray(start, start + heads * width), row * heads * width);
  }
  return { dims: [batch, heads, width], data: part };
}
