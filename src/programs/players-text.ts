import type { TextContext } from '../explanation/index.ts';
import type { InputUnits } from './players.ts';

/** Words, or tokens, of a text; special tokens always stay. */
export function textUnits(
  { words, segments }: Pick<TextContext, 'words' | 'segments'>,
  length: number,
  byWord: boolean,
): InputUnits {
  const seen = new Map<string, number>();
  const units = Int32Array.from({ length }, (_, token) => {
    const word = words[token];
    if (word === null || word === undefined) return -1;
    const key = byWord ? `${segments[token]}:${word}` : String(token);
    if (!seen.has(key)) seen.set(key, seen.size);
    return seen.get(key)!;
  });
  return { units, places: Array.from({ length: seen.size }, (_, unit) => [unit]) };
}
