import type { Explanation } from '../explanation/index.ts';
import { toHex } from './color.ts';
import { escapeMarkup, showControls } from './escape.ts';
import { formatExact } from './format.ts';
import { passages, unbreakable } from './pieces.ts';
import type { Passage, Piece } from './pieces.ts';
import { HAIRLINE, MUTED, cellColors, levelOf } from './scale.ts';
import type { Scale, Theme } from './scale.ts';
import { rect, stack } from './svg.ts';
import type { Drawing } from './svg.ts';
import { ems, isRightToLeft, splitGraphemes } from './width.ts';

const SIZE = 16;
const LINE = 28;
const CELL = 22;
const SPECIAL = 11;

/** A run of a piece on one line. */
interface Run {
  readonly piece: Piece;
  readonly text: string;
  readonly x: number;
  readonly line: number;
  readonly width: number;
}

/**
 * The original text with a background per token, wrapped at `width` user units.
 * Widths are estimated and every run is stretched to its cell (`textLength`), centred where the renderer ignores that.
 * A text read from right to left is laid out from the right edge, token by token.
 */
export function tokensSvg(
  explanation: Explanation,
  scale: Scale,
  options: { readonly width: number; readonly theme: Theme },
): Drawing {
  return stack(
    passages(explanation).map((passage) => passageSvg(passage, scale, options)),
    12,
  );
}

function passageSvg(passage: Passage, scale: Scale, { width, theme }: { width: number; theme: Theme }): Drawing {
  const runs = layOut(passage.pieces, width);
  const mirrored = isRightToLeft(passage.text);
  const body = runs
    .filter(({ text }) => text.trim() !== '')
    .map((run) => runSvg(run, mirrored ? width - run.x - run.width : run.x, scale, theme))
    .join('');
  return { width, height: (Math.max(0, ...runs.map(({ line }) => line)) + 1) * LINE, body };
}

function layOut(pieces: readonly Piece[], width: number): Run[] {
  const runs: Run[] = [];
  let x = 0;
  let line = 0;
  const place = (piece: Piece, text: string, size: number): void => {
    runs.push({ piece, text, x, line, width: size });
    x += size;
  };
  const newLine = (): void => {
    x = 0;
    line++;
  };
  for (const [i, piece] of pieces.entries()) {
    if (piece.kind === 'special') {
      const size = ems(piece.text) * SPECIAL + 10;
      if (x > 0 && pieces[i - 1]?.kind === 'token') x += 5;
      if (x > 0 && x + size + 4 > width) newLine();
      place(piece, piece.text, size);
      x += 5;
      continue;
    }
    // Words of a gap or unread stretch wrap one by one; a token stays whole unless it is wider than a line.
    const parts = piece.kind === 'token' ? [piece.text] : showControls(piece.text).split(/(\n|\s+)/u);
    for (const part of parts) {
      if (part === '') continue;
      if (/^\s*\n\s*$/.test(part)) {
        for (const _ of part.match(/\n/g) ?? []) newLine();
        continue;
      }
      const text = showControls(part).replace(/[\t\n]/g, ' ');
      const size = ems(text) * SIZE;
      const needed = piece.kind === 'token' ? unbreakable(pieces, i, (text) => ems(showControls(text)) * SIZE) : size;
      if (x > 0 && x + Math.max(size, needed <= width ? needed : 0) > width) newLine();
      if (text.trim() === '' && x === 0) continue;
      if (size <= width) place(piece, text, size);
      else
        for (const grapheme of chunk(text, width)) {
          if (x > 0) newLine();
          place(piece, grapheme, ems(grapheme) * SIZE);
        }
    }
  }
  return runs;
}

function chunk(text: string, width: number): string[] {
  const chunks = [''];
  for (const grapheme of splitGraphemes(text)) {
    if (ems(chunks.at(-1)! + grapheme) * SIZE > width && chunks.at(-1) !== '') chunks.push('');
    chunks[chunks.length - 1] += grapheme;
  }
  return chunks;
}

function runSvg(run: Run, x: number, scale: Scale, theme: Theme): string {
  const { piece, line } = run;
  const baseline = line * LINE + 19;
  const unread = piece.kind === 'unread' || piece.kind === 'gap';
  const cell = cellColors(scale, unread ? 0 : piece.score, theme);
  const special = piece.kind === 'special';
  const top = line * LINE + (special ? 5 : 3);
  const height = special ? CELL - 4 : CELL;
  const border = special ? ` stroke="${toHex(HAIRLINE[theme])}"` : '';
  const painted = special || (!unread && (levelOf(scale, piece.score) !== 0 || !Number.isFinite(piece.score)));
  const background = painted
    ? rect(
        x,
        top,
        Math.max(1, run.width - (special ? 0 : 0.75)),
        height,
        `rx="3.5" fill="${toHex(cell.background)}"${border}`,
      )
    : '';
  const color = unread ? MUTED[theme] : cell.text;
  const size = special ? SPECIAL : SIZE;
  const fit =
    special || /\p{M}|\p{Extended_Pictographic}/u.test(run.text)
      ? ''
      : ` textLength="${Math.round(run.width * 10) / 10}" lengthAdjust="spacingAndGlyphs"`;
  const strike = piece.kind === 'unread' ? ' text-decoration="line-through"' : '';
  const title = unread ? '' : `<title>${escapeMarkup(piece.text)}  ${formatExact(piece.score)}</title>`;
  return `<g>${title}${background}<text x="${Math.round((x + run.width / 2) * 10) / 10}" y="${baseline - (special ? 2 : 0)}" font-size="${size}" text-anchor="middle" fill="${toHex(color)}"${fit}${strike} xml:space="preserve">${escapeMarkup(run.text)}</text></g>`;
}
