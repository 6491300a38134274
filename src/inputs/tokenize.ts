/**
 * A text to pieces with offsets: the steps of `@huggingface/tokenizers` (which keeps no offsets), run one by one over an
 * aligned text: added tokens, normaliser, added tokens again, pre-tokenizer, model. The model sees one pre-token at a
 * time, so an unknown word's extent is known exactly.
 */
import * as align from './align.ts';
import type { AlignedText, Offsets } from './align.ts';
import type { AddedToken, HuggingFaceTokenizer } from './huggingface.ts';

/** One token of a text, before special tokens are added. */
export interface Piece {
  readonly token: string;
  readonly id: number;
  /** Half-open UTF-16 range of the original text, without leading or trailing whitespace; may be empty (a lone prefix). */
  readonly offsets: Offsets;
}

/** What the pieces of a tokenizer look like; worked out once from tokenizer.json. */
export interface Pipeline {
  readonly tokenizer: HuggingFaceTokenizer;
  /** Added tokens matched before and after the normaliser, longest first; undefined when there are none. */
  readonly rawTokens: RegExp | undefined;
  readonly normalizedTokens: RegExp | undefined;
  readonly addedByText: ReadonlyMap<string, AddedToken>;
  /** The alphabet pre-tokens are written in. */
  readonly alphabet: 'plain' | 'metaspace' | 'bytes';
  /** Metaspace's stand-in for a space. */
  readonly space: string;
  /** What the model writes around a piece that is not in the text, such as `##` or `</w>`. */
  readonly prefix: string;
  readonly suffixes: readonly string[];
  readonly byteFallback: boolean;
  readonly removeSpace: boolean;
  readonly lowercaseWithoutAccents: boolean;
}

/** The pipeline of a loaded tokenizer. `json` and `config` are what it was made from. */
export function pipelineOf(
  tokenizer: HuggingFaceTokenizer,
  json: Readonly<Record<string, unknown>>,
  config: Readonly<Record<string, unknown>>,
): Pipeline {
  const raw: string[] = [];
  const normalized: string[] = [];
  const addedByText = new Map<string, AddedToken>();
  for (const token of tokenizer.get_added_tokens_decoder().values()) {
    addedByText.set(token.content, token);
    if (token.normalized && tokenizer.normalizer !== null) {
      const content = tokenizer.normalizer.normalize(token.content);
      normalized.push(content);
      addedByText.set(content, token);
    } else raw.push(token.content);
  }
  const model = json['model'] as Readonly<Record<string, unknown>>;
  const steps = preTokenizers(json['pre_tokenizer']);
  const metaspace = steps.find((step) => step['type'] === 'Metaspace');
  return {
    tokenizer,
    rawTokens: anyOf(raw),
    normalizedTokens: anyOf(normalized),
    addedByText,
    alphabet: steps.some((step) => step['type'] === 'ByteLevel') ? 'bytes' : metaspace ? 'metaspace' : 'plain',
    space: String(metaspace?.['str_rep'] ?? metaspace?.['replacement'] ?? '▁'),
    prefix: String(model['continuing_subword_prefix'] ?? ''),
    suffixes: [model['end_of_word_suffix'], model['continuing_subword_suffix']].filter(
      (suffix): suffix is string => typeof suffix === 'string' && suffix !== '',
    ),
    byteFallback: model['byte_fallback'] === true,
    removeSpace: config['remove_space'] === true,
    lowercaseWithoutAccents: config['do_lowercase_and_remove_accent'] === true,
  };
}

/** The pieces of one text, in order; offsets never decrease. */
export function tokenize(pipeline: Pipeline, text: string): Piece[] {
  const pieces: Piece[] = [];
  for (const [index, section] of sections(align.identity(text), pipeline.rawTokens, pipeline).entries()) {
    if ('added' in section) pieces.push(section.added);
    else
      for (const part of sections(normalizeSection(section.text, pipeline), pipeline.normalizedTokens, pipeline))
        if ('added' in part) pieces.push(part.added);
        // Not spread: a long text has more pieces than a call has room for arguments.
        else for (const piece of tokenizePart(part.text, index, pipeline)) pieces.push(piece);
  }
  return pieces;
}

