import { passages } from 'onnxray/views';
import type { Explanation } from '../../engine/engine.ts';

/** A word with its score. */
export interface Word {
  readonly text: string;
  readonly score: number;
}

/** Words of all texts of an explanation: tokens that touch each other are one word. */
export function wordsOf(explanation: Explanation): readonly Word[] {
  const words: Word[] = [];
  const indices = explanation.text?.words;
  let last: number | null | undefined;
  for (const { pieces } of passages(explanation))
    for (const piece of pieces) {
      if (piece.kind !== 'token') continue;
      const index = indices?.[piece.tokens[0]!];
      const before = words.at(-1);
      if (before !== undefined && index != null && index === last)
        words[words.length - 1] = { text: before.text + piece.text, score: before.score + piece.score };
      else words.push({ text: piece.text, score: piece.score });
      last = index;
    }
  return words;
}

export interface Pairing {
  readonly first: Word | undefined;
  readonly second: Word | undefined;
}

/** More words than this are compared from both ends only: the table would not fit. */
const LONGEST = 1500;

/** Pairs the words two texts have in common, in order (longest common subsequence); the rest stand alone. */
export function pairWords(first: readonly Word[], second: readonly Word[]): readonly Pairing[] {
  const [a, b] = [first.slice(0, LONGEST), second.slice(0, LONGEST)];
  const width = b.length + 1;
  const lengths = new Uint16Array((a.length + 1) * width);
  const same = (i: number, j: number): boolean => a[i]!.text.toLowerCase() === b[j]!.text.toLowerCase();
  for (let i = a.length - 1; i >= 0; i--)
    for (let j = b.length - 1; j >= 0; j--)
      lengths[i * width + j] = same(i, j)
        ? lengths[(i + 1) * width + j + 1]! + 1
        : Math.max(lengths[(i + 1) * width + j]!, lengths[i * width + j + 1]!);
  const pairs: Pairing[] = [];
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && same(i, j)) pairs.push({ first: a[i++], second: b[j++] });
    else if (j >= b.length || (i < a.length && lengths[(i + 1) * width + j]! >= lengths[i * width + j + 1]!))
      pairs.push({ first: a[i++], second: undefined });
    else pairs.push({ first: undefined, second: b[j++] });
  }
  return pairs;
}
