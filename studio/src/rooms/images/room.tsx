import { useState } from 'preact/hooks';
import { formatPercent } from 'onnxray/views';
import type { Explanation, ModelSummary } from '../../engine/engine.ts';
import { useFrame, useHistory, useModel, useParam, useWords } from '../../frame/context.ts';
import { explanationsOf, hasTurn, withOutcome } from '../../frame/outcomes.ts';
import type { Outcomes } from '../../frame/outcomes.ts';
import { readChoice, readNames, readPercent } from '../../frame/params.ts';
import { WORDS } from '../../frame/words.ts';
import { Answers } from '../../parts/answers.tsx';
import { MethodChooser } from '../../parts/method-chooser.tsx';
import { ModelPicker } from '../../parts/model-picker.tsx';
import { PicturePicker } from '../../parts/picture-picker.tsx';
import { usePicture } from '../../parts/use-picture.ts';
import { readBox } from './box.ts';
import { boxArea } from './box-scores.ts';
import { LIVE_METHOD, LiveCard } from './live-card.tsx';
import { PictureCard } from './picture-card.tsx';
import { IMAGE_WORDS } from './words.ts';

const suits = ({ task }: ModelSummary): boolean => task === 'image-classification' || task === 'image-text';
const DEFAULT_METHODS = 'grad-cam,saliency,input-x-gradient,lrp-epsilon-plus';
const SHOWN = ['overlay', 'heat'] as const;
/** Cheapest first. */
const ORDER = ['grad-cam', 'saliency', 'input-x-gradient', 'guided-backprop', 'deconvnet', 'lrp-epsilon-plus'];

/** What in a picture made the answer, by several methods in a grid. */
export default function ImageRoom() {
  const { studio, state, language, drop } = useFrame();
  const words = useWords(IMAGE_WORDS);
  const model = useModel(suits);
  const { params } = useHistory().state;
  const id = params['picture'] ?? model?.pictures[0];
  const { picture, failed } = usePicture(id);
  const [chosen, setChosen] = useParam('maps', DEFAULT_METHODS);
  const [givenOpacity, setOpacity] = useParam('opacity', '100');
  const opacity = readPercent(givenOpacity, 100);
  const [givenShow, setShow] = useParam('show', 'overlay');
  const show = readChoice(givenShow, SHOWN, 'overlay');
  const [compared, setCompared] = useParam('with', words.comparedFirst);
  const [outcomes, setOutcomes] = useState<Outcomes<Explanation>>(new Map());
  // Not part of the address: a link must not start a camera.
  const [live, setLive] = useState(false);
  if (model === undefined) return <p class="empty">{WORDS[language].noModel}</p>;
  const suited = studio.methods.filter(({ layers }) => layers !== 'needs-layer');
  const methods = readNames(
    chosen,
    suited.map(({ name }) => name),
    DEFAULT_METHODS,
  );
  const available = suited.filter(({ name }) => !methods.includes(name));
  // What a picture is compared with, by models that do.
  const text = model.task === 'image-text' ? compared : undefined;
  const order = [...methods].sort((a, b) => rank(a) - rank(b));
  // Of the picture before, until this one has an answer: targets are the model's own.
  const results = explanationsOf(outcomes, { model: model.id });
  const newest = order.flatMap((name) => results.get(name) ?? [])[0];
  const box = readBox(params['box']);
  const area = box && newest?.image ? boxArea(box, newest.image) : undefined;
  return (
    <div class="split">
      <section class="side" aria-label={words.picture}>
        <ModelPicker suits={suits} model={model} />
        <h2>{words.pictures}</h2>
        <PicturePicker
          pictures={model.pictures}
          chosen={id}
          words={words}
          onChoose={(address) => state.change({ picture: address, target: undefined, box: undefined })}
          onFiles={drop}
        />{' '}
        {studio.methods.some(({ name }) => name === LIVE_METHOD) && (
          <button type="button" class="chip" aria-pressed={live} onClick={() => setLive(!live)}>
            {words.camera}
          </button>
        )}
        <p class="hint">{words.hint}</p>
        {text === undefined ? (
          <>
            <h2>{words.answers}</h2>
            <Answers
              explanation={newest}
              label={words.answers}
              hint={words.answersHint}
              onChoose={(target) => state.change({ target })}
            />
          </>
        ) : (
          <label class="field compared">
            <span>{words.compared}</span>
            <textarea
              rows={2}
              value={text}
              spellcheck={false}
              onInput={(event) => setCompared(event.currentTarget.value)}
            />
          </label>
        )}
        <h2>{words.region}</h2>
        <p class="hint">{area === undefined ? words.regionHint : words.area(formatPercent(area))}</p>
        {box !== undefined && (
          <button type="button" class="chip" onClick={() => state.change({ box: undefined })}>
            {words.clear}
          </button>
        )}
        <h2>{words.show}</h2>
        <div class="chips" role="group" aria-label={words.show}>
          {SHOWN.map((each) => (
            <button key={each} type="button" class="chip" aria-pressed={show === each} onClick={() => setShow(each)}>
              {words[each]}
            </button>
          ))}
        </div>
        <label class="field">
          <span>{words.opacity}</span>
          <input
            type="range"
            min="0"
            max="100"
            value={opacity}
            onInput={(event) => setOpacity(event.currentTarget.value)}
          />
        </label>
        <MethodChooser {...{ methods, available, words }} onChange={(names) => setChosen(names.join(','))} />
      </section>
      <section class="cards pictures" aria-label={words.methods}>
        {live && (
          <LiveCard
            model={model.id}
            target={text === undefined ? params['target'] : undefined}
            text={text}
            opacity={opacity / 100}
            onKeep={(kept) => drop([kept])}
            onStop={() => setLive(false)}
          />
        )}
        {picture === undefined ? (
          <p class="empty">{failed || id === undefined ? words.none : '…'}</p>
        ) : (
          methods.map((name) => (
            <PictureCard
              key={name}
              {...{ name, picture, box }}
              model={model.id}
              target={text === undefined ? params['target'] : undefined}
              text={text}
              opacity={opacity / 100}
              heat={show === 'heat'}
              turn={hasTurn(outcomes, order, name, model.id)}
              onSettled={(explanation) =>
                setOutcomes((all) => withOutcome(all, name, { model: model.id, subject: picture.id, explanation }))
              }
            />
          ))
        )}
      </section>
    </div>
  );
}

function rank(name: string): number {
  const at = ORDER.indexOf(name);
  return at < 0 ? ORDER.length : at;
}
