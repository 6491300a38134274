import type { Inspected, ModelSummary } from '../../engine/engine.ts';
import { useFrame, useHistory, useJob, useWords } from '../../frame/context.ts';
import { takeFiles } from '../../frame/drop.tsx';
import { sharedParams, writeAddress } from '../../frame/state.ts';
import { Icon } from '../../frame/top-bar.tsx';
import { WORDS } from '../../frame/words.ts';
import { Failure } from '../../parts/failure.tsx';
import { GraphView, dimsText } from './graph-view.tsx';
import { HubField } from './hub-field.tsx';
import { MODEL_WORDS } from './words.ts';

type Words = (typeof MODEL_WORDS)['en'];

/** What models there are, and what each of them is: inputs, outputs, operators, attention, the graph. */
export default function ModelRoom() {
  const { engine, models, state, language, drop, removeModel } = useFrame();
  const words = useWords(MODEL_WORDS);
  const chosen = useHistory().state.params['model'];
  const model = models.find(({ id }) => id === chosen) ?? models[0];
  const { value, error, stale, retry } = useJob(
    model?.id,
    WORDS[language].opening(model?.name ?? ''),
    async (control) => ({
      // Beside its answer: until the next one has come, what is shown is of the model asked about before.
      of: model!,
      inspected: await engine.inspect(model!.id, control),
    }),
  );
  return (
    <div class="split">
      <section class="side" aria-label={words.models}>
        <ul class="model-list">
          {models.map((each) => (
            <li key={each.id}>
              <button
                type="button"
                aria-pressed={each.id === model?.id}
                onClick={() => state.change({ model: each.id, target: undefined })}
              >
                <bdi>{each.name}</bdi>
                <span>
                  {words.tasks[each.task]} · {words.origin[each.origin]}
                </span>
              </button>
              {(each.origin === 'dropped' || each.origin === 'hub') && (
                <button
                  type="button"
                  class="icon"
                  aria-label={words.remove(each.name)}
                  title={words.remove(each.name)}
                  onClick={() => removeModel(each)}
                >
                  <Icon path="M7 7l10 10M17 7L7 17" />
                </button>
              )}
            </li>
          ))}
        </ul>
        <div class="drop-zone">
          <p>{words.drop}</p>
          <p class="hint">{words.dropHint}</p>
          <label class="file">
            <span>{words.choose}</span>
            <input
              type="file"
              multiple
              accept=".onnx,.json,.data,.bin,.onnx_data"
              onChange={(event) => drop(takeFiles(event.currentTarget))}
            />
          </label>{' '}
          <label class="file">
            <span>{words.chooseFolder}</span>
            <input
              type="file"
              ref={(input) => input?.setAttribute('webkitdirectory', '')}
              onChange={(event) =>
                drop(
                  takeFiles(event.currentTarget).filter(
                    ({ name }) => !name.startsWith('.') && !/\.(md|txt)$/i.test(name),
                  ),
                )
              }
            />
          </label>
        </div>
        <HubField />
      </section>
      <section aria-label={words.facts} aria-busy={stale} class={stale && value !== undefined ? 'stale-room' : ''}>
        {error !== undefined && <Failure error={error} onRetry={retry} />}
        {model === undefined || value === undefined ? (
          error === undefined && <div class="skeleton tall" role="status" aria-label={WORDS[language].waiting} />
        ) : (
          <Facts model={value.of} inspected={value.inspected} words={words} />
        )}
      </section>
    </div>
  );
}

function Facts({
  model,
  inspected: { inspection, graph },
  words,
}: {
  readonly model: ModelSummary;
  readonly inspected: Inspected;
  readonly words: Words;
}) {
  const { language } = useFrame();
  const { attention, differentiable } = inspection;
  const operators = Object.entries(inspection.operators).sort(([, a], [, b]) => b - a);
  const most = operators[0]?.[1] ?? 1;
  const missing = [...new Set(differentiable.missing.map(({ operator }) => operator))];
  const number = (value: number): string => value.toLocaleString(language === 'zh' ? 'zh-CN' : 'en');
  const { engine } = sharedParams(useHistory().state.params);
  const go = (room: string): string =>
    writeAddress({ room, params: { model: model.id, ...(engine === undefined ? {} : { engine }) } });
  const text = model.task === 'text-classification';
  return (
    <>
      <div class="cards">
        <article class="card">
          <header>
            <h2>
              <bdi>{model.name}</bdi>
            </h2>
          </header>
          <p class="links">
            {text && <a href={go('text')}>{words.openText}</a>}
            {text && attention.length > 0 && <a href={go('attention')}>{words.openAttention}</a>}
            {(model.task === 'image-classification' || model.task === 'image-text') && (
              <a href={go('images')}>{words.openImages}</a>
            )}
          </p>
          <dl class="facts">
            <Fact name={words.task} value={words.tasks[model.task]} />
            <Fact name={words.parameters} value={number(inspection.parameters)} />
            <Fact name={words.bytes} value={`${number(Math.round(inspection.bytes / 1e4) / 100)} MB`} />
            <Fact name={words.opset} value={String(inspection.opset)} />
            <Fact name={words.ir} value={String(inspection.irVersion)} />
            <Fact name={words.producer} value={inspection.producer || words.unnamed} />
            <Fact name={words.attention} value={words.blocks(attention.length)} />
            <Fact
              name={words.differentiable}
              value={
                missing.length === 0
                  ? words.allNodes(differentiable.covered)
                  : words.missing(differentiable.covered, missing.join(', '))
              }
            />
          </dl>
          <h4>{words.inputs}</h4>
          <Values values={inspection.inputs} />
          <h4>{words.outputs}</h4>
          <Values values={inspection.outputs} />
        </article>
        <article class="card">
          <header>
            <h2>{words.operators}</h2>
          </header>
          <table class="bars operators" aria-label={words.operators}>
            <tbody>
              {operators.map(([name, count]) => (
                <tr key={name}>
                  <th scope="row">{name}</th>
                  <td class="bar">
                    <svg viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">
                      <rect y="2" width={(count / most) * 100} height="6" class="count" />
                    </svg>
                  </td>
                  <td class="number">{count}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </article>
      </div>
      <GraphView key={model.id} graph={graph} model={model} />
    </>
  );
}

function Fact({ name, value }: { readonly name: string; readonly value: string }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </div>
  );
}

function Values({ values }: { readonly values: Inspected['inspection']['inputs'] }) {
  return (
    <ul class="values">
      {values.map(({ name, type, dims }) => (
        <li key={name}>
          <code>{name}</code> {type} {dimsText(dims)}
        </li>
      ))}
    </ul>
  );
}
