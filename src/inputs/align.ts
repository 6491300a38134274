/**
 * From a normalised text back to the characters a person wrote.
 *
 * An aligned text carries, for each of its UTF-16 code units, the half-open range of the original text it came from.
 * Each step of a tokenizer (normaliser, added tokens, pre-tokenizer, model) maps one aligned text to others, so offsets
 * are carried along instead of searched for afterwards: repeated words can't be mixed up.
 */
import type { Normalizer } from './huggingface.ts';

/** A text, and where each of its code units came from; `starts` and `ends` never decrease. */
export interface AlignedText {
  readonly text: string;
  readonly starts: readonly number[];
  readonly ends: readonly number[];
}

/** Half-open range in UTF-16 code units of the original text. */
export type Offsets = readonly [number, number];

/** The text as itself. Both halves of a surrogate pair stand for the whole character. */
export function identity(text: string): AlignedText {
  const out = builder();
  let at = 0;
  for (const char of text) {
    out.push(char, at, at + char.length);
    at += char.length;
  }
  return out.done();
}

/** The part [from, to) of an aligned text. */
export function slice(aligned: AlignedText, from: number, to = aligned.text.length): AlignedText {
  return {
    text: aligned.text.slice(from, to),
    starts: aligned.starts.slice(from, to),
    ends: aligned.ends.slice(from, to),
  };
}

/** What the part [from, to) covers in the original; an empty range when the part is empty or was inserted. */
export function covered(aligned: AlignedText, from: number, to: number): Offsets {
  if (from < to) return [aligned.starts[from]!, aligned.ends[to - 1]!];
  const at = aligned.starts[from] ?? aligned.ends.at(-1) ?? 0;
  return [at, at];
}

/** Trims whitespace from both ends. */
export function trim(aligned: AlignedText): AlignedText {
  const from = aligned.text.length - aligned.text.trimStart().length;
  return slice(aligned, from, Math.max(from, aligned.text.trimEnd().length));
}

/** Replaces each match; the replacement covers what the match covered. */
export function replace(aligned: AlignedText, pattern: RegExp, content: string): AlignedText {
  const out = builder();
  let at = 0;
  for (const match of aligned.text.matchAll(pattern)) {
    out.copy(aligned, at, match.index);
    out.push(content, ...covered(aligned, match.index, match.index + match[0].length));
    at = match.index + match[0].length;
  }
  out.copy(aligned, at, aligned.text.length);
  return out.done();
}

/** The normaliser's output, aligned. `normalizer` null means the text as it is. */
export function normalize(aligned: AlignedText, normalizer: Normalizer | null): AlignedText {
  if (normalizer === null) return aligned;
  if (normalizer.normalizers)
    return normalizer.normalizers.reduce<AlignedText>((text, step) => normalize(text, step), aligned);
  const { config } = normalizer;
  switch (config.type) {
    case 'Strip': {
      const from = config.strip_left ? aligned.text.length - aligned.text.trimStart().length : 0;
      return slice(aligned, from, config.strip_right ? Math.max(from, aligned.text.trimEnd().length) : undefined);
    }
    case 'Prepend': {
      const out = builder();
      out.push(config.prepend ?? '', ...covered(aligned, 0, 0));
      out.copy(aligned, 0, aligned.text.length);
      return out.done();
    }
    case 'Replace': {
      if (!normalizer.pattern) return aligned;
      const replaced = replace(aligned, normalizer.pattern, config.content ?? '');
      // A content with `$1` in it is expanded by the normaliser but not by us: then align by pieces.
      return replaced.text === normalizer.normalize(aligned.text)
        ? replaced
        : mapText(aligned, (text) => normalizer.normalize(text));
    }
    case 'BertNormalizer': {
      // The package puts spaces around Chinese characters of the basic plane only.
      const spaced = (text: string): string => (config.handle_chinese_chars ? text.replaceAll(RARE_HAN, ' $& ') : text);
      return mapText(aligned, (text) => normalizer.normalize(spaced(text)));
    }
    default:
      return mapText(aligned, (text) => normalizer.normalize(text));
  }
}

/**
 * Aligns any function of a text that works character by character, or nearly so: Unicode forms, case, accents,
 * cleaning. A grapheme cluster is first tried alone, then by its parts (a base with its marks); where the whole text's result is
 * not the parts' results put together, the common beginning and end are aligned and the middle is taken as one piece.
 */
