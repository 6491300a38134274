import { useRef, useState } from 'preact/hooks';
import { tokenScores, formatSigned } from 'onnxray/views';
import type { Explanation } from '../../engine/engine.ts';
import { useFrame, useHistory, useModel, useParam, useWords } from '../../frame/context.ts';
import { explanationsOf, hasTurn, withOutcome } from '../../frame/outcomes.ts';
import type { Outcomes } from '../../frame/outcomes.ts';
import { readNames } from '../../frame/params.ts';
import { WORDS } from '../../frame/words.ts';
import { Answers } from '../../parts/answers.tsx';
import { MethodChooser } from '../../parts/method-chooser.tsx';
import { ModelPicker } from '../../parts/model-picker.tsx';
import { MethodCard } from './method-card.tsx';
import { TEXT_WORDS } from './words.ts';

/** Cheap gradients come first, so that something can be seen while the dearer methods run. */
const FIRST = [
  'input-x-gradient',
  'saliency',
  'guided-backprop',
  'deconvnet',
  'attn-lrp',
  'cp-lrp',
  'integrated-gradients',
];
const DEFAULT_METHODS = 'integrated-gradients,input-x-gradient';

const takesText = ({ task, texts }: { readonly task: string; readonly texts: readonly string[] }): boolean =>
  task === 'text-classification' || texts.length > 0;

/** Why a model answered a text as it did, by several methods at once. */
export default function TextRoom() {
  const { studio, state, language } = useFrame();
  const words = useWords(TEXT_WORDS);
  const model = useModel(takesText);
  const [text, setText] = useParam('text', model?.texts[0] ?? '');
  const { params } = useHistory().state;
  const [chosen, setChosen] = useParam('methods', DEFAULT_METHODS);
  const [picked, setPicked] = useState({ of: '', token: -1 });
  const [outcomes, setOutcomes] = useState<Outcomes<Explanation>>(new Map());
  const root = useRef<HTMLDivElement>(null);
  if (model === undefined) return <p class="empty">{WORDS[language].noModel}</p>;

  const suited = studio.methods.filter(({ layers }) => layers === 'as-inputs' || layers === 'none');
  const methods = readNames(
    chosen,
    suited.map(({ name }) => name),
    DEFAULT_METHODS,
  );
  const available = suited.filter(({ name }) => !methods.includes(name));
  const known = explanationsOf(outcomes, { model: model.id });
  const results = explanationsOf(outcomes, { model: model.id, subject: text });
  const newest = [...FIRST, ...methods].flatMap((name) => (methods.includes(name) ? (known.get(name) ?? []) : []))[0];
  // A token is picked in one text as one model reads it.
  const of = JSON.stringify([model.id, text]);
  const pinned = picked.of === of ? picked.token : -1;
  const setPinned = (token: number): void => setPicked({ of, token });
  const hover = (token: number): void => {
    for (const lit of root.current?.querySelectorAll('.lit') ?? []) lit.classList.remove('lit');
    if (token >= 0)
      for (const cell of root.current?.querySelectorAll(`[data-t="${token}"]`) ?? []) cell.classList.add('lit');
  };
  const order = [...methods].sort((a, b) => rank(a) - rank(b));
  return (
    <div class="split text-room" ref={root}>
      <section class="side" aria-label={words.text}>
        <ModelPicker suits={takesText} model={model} />
        <label class="field">
          <span>{words.text}</span>
          <textarea
            rows={7}
            value={text}
            placeholder={words.placeholder}
            spellcheck={false}
            onInput={(event) => setText(event.currentTarget.value)}
          />
        </label>
        {model.texts.length > 0 && (
          <div class="chips" role="group" aria-label={words.examples}>
            {model.texts.map((example, i) => (
              <button
                key={i}
                type="button"
                class="chip"
                aria-pressed={example === text}
                title={example.slice(0, 160)}
                onClick={() => state.change({ text: example, target: undefined })}
              >
                {words.example(i + 1)}
              </button>
            ))}
          </div>
        )}
        <h2>{words.answers}</h2>
        <Answers
          explanation={newest}
          label={words.answers}
          hint={words.answersHint}
          onChoose={(target) => state.change({ target })}
        />
        <PickedToken {...{ pinned, results, methods, text, words }} onPick={setPinned} onText={setText} />
        <MethodChooser {...{ methods, available, words }} onChange={(names) => setChosen(names.join(','))} />
      </section>
      <section class="cards" aria-label={words.methods}>
        {methods.map((name) => (
          <MethodCard
            key={name}
            {...{ name, text, pinned, hover }}
            model={model.id}
            target={params['target']}
            turn={hasTurn(outcomes, order, name, model.id)}
            onSettled={(explanation) =>
              setOutcomes((all) => withOutcome(all, name, { model: model.id, subject: text, explanation }))
            }
            onPick={setPinned}
          />
        ))}
      </section>
    </div>
  );
}

function rank(name: string): number {
  const at = FIRST.indexOf(name);
  return at < 0 ? FIRST.length : at;
}

/** One token through all methods, and what can be done with it. */
function PickedToken({
  pinned,
  results,
  methods,
  text,
  words,
  onPick,
  onText,
}: {
  readonly pinned: number;
  readonly results: ReadonlyMap<string, Explanation>;
  readonly methods: readonly string[];
  readonly text: string;
  readonly words: (typeof TEXT_WORDS)['en'];
  readonly onPick: (token: number) => void;
  readonly onText: (text: string) => void;
}) {
  const some = methods.flatMap((name) => results.get(name) ?? [])[0];
  if (pinned < 0 || some === undefined) return <p class="hint">{words.none}</p>;
  const offsets = some.text?.offsets[pinned];
  const perToken = some.target.indices.length > 1;
  return (
    <div class="picked" role="status">
      <h2>
        {words.picked}: <bdi>{some.tokens?.[pinned]}</bdi>
      </h2>
      <dl>
        {methods.map((name) => {
          const explanation = results.get(name);
          const score = explanation && tokenScores(explanation)?.[pinned];
          return (
            <div key={name}>
              <dt>{name}</dt>
              <dd>{score === undefined ? '…' : formatSigned(score)}</dd>
            </div>
          );
        })}
      </dl>
      <div class="chips">
        {offsets != null && some.text?.texts[0] === text && (
          <button
            type="button"
            class="chip"
            onClick={() => {
              onPick(-1);
              onText(text.slice(0, offsets[0]) + text.slice(offsets[1]));
            }}
          >
            {words.leaveOut}
          </button>
        )}
        {perToken && <TargetHere {...{ pinned, some, words }} />}
        <button type="button" class="chip" onClick={() => onPick(-1)}>
          {words.restore}
        </button>
      </div>
    </div>
  );
}

/** For models that answer at every token. */
function TargetHere({
  pinned,
  some,
  words,
}: {
  readonly pinned: number;
  readonly some: Explanation;
  readonly words: (typeof TEXT_WORDS)['en'];
}) {
  const { state } = useFrame();
  return (
    <button
      type="button"
      class="chip"
      onClick={() => state.change({ target: [pinned, ...some.target.indices.slice(1)].join(',') })}
    >
      {words.targetToken}
    </button>
  );
}
