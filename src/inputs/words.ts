import type { Offsets } from './align.ts';

/** A Han character, a punctuation mark or symbol of ASCII, or a run of anything else that is not whitespace. */
const WORD = /\p{Script=Han}|[\p{P}$+<=>^`|~]|[^\s\p{P}$+<=>^`|~\p{Script=Han}]+/gu;

/** The words of a text, as half-open ranges: cut at whitespace, at punctuation, and around each Chinese character. */
export function wordsOf(text: string): Offsets[] {
  return Array.from(text.matchAll(WORD), (match) => [match.index, match.index + match[0].length] as const);
}

/**
 * The index of the word each range begins in; a range before or between words belongs to the next one, and one after the
 * last word to the last.
 * @param ranges half-open ranges whose starts never decrease; null stays null.
 */
export function wordIndices(text: string, ranges: readonly (Offsets | null)[]): (number | null)[] {
  const words = wordsOf(text);
  let word = 0;
  return ranges.map((range) => {
    if (range === null) return null;
    while (word < words.length - 1 && words[word]![1] <= range[0]) word++;
    return word;
  });
}
