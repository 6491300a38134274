/** Sentences that are written in English and translated by their pattern: docs/architecture.md says why. */
import type { Language } from './messages.ts';

/** Patterns of whole English sentences, each with its Chinese; `$1` stands for the first group. */
export type Translations = readonly (readonly [RegExp, string])[];

/** The sentence, and the language it is then in: English where there is no translation. */
export function translated(
  text: string,
  language: Language,
  chinese: Translations,
): { readonly text: string; readonly language: Language } {
  if (language === 'en') return { text, language };
  for (const [pattern, sentence] of chinese)
    if (pattern.test(text)) return { text: text.replace(pattern, sentence), language };
  return { text, language: 'en' };
}
