import { useMemo } from 'preact/hooks';
import { barsSvg, captionOf, makeScale, methodFacts, subjectOf, svgDocument, tokenScores } from 'onnxray/views';
import type { Language, Scale, Theme } from 'onnxray/views';
import type { Explanation, ModelSummary } from '../../engine/engine.ts';
import { useFrame, useHistory, useJob, useModel, useParam, useWords } from '../../frame/context.ts';
import type { Result } from '../../frame/context.ts';
import { explanationExporter, svgExporter } from '../../frame/export.ts';
import { readChoice } from '../../frame/params.ts';
import { WORDS } from '../../frame/words.ts';
import { Answers } from '../../parts/answers.tsx';
import { Bars } from '../../parts/bars.tsx';
import { ExportMenu } from '../../parts/export-menu.tsx';
import { Failure } from '../../parts/failure.tsx';
import { Judgement } from '../../parts/judgement.tsx';
import { ModelPicker } from '../../parts/model-picker.tsx';
import { ScaleLegend } from '../../parts/scale-legend.tsx';
import { TokenText } from '../../parts/token-text.tsx';
import { pairWords, wordsOf } from './align.ts';
import { COMPARE_WORDS } from './words.ts';

const suits = ({ task, texts }: ModelSummary): boolean => task === 'text-classification' || texts.length > 0;
const MODES = ['inputs', 'models'] as const;
const DEFAULT_METHOD = 'input-x-gradient';
const TYPING_MS = 250;
const SHOWN = 12;

/** Two texts by one model, or one text by two models, on one scale, with what differs most. */
export default function CompareRoom() {
  const { studio, models, state, language } = useFrame();
  const words = useWords(COMPARE_WORDS);
  const model = useModel(suits);
  const { params } = useHistory().state;
  const [givenMode, setMode] = useParam('compare', 'inputs');
  const mode = readChoice(givenMode, MODES, 'inputs');
  const [givenMethod, setMethod] = useParam('method', DEFAULT_METHOD);
  const suited = studio.methods.filter(({ layers }) => layers === 'as-inputs' || layers === 'none');
  const method = readChoice(
    givenMethod,
    suited.map(({ name }) => name),
    DEFAULT_METHOD,
  );
  const [text, setText] = useParam('text', model?.texts[0] ?? '');
  const [other, setOther] = useParam('text2', model?.texts[1] ?? '');
  const second = mode === 'models' ? (models.find(({ id }) => id === params['model2']) ?? model) : model;
  const target = params['target'];
  const left = useSide(model?.id, text, method, target);
  const right = useSide(second?.id, mode === 'models' ? text : other, method, target);
  const scale = useMemo(() => sharedScale([left.value, right.value]), [left.value, right.value]);
  if (model === undefined) return <p class="empty">{WORDS[language].noModel}</p>;
  return (
    <div class="split">
      <section class="side" aria-label={words.what}>
        <div class="chips" role="group" aria-label={words.what}>
          {MODES.map((each) => (
            <button key={each} type="button" class="chip" aria-pressed={mode === each} onClick={() => setMode(each)}>
              {words[each]}
            </button>
          ))}
        </div>
        <ModelPicker suits={suits} model={model} {...(mode === 'models' ? { label: words.firstModel } : {})} />
        {mode === 'models' && <ModelPicker suits={suits} model={second} parameter="model2" label={words.secondModel} />}
        <label class="field">
          <span>{words.first}</span>
          <textarea rows={5} value={text} spellcheck={false} onInput={(event) => setText(event.currentTarget.value)} />
        </label>
        {mode === 'inputs' && (
          <label class="field">
            <span>{words.second}</span>
            <textarea
              rows={5}
              value={other}
              spellcheck={false}
              onInput={(event) => setOther(event.currentTarget.value)}
            />
          </label>
        )}
        <label class="field">
          <span>{words.method}</span>
          <select value={method} onChange={(event) => setMethod(event.currentTarget.value)}>
            {suited.map(({ name }) => (
              <option key={name} value={name}>
                {name}
              </option>
            ))}
          </select>
        </label>
        <h2>{words.answers}</h2>
        <Answers
          explanation={left.value}
          label={words.answers}
          hint={words.targetNote}
          onChoose={(next) => state.change({ target: next })}
        />
        <p class="hint">{words.targetNote}</p>
      </section>
      <section aria-label={words.what}>
        {left.value !== undefined &&
          right.value !== undefined &&
          left.value.target.label !== right.value.target.label && <p class="notice">{words.other}</p>}
        <div class="cards">
          <Side title={words.first} result={left} scale={scale} />
          <Side title={words.second} result={right} scale={scale} />
        </div>
        {left.value !== undefined && right.value !== undefined && (
          <Differences first={left.value} second={right.value} />
        )}
      </section>
    </div>
  );
}

