import type { Explanation } from '../explanation/index.ts';
import { toHex } from './color.ts';
import { escapeMarkup } from './escape.ts';
import { formatExact } from './format.ts';
import { passages } from './pieces.ts';
import type { Piece } from './pieces.ts';
import { LEVELS, levelClass, levelColors, levelOf } from './scale.ts';
import type { Scale, Theme } from './scale.ts';
import { isRightToLeft } from './width.ts';

/**
 * The original text with a background per token, as an HTML fragment: one `<p class="ox-text">` per text.
 * Needs `tokenStyles()` in the page. Every token's `title` holds its score to float32 precision. Tokens have no
 * padding, so that joined scripts (Arabic) stay joined and lines break where the text lets them.
 */
export function tokensHtml(explanation: Explanation, scale: Scale): string {
  return passages(explanation)
    .map(({ text, pieces }) => {
      const body = pieces
        .map(
          (piece, i) =>
            (i > 0 && piece.kind === 'special' ? ' ' : '') + pieceHtml(piece, scale, explanation.tokens ?? []),
        )
        .join('');
      return `<p class="ox-text" dir="${isRightToLeft(text) ? 'rtl' : 'ltr'}">${body}</p>`;
    })
    .join('\n');
}

function pieceHtml(piece: Piece, scale: Scale, tokens: readonly string[]): string {
  const text = escapeMarkup(piece.text);
  if (piece.kind === 'gap') return text;
  if (piece.kind === 'unread') return `<s class="ox-unread">${text}</s>`;
  const names = piece.tokens.map((index) => tokens[index] ?? '').join(' ');
  const title = `${escapeMarkup(names)}  ${formatExact(piece.score)}`;
  const classes = [
    piece.kind === 'special' ? 'ox-special' : 'ox-token',
    Number.isFinite(piece.score) ? levelClass(scale.kind, levelOf(scale, piece.score)) : 'ox-x',
  ];
  const element = `<span class="${classes.join(' ')}" title="${title}">${text}</span>`;
  return piece.kind === 'special' ? `<bdi>${element}</bdi> ` : element;
}

/** Style rules for the cells of `tokensHtml`, one per level of both scales, for one theme. */
export function levelStyles(theme: Theme): string {
  const rules = [
    cellRule('ox-0', levelColors('diverging', 0, theme)),
    cellRule('ox-x', levelColors('diverging', Number.NaN, theme)),
  ];
  for (let level = 1; level <= LEVELS; level++) {
    const t = level / LEVELS;
    rules.push(
      cellRule(`ox-p${level}`, levelColors('diverging', t, theme)),
      cellRule(`ox-n${level}`, levelColors('diverging', -t, theme)),
      cellRule(`ox-u${level}`, levelColors('sequential', t, theme)),
    );
  }
  return rules.join('\n');
}

function cellRule(name: string, cell: ReturnType<typeof levelColors>): string {
  return `.${name}{background:${toHex(cell.background)};color:${toHex(cell.text)};fill:${toHex(cell.background)}}`;
}

/** All rules `tokensHtml` needs, light by default and dark where the reader prefers it. */
export function tokenStyles(): string {
  return `${TEXT_RULES}
${levelStyles('light')}
@media (prefers-color-scheme: dark) {
${levelStyles('dark')}
}`;
}

const TEXT_RULES = `.ox-text{margin:0 0 .75em;line-height:1.75;white-space:pre-wrap;overflow-wrap:anywhere}
.ox-token,.ox-special{border-radius:.22em;padding-block:.14em;-webkit-box-decoration-break:clone;box-decoration-break:clone}
.ox-special{font-size:.72em;padding-inline:.4em;border:1px solid var(--hairline,#d9dbdf);letter-spacing:.02em;vertical-align:.08em}
.ox-token.ox-0{background:none}
.ox-unread{opacity:.75;text-decoration-thickness:1px}`;