type Section = { readonly text: AlignedText } | { readonly added: Piece };

/** Cuts at added tokens; the whitespace they swallow (lstrip, rstrip) is taken from their neighbours. */
function sections(aligned: AlignedText, tokens: RegExp | undefined, { addedByText }: Pipeline): Section[] {
  const found: Section[] = [];
  let from = 0;
  const plain = (to: number): void => {
    if (from < to) found.push({ text: align.slice(aligned, from, to) });
  };
  for (const match of tokens ? aligned.text.matchAll(tokens) : []) {
    const added = addedByText.get(match[0])!;
    const before = aligned.text.slice(from, match.index);
    plain(from + (added.lstrip ? before.trimEnd() : before).length);
    from = match.index + match[0].length;
    found.push({ added: { token: added.content, id: added.id, offsets: align.covered(aligned, match.index, from) } });
    if (added.rstrip) from += aligned.text.slice(from).length - aligned.text.slice(from).trimStart().length;
  }
  plain(aligned.text.length);
  return found;
}

function normalizeSection(text: AlignedText, pipeline: Pipeline): AlignedText {
  let section = text;
  if (pipeline.removeSpace) section = align.replace(align.trim(section), /\s+/g, ' ');
  if (pipeline.lowercaseWithoutAccents)
    section = align.mapText(section, (part) => part.toLowerCase().replaceAll(/\p{M}/gu, ''));
  return align.normalize(section, pipeline.tokenizer.normalizer);
}

function tokenizePart(part: AlignedText, sectionIndex: number, pipeline: Pipeline): Piece[] {
  const { tokenizer, alphabet, space } = pipeline;
  const view =
    alphabet === 'bytes' ? align.toByteLevel(part) : alphabet === 'metaspace' ? align.replace(part, / /g, space) : part;
  const preTokens = tokenizer.pre_tokenizer
    ? tokenizer.pre_tokenizer.pre_tokenize(part.text, { section_index: sectionIndex })
    : [part.text];
  const pieces: Piece[] = [];
  let at = 0;
  for (const preToken of preTokens) {
    const word = take(view, at, preToken, alphabet === 'bytes' ? 'Ġ' : space);
    at = word.end;
    for (const found of tokenizeWord(word.text, pipeline)) pieces.push(found);
  }
  return pieces;
}

/** The next pre-token of the view: what lies between (whitespace, mostly) was dropped; a leading space may be inserted. */
function take(view: AlignedText, from: number, preToken: string, space: string): { text: AlignedText; end: number } {
  const whole = view.text.indexOf(preToken, from);
  const rest = preToken.startsWith(space) && preToken.length > space.length ? preToken.slice(space.length) : undefined;
  const bare = rest === undefined ? -1 : view.text.indexOf(rest, from);
  if (bare >= 0 && (whole < 0 || bare < whole)) {
    const end = bare + rest!.length;
    const [at] = align.covered(view, bare, end);
    const text = align.slice(view, bare, end);
    const inserted = Array.from({ length: space.length }, () => at);
    return {
      end,
      text: {
        text: preToken,
        starts: [...inserted, ...text.starts],
        ends: [...inserted, ...text.ends],
      },
    };
  }
  if (whole >= 0) return { end: whole + preToken.length, text: align.slice(view, whole, whole + preToken.length) };
  // A pre-tokenizer that rewrites text: all we know is that the pre-token comes from what is left.
  const [start] = align.covered(view, from, view.text.length);
  const inserted = preToken === space;
  const [, end] = inserted ? [start, start] : align.covered(view, from, view.text.length);
  const fill = (value: number): number[] => Array.from({ length: preToken.length }, () => value);
  return { end: from, text: { text: preToken, starts: fill(start), ends: fill(end) } };
}

