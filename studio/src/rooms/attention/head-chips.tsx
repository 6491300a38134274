import { useWords } from '../../frame/context.ts';
import { HEAD_COLORS } from '../../parts/attention-pixels.ts';
import { ATTENTION_WORDS } from './words.ts';

/** Heads are drawn together or alone; a click adds or takes one away. */
export function HeadChips({
  count,
  heads,
  onChange,
}: {
  readonly count: number;
  readonly heads: readonly number[];
  readonly onChange: (heads: readonly number[]) => void;
}) {
  const words = useWords(ATTENTION_WORDS);
  const toggle = (head: number): void => {
    if (!heads.includes(head)) onChange([...heads, head]);
    else if (heads.length > 1) onChange(heads.filter((each) => each !== head));
  };
  return (
    <div class="chips heads" role="group" aria-label={words.heads}>
      {Array.from({ length: count }, (_, head) => {
        const order = heads.indexOf(head);
        return (
          <button
            key={head}
            type="button"
            class="chip head"
            aria-pressed={order >= 0}
            aria-label={words.head(head)}
            onClick={() => toggle(head)}
          >
            <i style={{ background: order >= 0 ? HEAD_COLORS[order % HEAD_COLORS.length]! : 'transparent' }} />
            {head}
          </button>
        );
      })}
      <button
        type="button"
        class="chip head"
        onClick={() => onChange(Array.from({ length: count }, (_, head) => head))}
      >
        {words.all}
      </button>
    </div>
  );
}
