import { escapeMarkup } from './escape.ts';
import { LANGUAGES, LANGUAGE_TAGS, MESSAGES } from './messages.ts';
import type { Language, Messages } from './messages.ts';
import type { Drawing } from './svg.ts';
import { svgDocument } from './svg.ts';

/** Words in both languages. */
export type Bilingual = Readonly<Record<Language, string>>;

/** The same thing said in both languages; the page shows one. `say` returns plain text, which is escaped. */
export function both(say: (words: Messages, language: Language) => string): string {
  const [en, zh] = LANGUAGES.map((language) => say(MESSAGES[language], language)) as [string, string];
  return en === zh ? escapeMarkup(en) : inBoth('span', (language) => escapeMarkup(language === 'en' ? en : zh));
}

/** As `both`, for markup that is already safe. */
export function inBoth(tag: 'span' | 'div', markup: (language: Language) => string): string {
  return LANGUAGES.map(
    (language) => `<${tag} class="t-${language}" lang="${LANGUAGE_TAGS[language]}">${markup(language)}</${tag}>`,
  ).join('');
}

/** A drawing per language, as inline SVG in the page's colours. */
export function drawBoth(title: (words: Messages) => string, draw: (language: Language) => Drawing): string {
  return inBoth('div', (language) =>
    svgDocument(draw(language), { theme: 'light', title: title(MESSAGES[language]), transparent: true }),
  );
}

/** An image whose alternative text follows the language switch. */
export function image(
  uri: string,
  size: { readonly width: number; readonly height: number },
  alt: (words: Messages) => string,
  language: Language,
  className?: string,
): string {
  const texts = { en: escapeMarkup(alt(MESSAGES.en)), zh: escapeMarkup(alt(MESSAGES.zh)) };
  return `<img${className === undefined ? '' : ` class="${className}"`} src="${uri}" width="${size.width}" height="${size.height}" alt="${texts[language]}" data-alt-en="${texts.en}" data-alt-zh="${texts.zh}">`;
}
