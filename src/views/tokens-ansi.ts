import type { Explanation } from '../explanation/index.ts';
import { nearestXterm, readableOn, toHex } from './color.ts';
import type { Rgb } from './color.ts';
import { terminalSafe } from './escape.ts';
import { formatSigned } from './format.ts';
import { MESSAGES } from './messages.ts';
import type { Language } from './messages.ts';
import { passages, unbreakable } from './pieces.ts';
import type { Piece } from './pieces.ts';
import { cellColors, levelOf } from './scale.ts';
import type { Scale } from './scale.ts';
import { columns, splitGraphemes, truncate } from './width.ts';

/** `none` prints a table instead of colours. */
export type TerminalColor = 'truecolor' | '256' | 'none';

/**
 * What the terminal can show. `none` when the stream is no terminal, NO_COLOR is set to anything, or TERM is `dumb`;
 * FORCE_COLOR (not 0) overrides the first of these.
 */
export function terminalColor(env: Readonly<Record<string, string | undefined>>, isTerminal: boolean): TerminalColor {
  if (env['NO_COLOR'] !== undefined && env['NO_COLOR'] !== '') return 'none';
  const forced = env['FORCE_COLOR'] !== undefined && env['FORCE_COLOR'] !== '0';
  if (env['FORCE_COLOR'] === '0' || (!isTerminal && !forced) || env['TERM'] === 'dumb') return 'none';
  return /truecolor|24bit/i.test(env['COLORTERM'] ?? '') || env['FORCE_COLOR'] === '3' ? 'truecolor' : '256';
}

const RESET = '\u001b[0m';

/** Text on a background, both set, so that it reads in any terminal theme; the sequence ends with a reset. */
export function paint(text: string, background: Rgb, color: TerminalColor): string {
  if (color === 'none') return text;
  if (color === '256') {
    const cell = nearestXterm(background);
    const ink = toHex(readableOn(cell.color)) === '#000000' ? 16 : 231;
    return `\u001b[38;5;${ink};48;5;${cell.index}m${text}${RESET}`;
  }
  const ink = readableOn(background);
  return `\u001b[38;2;${ink.join(';')};48;2;${background.join(';')}m${text}${RESET}`;
}

/**
 * The original text with a background per token, wrapped at `width` columns; without colours a table of token, score
 * and bar. Escape sequences in the text are removed. Ends without a line feed.
 */
export function tokensAnsi(
  explanation: Explanation,
  scale: Scale,
  options: { readonly color: TerminalColor; readonly width: number; readonly language: Language },
): string {
  const all = passages(explanation);
  if (options.color === 'none')
    return table(
      all.flatMap(({ pieces }) => pieces),
      scale,
      options.width,
      options.language,
    );
  return all.map(({ pieces }) => wrap(pieces, scale, options.color, options.width)).join('\n\n');
}

function wrap(pieces: readonly Piece[], scale: Scale, color: TerminalColor, width: number): string {
  const lines = [''];
  let used = 0;
  const newLine = (): void => {
    lines.push('');
    used = 0;
  };
  const put = (text: string, piece: Piece): void => {
    for (const run of splitToWidth(text, width, used)) {
      if (run.breakBefore) newLine();
      lines[lines.length - 1] += paintPiece(run.text, piece, scale, color);
      used += columns(run.text);
    }
  };
  for (const [i, piece] of pieces.entries()) {
    if (piece.kind === 'gap') {
      for (const [j, part] of piece.text.replace(/\r\n?/g, '\n').split('\n').entries()) {
        if (j > 0) newLine();
        if (used + columns(part) < width) put(terminalSafe(part), piece);
        else if (part !== '') newLine();
      }
      continue;
    }
    const text = terminalSafe(piece.text);
    const needed =
      piece.kind === 'token' ? unbreakable(pieces, i, (part) => columns(terminalSafe(part))) : columns(text);
    if (used > 0 && used + needed > width && needed <= width) newLine();
    if (piece.kind === 'special' && i > 0 && used > 0 && used < width && pieces[i - 1]?.kind === 'token') put(' ', GAP);
    put(text, piece);
    if (piece.kind === 'special' && used < width) put(' ', GAP);
  }
  return lines.map((line) => line.trimEnd()).join('\n');
}

const GAP: Piece = { kind: 'gap', text: ' ', score: 0, tokens: [] };

function paintPiece(text: string, piece: Piece, scale: Scale, color: TerminalColor): string {
  if (piece.kind === 'unread') return `\u001b[9m${text}${RESET}`;
  const plain = piece.kind === 'gap' || (levelOf(scale, piece.score) === 0 && Number.isFinite(piece.score));
  return plain ? text : paint(text, cellColors(scale, piece.score, 'light').background, color);
}

/** Runs that fit the rest of the line and the lines after it. */
function splitToWidth(text: string, width: number, used: number): { text: string; breakBefore: boolean }[] {
  const runs = [{ text: '', breakBefore: false }];
  let at = used;
  for (const grapheme of splitGraphemes(text)) {
    const size = columns(grapheme);
    if (at + size > width && at > 0) {
      runs.push({ text: '', breakBefore: true });
      at = 0;
    }
    runs[runs.length - 1]!.text += grapheme;
    at += size;
  }
  return runs.filter((run) => run.text !== '');
}

function table(pieces: readonly Piece[], scale: Scale, width: number, language: Language): string {
  const words = MESSAGES[language];
  const scored = pieces.filter((piece) => piece.kind === 'token' || piece.kind === 'special');
  const labels = scored.map((piece) => truncate(terminalSafe(piece.text), 24, columns));
  const numbers = scored.map((piece) => formatSigned(piece.score));
  const first = Math.max(columns(words.token), ...labels.map(columns));
  const second = Math.max(columns(words.score), ...numbers.map(columns));
  const half = Math.max(
    4,
    Math.min(16, Math.floor((width - first - second - 5) / (scale.kind === 'diverging' ? 2 : 1))),
  );
  const rows = scored.map(
    (piece, i) => `${padEnd(labels[i]!, first)}  ${padStart(numbers[i]!, second)}  ${bar(piece.score, scale, half)}`,
  );
  return [`${padEnd(words.token, first)}  ${padStart(words.score, second)}`, ...rows]
    .map((row) => row.trimEnd())
    .join('\n');
}

/** A bar of blocks: to the left of the axis when negative. */
export function bar(score: number, scale: Scale, half: number): string {
  const length = Number.isFinite(score) ? Math.round(Math.min(1, Math.abs(score) / scale.limit) * half) : 0;
  const blocks = '█'.repeat(length);
  if (scale.kind === 'sequential') return blocks;
  return score < 0 ? `${blocks.padStart(half)}│` : `${' '.repeat(half)}│${blocks}`;
}

export function padEnd(text: string, width: number): string {
  return text + ' '.repeat(Math.max(0, width - columns(text)));
}

export function padStart(text: string, width: number): string {
  return ' '.repeat(Math.max(0, width - columns(text))) + text;
}
