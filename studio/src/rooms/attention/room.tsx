import type { ModelSummary } from '../../engine/engine.ts';
import { useFrame, useJob, useModel, useParam, useWords } from '../../frame/context.ts';
import { WORDS } from '../../frame/words.ts';
import { Failure } from '../../parts/failure.tsx';
import { ModelPicker } from '../../parts/model-picker.tsx';
import { Heads } from './heads.tsx';
import { ATTENTION_WORDS } from './words.ts';

const suits = ({ task, texts }: ModelSummary): boolean =>
  task === 'text-classification' || texts.length > 0 || task === 'tensor';

/** Where a model attends: all heads at a glance, one of them close, its matrix; a hovered token is marked in all. */
export default function AttentionRoom() {
  const { engine, language, theme } = useFrame();
  const words = useWords(ATTENTION_WORDS);
  const model = useModel(suits);
  const [text, setText] = useParam('text', model?.texts[0] ?? '');
  const key = model === undefined || text.trim() === '' ? undefined : JSON.stringify([model.id, text]);
  const {
    value: view,
    error,
    stale,
    retry,
  } = useJob(
    key,
    words.waiting,
    (control) => engine.attention({ model: model!.id, subject: { kind: 'text', text } }, control),
    300,
  );
  if (model === undefined) return <p class="empty">{WORDS[language].noModel}</p>;
  return (
    <div class="attention-room">
      <section class="bar" aria-label={words.text}>
        <ModelPicker suits={suits} model={model} />
        <label class="field grow">
          <span>
            {words.text}
            {view !== undefined && ` · ${words.tokens(view.tokens.length)}`}
          </span>
          <textarea rows={2} value={text} spellcheck={false} onInput={(event) => setText(event.currentTarget.value)} />
        </label>
      </section>
      {error !== undefined && <Failure error={error} onRetry={retry} />}
      {view === undefined ? (
        error === undefined && <div class="skeleton tall" role="status" aria-label={words.waiting} />
      ) : (
        <div class={stale ? 'stale-room' : ''} aria-busy={stale}>
          <Heads key={theme} view={view} model={model.id} text={text} />
        </div>
      )}
    </div>
  );
}