function useSide(
  model: string | undefined,
  text: string,
  method: string,
  target: string | undefined,
): Result<Explanation> {
  const { engine } = useFrame();
  const key = model === undefined || text.trim() === '' ? undefined : JSON.stringify([model, text, method, target]);
  return useJob(
    key,
    method,
    (control) => engine.explain({ model: model!, subject: { kind: 'text', text }, method, target }, control),
    TYPING_MS,
  );
}

/** The limit is the largest |score| of a token of either; special tokens are left out, as in every text. */
function sharedScale(explanations: readonly (Explanation | undefined)[]): Scale | undefined {
  const known = explanations.filter((each) => each !== undefined);
  if (known.length === 0) return undefined;
  const scores = known.flatMap((each) => {
    const all = [...(tokenScores(each) ?? [])];
    const own = all.filter((_, i) => each.text?.offsets[i] != null);
    return own.some((score) => score !== 0) ? own : all;
  });
  const kinds = known.map((each) => methodFacts(each).kind);
  return makeScale(scores, kinds.includes('diverging') ? 'diverging' : 'sequential');
}

function Side({
  title,
  result,
  scale,
}: {
  readonly title: string;
  readonly result: Result<Explanation>;
  readonly scale: Scale | undefined;
}) {
  const { language, theme } = useFrame();
  const words = useWords(COMPARE_WORDS);
  const { value, error, stale, retry } = result;
  const top = value?.predictions?.[0];
  const notes = value === undefined ? [] : [words.shared, ...captionOf(value, subjectOf(value), language).slice(0, 1)];
  return (
    <article class={`card${stale ? ' stale' : ''}`} aria-busy={stale}>
      <header>
        <h3>
          {title}
          {top !== undefined && (
            <span class="aside">
              {' '}
              {top.label} {(top.value * 100).toFixed(1)}%
            </span>
          )}
        </h3>
        {value !== undefined && (
          <ExportMenu name={`${title}-${value.method}`} exporter={explanationExporter(value, { language, theme })} />
        )}
      </header>
      {error !== undefined && <Failure error={error} onRetry={retry} />}
      {value !== undefined && scale !== undefined ? (
        <>
          <TokenText explanation={value} scale={scale} />
          <ScaleLegend explanation={value} scale={scale} notes={notes} />
          <Judgement explanation={value} />
        </>
      ) : (
        error === undefined && <div class="skeleton" role="status" aria-label={WORDS[language].waiting} />
      )}
    </article>
  );
}

function Differences({ first, second }: { readonly first: Explanation; readonly second: Explanation }) {
  const { language, theme } = useFrame();
  const words = useWords(COMPARE_WORDS);
  const rows = useMemo(
    () =>
      pairWords(wordsOf(first), wordsOf(second))
        .map((pair) => ({
          label:
            pair.first === undefined
              ? words.onlySecond(pair.second!.text)
              : pair.second === undefined
                ? words.onlyFirst(pair.first.text)
                : pair.first.text,
          score: (pair.second?.score ?? 0) - (pair.first?.score ?? 0),
        }))
        .sort((a, b) => Math.abs(b.score) - Math.abs(a.score))
        .slice(0, SHOWN),
    [first, second, words],
  );
  const limit = Math.max(1e-9, ...rows.map(({ score }) => Math.abs(score)));
  return (
    <article class="card wide">
      <header>
        <h3>{words.differences}</h3>
        <ExportMenu
          name="differences"
          exporter={svgExporter(
            words.differences,
            () => drawDifferences(first, rows, { title: words.differences, theme, language }),
            () => ({
              method: first.method,
              models: [first.model, second.model],
              targets: [first.target, second.target],
              rows,
            }),
          )}
        />
      </header>
      <p class="what">{words.differencesHint}</p>
      <Bars rows={rows} limit={limit} label={words.differences} />
    </article>
  );
}

const DRAWN_WIDTH = 560;
const MARGIN = 16;

/** The same bars by the library's views; both explanations have one unit. */
function drawDifferences(
  first: Explanation,
  rows: readonly { readonly label: string; readonly score: number }[],
  { title, theme, language }: { readonly title: string; readonly theme: Theme; readonly language: Language },
): string {
  const bars = { by: 'word', kind: 'diverging', bars: rows, others: { count: 0, score: 0 } } as const;
  const drawing = barsSvg(first, bars, { width: DRAWN_WIDTH, theme, language });
  return svgDocument(drawing, { theme, title, margin: MARGIN, lang: language });
}