export function mapText(aligned: AlignedText, apply: (text: string) => string): AlignedText {
  const known = new Map<string, readonly [input: string, output: string][]>();
  const out = builder();
  for (const grapheme of graphemes(aligned.text)) {
    let pieces = known.get(grapheme);
    if (!pieces) {
      const parts = grapheme.match(/\P{M}\p{M}*|\p{M}+/gu) ?? [grapheme];
      const outputs = parts.map(apply);
      const whole = apply(grapheme);
      pieces = outputs.join('') === whole ? parts.map((part, i) => [part, outputs[i]!]) : [[grapheme, whole]];
      known.set(grapheme, pieces);
    }
    for (const [input, output] of pieces) out.push(output, ...covered(aligned, out.read, (out.read += input.length)));
  }
  const joined = out.done();
  const whole = apply(aligned.text);
  return joined.text === whole ? joined : fit(joined, whole);
}

/**
 * Gives `joined`'s alignment to `text`, which begins and ends the same. With equal lengths `joined` itself is right: only
 * JavaScript's lower case of a final sigma looks at its neighbours, and the tokenizers models are trained with don't.
 */
function fit(joined: AlignedText, text: string): AlignedText {
  if (joined.text.length === text.length) return joined;
  const shorter = Math.min(joined.text.length, text.length);
  let head = 0;
  while (head < shorter && joined.text[head] === text[head]) head++;
  let tail = 0;
  while (tail < shorter - head && joined.text.at(-1 - tail) === text.at(-1 - tail)) tail++;
  const out = builder();
  out.copy(joined, 0, head);
  out.push(text.slice(head, text.length - tail), ...covered(joined, head, joined.text.length - tail));
  out.copy(joined, joined.text.length - tail, joined.text.length);
  return out.done();
}

/** Chinese characters beyond U+FFFF, as BERT counts them. */
const RARE_HAN = /[\u{20000}-\u{2a6df}\u{2a700}-\u{2b73f}\u{2b740}-\u{2b81f}\u{2b820}-\u{2ceaf}\u{2f800}-\u{2fa1f}]/gu;

/** The text as a byte-level tokenizer sees it: one printable character per UTF-8 byte; each stands for its whole character. */
export function toByteLevel(aligned: AlignedText): AlignedText {
  const out = builder();
  const encoder = new TextEncoder();
  for (const char of aligned.text) {
    const range = covered(aligned, out.read, (out.read += char.length));
    for (const byte of encoder.encode(char)) out.push(BYTE_CHARACTERS[byte]!, ...range);
  }
  return out.done();
}

/** GPT-2's printable stand-in for each byte: printable Latin-1 stands for itself, the rest for U+0100 and up. */
const BYTE_CHARACTERS: readonly string[] = (() => {
  let next = 256;
  return Array.from({ length: 256 }, (_, byte) => {
    const printable = (byte >= 33 && byte <= 126) || (byte >= 161 && byte !== 173);
    return String.fromCharCode(printable ? byte : next++);
  });
})();

const segmenter = new Intl.Segmenter('en', { granularity: 'grapheme' });

/** A plain character alone, or a run of others with the plain one before it, at most 256 and their marks. */
const RUN =
  /[\0-\x7f\p{Script=Han}](?![^\0-\x7f\p{Script=Han}])|[\0-\x7f\p{Script=Han}]?[^\0-\x7f\p{Script=Han}]{1,256}\p{M}*/gu;

/** Grapheme clusters. The segmenter takes quadratic time in the text's length, so it only gets short runs. */
function* graphemes(text: string): Generator<string> {
  for (const [run] of text.matchAll(RUN))
    if (run.length === 1) yield run;
    else for (const { segment } of segmenter.segment(run)) yield segment;
}

/** Escapes what a regular expression would read as syntax. */
export function escapeRegExp(text: string): string {
  return text.replaceAll(/[\\^$.*+?()[\]{}|/-]/g, String.raw`\$&`);
}

/** Collects an aligned text; `read` is the caller's place in the text it reads from. */
function builder() {
  const texts: string[] = [];
  const starts: number[] = [];
  const ends: number[] = [];
  return {
    read: 0,
    push(text: string, start: number, end: number): void {
      texts.push(text);
      for (let unit = 0; unit < text.length; unit++) {
        starts.push(start);
        ends.push(end);
      }
    },
    copy(from: AlignedText, start: number, end: number): void {
      texts.push(from.text.slice(start, end));
      for (let unit = start; unit < end; unit++) {
        starts.push(from.starts[unit]!);
        ends.push(from.ends[unit]!);
      }
    },
    done: (): AlignedText => ({ text: texts.join(''), starts, ends }),
  };
}
