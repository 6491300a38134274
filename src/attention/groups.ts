/** What is reduced of blocks of one shape, which leaves the graph as few tensors for all of them. */
import type { GraphBuilder, ValueName } from '../onnx/index.ts';
import type { Scores } from '../explanation/index.ts';
import { give } from './graph.ts';
import type { AttentionBlock } from './locate.ts';
import type { Attended } from './reductions.ts';
import { confidence, entropyByQuery, massAtOffsets, meanDistance, meanEntropy, received } from './reductions.ts';

/** What is one number or row of numbers per head. */
export type Reduced =
  | 'entropy'
  | 'entropy-by-query'
  | 'distance'
  | 'confidence'
  | 'received'
  | 'size'
  | { readonly offset: number };

/** A block, and of its probabilities and scores what is asked about, [batch, heads, rows, keys]. */
export interface Member {
  readonly block: AttentionBlock;
  /** All its probabilities. */
  readonly whole: ValueName;
  readonly probabilities: ValueName;
  readonly scores: ValueName;
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

type Reduction = (b: GraphBuilder, attended: Attended) => ValueName;

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
  ['size', (b, { probabilities }) => b.op('Shape', [probabilities[0]!])],
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
  attended: Attended,
  asked: readonly Reduced[],
): void {
  // Places in another text are neither before nor after, near nor far.
  const cross = group[0]!.block.kind === 'cross';
  const offsets = asked.flatMap((what) => (typeof what === 'object' && !cross ? [what.offset] : []));
  const names = asked.flatMap((what) => (typeof what === 'string' && !(cross && what === 'distance') ? [what] : []));
  const single = names.filter((name) => NUMBERS.has(name));
  const numbers = single.map((name) => NUMBERS.get(name)!(b, attended));
  if (offsets.length > 0) numbers.push(massAtOffsets(b, attended, offsets));
  const columns = [...single, ...offsets.map((offset) => reducedName({ offset }))];
  if (numbers.length > 0)
    give(b, numbers.length === 1 ? numbers[0]! : b.concat(numbers, 2), outputName(group, 'numbers', columns));
  for (const name of names) {
    const reduce = ROWS.get(name);
    if (reduce !== undefined) give(b, reduce(b, attended), outputName(group, 'row', [name]));
  }
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
  const kept = column === undefined ? width : 1;
  const part = new Float32Array(batch * heads * kept);
  for (let row = 0; row < batch; row++)
    for (let head = 0; head < heads; head++)
      for (let place = 0; place < kept; place++)
        part[(row * heads + head) * kept + place] =
          data[(row * all + at * heads + head) * width + (column ?? 0) + place]!;
  return { dims: column === undefined ? [batch, heads, width] : [batch, heads], data: part };
}
