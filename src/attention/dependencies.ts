import { int } from '../onnx/index.ts';
import type { DenseTensor, Model, NamedTensors } from '../onnx/index.ts';
import { UserError } from '../onnx/index.ts';
import type { ModelHost } from '../runtime/core.ts';
import { ATTENTION, chooseBlocks, finish, give, openAttention, runAttention } from './graph.ts';
import type { AttentionBlock } from './locate.ts';
import type { TreeSentence } from './treebank.ts';

/** A sentence as the model reads it. */
export interface EncodedSentence {
  readonly tensors: NamedTensors;
  /** Range of the text that each token stands for; null for special tokens. */
  readonly offsets: readonly (readonly [number, number] | null)[];
}

export interface RelationScore {
  /** A relation of the treebank, or `all`. */
  readonly relation: string;
  /** Pairs of words it was tested on. */
  readonly count: number;
  /** The head that finds most of them, and whether it looks from the dependent to its head or back. */
  readonly block: AttentionBlock;
  readonly head: number;
  readonly direction: 'dependent-to-head' | 'head-to-dependent';
  readonly accuracy: number;
  /** The fixed offset from dependent to head that finds most, and how many. */
  readonly offset: number;
  readonly baseline: number;
}

export interface DependencyOptions {
  /** Relations with fewer pairs are left out. Default 5. */
  readonly minimum?: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: (done: number, total: number) => void;
}

const FARTHEST = 10;
const QUERIES = 'onnxray/attention/words/queries';
const KEYS = 'onnxray/attention/words/keys';

/**
 * The best head per dependency relation, Clark et al. 2019, https://arxiv.org/abs/1906.04341: attention between words is the
 * sum over the pieces of the word attended to and the mean over those of the word attending; a head's answer for a word is
 * the other word it attends to most. Words and answers are made within the graph: one forward pass per sentence, of which
 * one number per word and head comes out. The best of many heads is chosen on the data it is scored on, so compare with the
 * baseline, which is too. Throws a UserError when no sentence of the treebank can be read.
 */
export async function dependencyHeads(
  host: ModelHost,
  sentences: readonly TreeSentence[],
  encode: (text: string) => Promise<EncodedSentence>,
  { minimum = 5, signal, onProgress }: DependencyOptions = {},
): Promise<readonly RelationScore[]> {
  const blocks = chooseBlocks(host.model).filter(({ kind }) => kind !== 'cross');
  const tallies = new Map<string, Tally>();
  for (const [number, sentence] of sentences.entries()) {
    const { tensors, offsets } = await encode(sentence.text);
    const pieces = sentence.words.map(({ range }) => piecesOf(range, offsets));
    const { written, placeOf } = writtenWords(pieces);
    const feeds = { ...tensors, ...wordMatrices(written, offsets.length) };
    const compile = (model: Model) => compileWords(model, blocks);
    const outputs = await runAttention(host, { kind: 'words' }, compile, feeds, signal);
    const answers = blocks.map(({ index }) => outputs[ATTENTION.output(index, 'most')]!);
    const heads = answers.map(({ dims }) => dims[1]!);
    sentence.words.forEach((word, dependent) => {
      const [from, to] = [placeOf[dependent], placeOf[word.head]];
      if (from === undefined || to === undefined || from === to) return;
      for (const relation of [word.relation, 'all']) {
        const tally = tallies.get(relation) ?? newTally(heads);
        tallies.set(relation, tally);
        tally.count++;
        const offset = word.head - dependent;
        if (Math.abs(offset) <= FARTHEST) tally.offsets[offset + FARTHEST]!++;
        answers.forEach(({ data, dims }, at) => {
          const words = dims[2]!;
          for (let head = 0; head < dims[1]!; head++) {
            if (data[head * words + from] === to) tally.found[at]![head]![0]++;
            if (data[head * words + to] === from) tally.found[at]![head]![1]++;
          }
        });
      }
    });
    onProgress?.(number + 1, sentences.length);
  }
  if (tallies.size === 0) throw new UserError('no pair of words of the treebank is within what the model reads');
  return Array.from(tallies, ([relation, tally]) => best(relation, tally, blocks))
    .filter(({ count, relation }) => count >= minimum || relation === 'all')
    .sort((left, right) => right.count - left.count);
}

