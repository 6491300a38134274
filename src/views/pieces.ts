import type { Explanation, Scores } from '../explanation/index.ts';
import { breaksBetween, splitGraphemes } from './width.ts';

/** A stretch of the text as a person wrote it, with the tokens that cover it. */
export interface Piece {
  /**
   * `gap`: no token covers it (white space). `unread`: behind the last token, cut off before the model saw it.
   * `special`: a token that stands for no text; `text` is its name.
   */
  readonly kind: 'token' | 'gap' | 'unread' | 'special';
  readonly text: string;
  /** Sum of the scores of its tokens; 0 for a gap. */
  readonly score: number;
  /** Indices of its tokens; several when tokens share a character, as byte-level tokenizers do. */
  readonly tokens: readonly number[];
}

/** The pieces of one of the texts, in reading order. Joined without the special ones, they are the text itself. */
export interface Passage {
  readonly text: string;
  readonly pieces: readonly Piece[];
}

/** One score per token: the entry of the tokens' input (else the first that fits), summed over what lies behind the token axis. */
export function tokenScores(explanation: Explanation): Float64Array | undefined {
  const count = explanation.tokens?.length ?? 0;
  if (count === 0) return undefined;
  const own = explanation.text === undefined ? undefined : explanation.attributions[explanation.text.input];
  const scores = own ?? Object.values(explanation.attributions).find(({ data }) => fits(data.length, count));
  return scores !== undefined && fits(scores.data.length, count) ? sumPerToken(scores, count) : undefined;
}

function fits(length: number, count: number): boolean {
  return length > 0 && length % count === 0;
}

function sumPerToken({ data }: Scores, count: number): Float64Array {
  const width = data.length / count;
  const sums = new Float64Array(count);
  for (let i = 0; i < data.length; i++) sums[Math.floor(i / width)]! += data[i]!;
  return sums;
}

/**
 * The original text cut where its tokens begin and end. White space, case and script survive because the text itself
 * is drawn, not the tokens. Cuts inside a user-perceived character (an emoji in four byte tokens) are moved to its
 * edges and its tokens are drawn as one piece. Without offsets the tokens themselves are drawn, a space between them.
 */
export function passages(explanation: Explanation): readonly Passage[] {
  const scores = tokenScores(explanation);
  const tokens = explanation.tokens;
  if (scores === undefined || tokens === undefined) return [];
  const context = explanation.text;
  if (context === undefined) {
    const pieces = tokens.flatMap<Piece>((text, i) => [
      ...(i === 0 ? [] : [gap(' ')]),
      { kind: 'token', text, score: scores[i]!, tokens: [i] },
    ]);
    return [{ text: tokens.join(' '), pieces }];
  }
  const perText = context.texts.map((text) => new PassageBuilder(text));
  // Special tokens go where the reading stands: behind the text before them, or in front of the first.
  let current = perText[0];
  tokens.forEach((token, i) => {
    const offsets = context.offsets[i];
    if (offsets != null) current = perText[context.segments[i] ?? 0] ?? current;
    if (offsets == null || offsets[1] <= offsets[0]) current?.special(token, scores[i]!, i);
    else current?.token(offsets[0], offsets[1], scores[i]!, i);
  });
  return perText.map((builder) => builder.done());
}

function gap(text: string): Piece {
  return { kind: 'gap', text, score: 0, tokens: [] };
}

/** Cuts one text into pieces, token by token. */
class PassageBuilder {
  readonly #text: string;
  readonly #pieces: Piece[] = [];
  /** For each offset, the end of the user-perceived character it lies in. */
  readonly #edges: Int32Array;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
    this.#edges = new Int32Array(text.length + 1);
    let at = 0;
    for (const grapheme of splitGraphemes(text)) {
      this.#edges.fill(at + grapheme.length, at + 1, at + grapheme.length + 1);
      at += grapheme.length;
    }
  }

  special(text: string, score: number, index: number): void {
    this.#pieces.push({ kind: 'special', text, score, tokens: [index] });
  }

  token(start: number, end: number, score: number, index: number): void {
    const from = Math.max(0, Math.min(start, this.#text.length));
    const to = this.#edges[Math.max(from, Math.min(end, this.#text.length))]!;
    const last = this.#pieces.at(-1);
    if (from < this.#at && last?.kind === 'token') {
      // Shares a character with the token before it.
      const text = last.text + this.#text.slice(this.#at, Math.max(this.#at, to));
      this.#pieces[this.#pieces.length - 1] = {
        ...last,
        text,
        score: last.score + score,
        tokens: [...last.tokens, index],
      };
    } else {
      if (from > this.#at) this.#pieces.push(gap(this.#text.slice(this.#at, from)));
      const begin = Math.max(from, this.#at);
      this.#pieces.push({ kind: 'token', text: this.#text.slice(begin, Math.max(begin, to)), score, tokens: [index] });
    }
    this.#at = Math.max(this.#at, to);
  }

  done(): Passage {
    if (this.#at < this.#text.length) {
      const text = this.#text.slice(this.#at);
      const rest: Piece = { ...gap(text), kind: text.trim() === '' ? 'gap' : 'unread' };
      const end = this.#pieces.findLastIndex((piece) => piece.kind === 'token');
      // Special tokens that close the sequence stay behind the text that was not read.
      this.#pieces.splice(end + 1, 0, rest);
    }
    return { text: this.#text, pieces: this.#pieces };
  }
}

/** Share of Σ|score| that special tokens hold, 0 to 1. */
export function specialShare(pieces: readonly Piece[]): number {
  let special = 0;
  let all = 0;
  for (const piece of pieces) {
    all += Math.abs(piece.score);
    if (piece.kind === 'special') special += Math.abs(piece.score);
  }
  return all > 0 ? special / all : 0;
}

/**
 * The measure of the tokens from index `i` on that a line should keep together (a word in several tokens); 0 when a
 * line should not break before `i` at all.
 */
export function unbreakable(pieces: readonly Piece[], i: number, measure: (text: string) => number): number {
  if (continues(pieces, i)) return 0;
  let sum = 0;
  for (let j = i; j === i || continues(pieces, j); j++) sum += measure(pieces[j]!.text);
  return sum;
}

function continues(pieces: readonly Piece[], i: number): boolean {
  const [before, piece] = [pieces[i - 1], pieces[i]];
  return before?.kind === 'token' && piece?.kind === 'token' && !breaksBetween(before.text, piece.text);
}
