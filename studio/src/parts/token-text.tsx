import { useMemo } from 'preact/hooks';
import { formatExact, levelClass, levelOf, passages } from 'onnxray/views';
import type { Passage, Piece, Scale } from 'onnxray/views';
import type { Explanation } from '../engine/engine.ts';

/** Pieces of a paragraph that the browser lays out only when they come into sight. */
const BLOCK = 400;

export interface TokenTextProps {
  readonly explanation: Explanation;
  readonly scale: Scale;
  /** Index of a token that is marked; -1 for none. */
  readonly pinned?: number;
  readonly onPick?: (token: number) => void;
  readonly onHover?: (token: number) => void;
}

/** The text as it was written, each token on its colour. Hovering or focusing one tells which; a click picks it. */
export function TokenText({ explanation, scale, pinned = -1, onPick, onHover }: TokenTextProps) {
  const blocks = useMemo(() => passages(explanation).map(inBlocks), [explanation]);
  const over = (event: Event): void => onHover?.(tokenOf(event.target));
  const pick = (event: Event): void => {
    const token = tokenOf(event.target);
    if (token >= 0) onPick?.(token);
  };
  const keys = (event: KeyboardEvent): void => {
    const here = event.target instanceof HTMLElement ? event.target : undefined;
    if (here?.dataset['t'] === undefined) return;
    if (event.key === 'Enter' || event.key === ' ') {
      event.preventDefault();
      pick(event);
    }
    const step = event.key === 'ArrowRight' ? 1 : event.key === 'ArrowLeft' ? -1 : 0;
    if (step === 0) return;
    event.preventDefault();
    const all = [...(event.currentTarget as HTMLElement).querySelectorAll<HTMLElement>('[data-t]')];
    all[all.indexOf(here) + step]?.focus();
  };
  let first = true;
  return (
    <div
      class="tokens"
      onMouseOver={over}
      onMouseLeave={() => onHover?.(-1)}
      onFocusIn={over}
      onClick={pick}
      onKeyDown={keys}
    >
      {blocks.map((passage, p) => (
        <div class="passage" key={p} dir="auto">
          {passage.map((pieces, b) => (
            <p class="ox-text block" key={b}>
              {pieces.map((piece, i) => {
                const focusable = first && piece.kind !== 'gap' && piece.kind !== 'unread';
                if (focusable) first = false;
                return <PieceView key={i} {...{ piece, scale, explanation, pinned }} tabbable={focusable} />;
              })}
            </p>
          ))}
        </div>
      ))}
    </div>
  );
}

function PieceView({
  piece,
  scale,
  explanation,
  pinned,
  tabbable,
}: {
  readonly piece: Piece;
  readonly scale: Scale;
  readonly explanation: Explanation;
  readonly pinned: number;
  readonly tabbable: boolean;
}) {
  if (piece.kind === 'gap') return <>{piece.text}</>;
  if (piece.kind === 'unread') return <s class="ox-unread">{piece.text}</s>;
  const names = piece.tokens.map((index) => explanation.tokens?.[index] ?? '').join(' ');
  const level = Number.isFinite(piece.score) ? levelClass(scale.kind, levelOf(scale, piece.score)) : 'ox-x';
  const marked = piece.tokens.includes(pinned) ? ' pinned' : '';
  const element = (
    <span
      class={`${piece.kind === 'special' ? 'ox-special' : 'ox-token'} ${level}${marked}`}
      data-t={piece.tokens[0]}
      role="button"
      tabIndex={tabbable ? 0 : -1}
      aria-label={`${names} ${formatExact(piece.score)}`}
      aria-pressed={marked !== ''}
      title={`${names}  ${formatExact(piece.score)}`}
    >
      {piece.text}
    </span>
  );
  return piece.kind === 'special' ? <bdi> {element} </bdi> : element;
}

function tokenOf(target: EventTarget | null): number {
  const cell = target instanceof Element ? target.closest<HTMLElement>('[data-t]') : null;
  return cell === null ? -1 : Number(cell.dataset['t']);
}

/** Long passages in blocks, cut where a line ends, so that what is out of sight costs nothing. */
function inBlocks({ pieces }: Passage): (readonly Piece[])[] {
  if (pieces.length <= BLOCK * 1.5) return [pieces];
  const blocks: Piece[][] = [[]];
  for (const piece of pieces) {
    const block = blocks.at(-1)!;
    block.push(piece);
    if (block.length >= BLOCK && piece.kind === 'gap') blocks.push([]);
  }
  return blocks;
}