interface Tally {
  count: number;
  readonly offsets: number[];
  /** By block and head: pairs found from the dependent, and from the head. */
  readonly found: [number, number][][];
}

const newTally = (heads: readonly number[]): Tally => ({
  count: 0,
  offsets: Array<number>(2 * FARTHEST + 1).fill(0),
  found: heads.map((count) => Array.from({ length: count }, (): [number, number] => [0, 0])),
});

function best(relation: string, { count, offsets, found }: Tally, blocks: readonly AttentionBlock[]): RelationScore {
  let most = { at: 0, head: 0, way: 0, hits: -1 };
  found.forEach((heads, at) =>
    heads.forEach((ways, head) =>
      ways.forEach((hits, way) => {
        if (hits > most.hits) most = { at, head, way, hits };
      }),
    ),
  );
  const nearest = offsets.reduce((top, hits, at) => (hits > offsets[top]! ? at : top), 0);
  return {
    relation,
    count,
    block: blocks[most.at]!,
    head: most.head,
    direction: most.way === 0 ? 'dependent-to-head' : 'head-to-dependent',
    accuracy: most.hits / count,
    offset: nearest - FARTHEST,
    baseline: offsets[nearest]! / count,
  };
}

/** Tokens that stand for a part of a word. */
function piecesOf(range: readonly [number, number] | null, offsets: EncodedSentence['offsets']): number[] {
  if (range === null) return [];
  return offsets.flatMap((piece, at) => (piece !== null && piece[0] < range[1] && piece[1] > range[0] ? [at] : []));
}

/**
 * The words as they are written, by their pieces, and which of them each word of the tree is: the words of a multiword token
 * (will and not in won't) are one, and a word that no piece stands for is none.
 */
function writtenWords(pieces: readonly (readonly number[])[]): {
  readonly written: readonly (readonly number[])[];
  readonly placeOf: readonly (number | undefined)[];
} {
  const written: (readonly number[])[] = [];
  const places = new Map<number, number>();
  const placeOf = pieces.map((own) => {
    const [first] = own;
    if (first === undefined) return undefined;
    const known = places.get(first) ?? written.push(own) - 1;
    places.set(first, known);
    return known;
  });
  return { written, placeOf };
}

/** [words, tokens] that averages over the pieces of a word, and [tokens, words] that sums over them. */
function wordMatrices(pieces: readonly (readonly number[])[], tokens: number): NamedTensors {
  const words = pieces.length;
  const mean = new Float32Array(words * tokens);
  const sum = new Float32Array(tokens * words);
  pieces.forEach((own, word) => {
    for (const token of own) {
      mean[word * tokens + token] = 1 / own.length;
      sum[token * words + word] = 1;
    }
  });
  const matrix = (dims: readonly number[], data: Float32Array): DenseTensor => ({ type: 'float32', dims, data });
  return { [QUERIES]: matrix([words, tokens], mean), [KEYS]: matrix([tokens, words], sum) };
}

/** For each head and word the other word it attends to most, int64 [batch, heads, words]. */
function compileWords(model: Model, chosen: readonly AttentionBlock[]): Model {
  const { b, blocks } = openAttention(
    model,
    chosen.map(({ index }) => index),
  );
  const queries = b.addInput({ name: QUERIES, type: 'float32', dims: ['words', 'tokens'] });
  const keys = b.addInput({ name: KEYS, type: 'float32', dims: ['tokens', 'words'] });
  const places = b.positions(queries, 0);
  const self = b.equal(b.unsqueeze(places, [1]), b.unsqueeze(places, [0]));
  for (const { block, probabilities } of blocks) {
    const p = b.cast(probabilities, 'float32');
    const between = b.matmul(b.matmul(queries, p), keys);
    const others = b.where(self, b.scalar(-1, between), between);
    give(b, b.op('ArgMax', [others], { axis: int(-1), keepdims: int(0) }), ATTENTION.output(block.index, 'most'));
  }
  return finish(b);
}