/** One pre-token to pieces: each known piece is found where it stands, the unknown ones take what is left between. */
function tokenizeWord(word: AlignedText, pipeline: Pipeline): Piece[] {
  const model = pipeline.tokenizer.model;
  const tokens = model([word.text]);
  const pieces: Piece[] = [];
  let at = 0;
  let bytesLeft = 0;
  for (const [index, token] of tokens.entries()) {
    const id = pipeline.addedByText.get(token)?.id ?? model.tokens_to_ids.get(token) ?? model.unk_token_id;
    if (id === undefined || id === null) continue;
    let end: number;
    if (pipeline.byteFallback && BYTE_TOKEN.test(token)) {
      // One character's bytes, one token each: all cover the character; the last one moves on.
      const char = String.fromCodePoint(word.text.codePointAt(at) ?? 0);
      if (bytesLeft === 0) bytesLeft = utf8Length(char);
      pieces.push(piece(word, token, id, at, at + char.length));
      if (--bytesLeft === 0) at += char.length;
      continue;
    }
    const surface = surfaceOf(token, index, tokens.length, word, at, pipeline);
    if (surface !== undefined) {
      at = word.text.indexOf(surface, at);
      end = at + surface.length;
    } else end = unknownEnd(word, at, tokens, index, pipeline);
    pieces.push(piece(word, token, id, at, end));
    at = end;
  }
  return pieces;
}

const BYTE_TOKEN = /^<0x[0-9A-F]{2}>$/;

/** The token as it stands in the word, without the model's own marks; undefined when it stands nowhere: unknown. */
function surfaceOf(
  token: string,
  index: number,
  count: number,
  word: AlignedText,
  at: number,
  pipeline: Pipeline,
): string | undefined {
  // `[UNK]` written out by a person never gets here: it is cut out as an added token.
  if (token === pipeline.tokenizer.model.unk_token) return undefined;
  const stripped: string[] = [];
  if (index > 0 && pipeline.prefix !== '' && token.startsWith(pipeline.prefix))
    stripped.push(token.slice(pipeline.prefix.length));
  for (const suffix of pipeline.suffixes) if (token.endsWith(suffix)) stripped.push(token.slice(0, -suffix.length));
  stripped.push(token);
  return (
    stripped.find((surface) => word.text.startsWith(surface, at)) ??
    (count > 1 ? stripped.find((surface) => word.text.includes(surface, at)) : undefined)
  );
}

/** Where an unknown token ends: one character when more unknown ones follow, else all up to the next known token. */
function unknownEnd(
  word: AlignedText,
  at: number,
  tokens: readonly string[],
  index: number,
  pipeline: Pipeline,
): number {
  const next = at + String.fromCodePoint(word.text.codePointAt(at) ?? 0).length;
  const following = tokens[index + 1];
  if (following === undefined) return word.text.length;
  if (following === pipeline.tokenizer.model.unk_token) return next;
  const surface = surfaceOf(following, index + 1, tokens.length, word, next, pipeline);
  return surface === undefined ? next : word.text.indexOf(surface, next);
}

/** The piece that covers [from, to) of the word, whitespace at its ends left out unless there is nothing else. */
function piece(word: AlignedText, token: string, id: number, from: number, to: number): Piece {
  let start = from;
  let end = to;
  while (start < end - 1 && SPACE.test(word.text[start]!)) start++;
  while (end - 1 > start && SPACE.test(word.text[end - 1]!)) end--;
  return { token, id, offsets: align.covered(word, start, Math.min(end, word.text.length)) };
}

const SPACE = /[\s▁ĠĊĉč]/;

function utf8Length(char: string): number {
  return new TextEncoder().encode(char).length;
}

function preTokenizers(config: unknown): Readonly<Record<string, unknown>>[] {
  if (typeof config !== 'object' || config === null) return [];
  const step = config as Readonly<Record<string, unknown>>;
  return Array.isArray(step['pretokenizers']) ? step['pretokenizers'].flatMap(preTokenizers) : [step];
}

function anyOf(texts: readonly string[]): RegExp | undefined {
  const longestFirst = texts.filter((text) => text !== '').sort((a, b) => b.length - a.length);
  return longestFirst.length === 0 ? undefined : new RegExp(longestFirst.map(align.escapeRegExp).join('|'), 'g');
}
