/**
 * How wide text is, without a font at hand: in columns of a terminal, and in ems of a Helvetica-like face.
 * Estimates: SVG cells centre their text, so that an error of a few per cent shows as padding.
 */

const graphemes = new Intl.Segmenter('und', { granularity: 'grapheme' });

/** User-perceived characters: an emoji with its modifiers, a letter with its accents. */
export function splitGraphemes(text: string): string[] {
  return Array.from(graphemes.segment(text), ({ segment }) => segment);
}

const WIDE =
  /^[\u1100-\u115f\u2e80-\u303e\u3041-\u33ff\u3400-\u4dbf\u4e00-\u9fff\ua000-\ua4cf\ua960-\ua97f\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff01-\uff60\uffe0-\uffe6\u{20000}-\u{3fffd}]/u;
const EMOJI = /\p{Emoji_Presentation}|\p{Emoji}\ufe0f/u;
const ZERO = /^[\p{Mn}\p{Me}\p{Cf}]+$/u;

function isFullWidth(grapheme: string): boolean {
  return WIDE.test(grapheme) || EMOJI.test(grapheme);
}

/** Columns in a terminal: 2 for East Asian wide characters and emoji, 0 for lone marks, else 1 per grapheme. */
export function columns(text: string): number {
  let sum = 0;
  for (const grapheme of splitGraphemes(text)) sum += ZERO.test(grapheme) ? 0 : isFullWidth(grapheme) ? 2 : 1;
  return sum;
}

/** Advance widths of ASCII 32 to 126 in Helvetica, in thousandths of an em. */
const HELVETICA = [
  278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278, 556, 556, 556, 556, 556, 556, 556,
  556, 556, 556, 278, 278, 584, 584, 584, 556, 1015, 667, 667, 722, 722, 667, 611, 778, 722, 278, 500, 667, 556, 833,
  722, 778, 667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 278, 278, 278, 469, 556, 333, 556, 556, 500, 556,
  556, 278, 556, 556, 222, 222, 500, 222, 833, 556, 556, 556, 556, 333, 500, 278, 556, 500, 722, 500, 500, 500, 334,
  260, 334, 584,
];

const PUNCTUATION: Readonly<Record<string, number>> = {
  '’': 222,
  '‘': 222,
  '“': 333,
  '”': 333,
  '–': 556,
  '—': 1000,
  '…': 1000,
};

/** Width in ems of a Helvetica-like face; full-width characters are 1 em. */
export function ems(text: string): number {
  let thousandths = 0;
  for (const grapheme of splitGraphemes(text)) {
    const code = grapheme.codePointAt(0)!;
    if (isFullWidth(grapheme)) thousandths += 1000;
    else if (ZERO.test(grapheme)) continue;
    else
      thousandths +=
        HELVETICA[code - 32] ??
        PUNCTUATION[grapheme[0]!] ??
        HELVETICA[grapheme.normalize('NFD').charCodeAt(0) - 32] ??
        600;
  }
  return thousandths / 1000;
}

/** Whether a line may break between two stretches of text with no white space between them, as in Chinese. */
export function breaksBetween(before: string, after: string): boolean {
  if (/^[，。、；：！？）】》」』”’]/u.test(after) || /[（【《「『“‘]$/u.test(before)) return false;
  return isFullWidth(splitGraphemes(before).at(-1) ?? '') || isFullWidth(splitGraphemes(after)[0] ?? '');
}

/** The text, or its start and `…`, no wider than `limit` by the given measure. */
export function truncate(text: string, limit: number, measure: (text: string) => number): string {
  if (measure(text) <= limit) return text;
  let kept = '';
  for (const grapheme of splitGraphemes(text)) {
    if (measure(`${kept}${grapheme}…`) > limit) break;
    kept += grapheme;
  }
  return `${kept.trimEnd()}…`;
}

/** The first `length` code units and `…`, cut at white space where there is some near. */
export function beginning(text: string, length: number): string {
  if (text.length <= length) return text;
  const cut = text.slice(0, length).replace(/[\ud800-\udbff]$/, '');
  const atSpace = cut.replace(/\s+\S*$/u, '');
  return `${(atSpace.length > length / 2 ? atSpace : cut).trimEnd()}…`;
}

/** Whether a text is read from right to left: its first letter decides. */
export function isRightToLeft(text: string): boolean {
  const letter = text.match(/\p{L}/u)?.[0];
  return (
    letter !== undefined &&
    /[\p{Script=Hebrew}\p{Script=Arabic}\p{Script=Syriac}\p{Script=Thaana}\p{Script=Nko}]/u.test(letter)
  );
}
