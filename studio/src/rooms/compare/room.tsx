import { useEffect, useMemo } from 'preact/hooks';
import type { ModelSummary } from '../../engine/engine.ts';
import { useFrame, useHistory, useModel, useParam, useWords } from '../../frame/context.ts';
import { readChoice } from '../../frame/params.ts';
import { WORDS } from '../../frame/words.ts';
import { Answers } from '../../parts/answers.tsx';
import { ModelPicker } from '../../parts/model-picker.tsx';
import { PicturePicker } from '../../parts/picture-picker.tsx';
import { usePicture } from '../../parts/use-picture.ts';
import type { LoadedPicture } from '../../parts/use-picture.ts';
import { Differences } from './differences.tsx';
import { Side } from './side.tsx';
import { sharedScale, useSide } from './sides.ts';
import type { Asked } from './sides.ts';
import { COMPARE_WORDS } from './words.ts';

const suitsText = ({ task, texts }: ModelSummary): boolean => task === 'text-classification' || texts.length > 0;
const suitsPicture = ({ task }: ModelSummary): boolean => task === 'image-classification';
const suits = (model: ModelSummary): boolean => suitsText(model) || suitsPicture(model);
const MODES = ['inputs', 'models'] as const;
const DEFAULT_METHOD = 'input-x-gradient';

/** Two texts or two pictures by one model, or one of them by two models, on one scale; of texts also what differs most. */
export default function CompareRoom() {
  const { studio, models, state, language, pictureDrop } = useFrame();
  const words = useWords(COMPARE_WORDS);
  const model = useModel(suits);
  const ofPictures = model !== undefined && suitsPicture(model);
  const kind = ofPictures ? 'picture' : 'text';
  const { params } = useHistory().state;
  const [givenMode, setMode] = useParam('compare', 'inputs');
  const mode = readChoice(givenMode, MODES, 'inputs');
  const [givenMethod, setMethod] = useParam('method', DEFAULT_METHOD);
  const suited = studio.methods.filter(({ layers }) =>
    ofPictures ? layers !== 'needs-layer' : layers === 'as-inputs' || layers === 'none',
  );
  const method = readChoice(
    givenMethod,
    suited.map(({ name }) => name),
    DEFAULT_METHOD,
  );
  const [text, setText] = useParam('text', model?.texts[0] ?? '');
  const [other, setOther] = useParam('text2', model?.texts[1] ?? '');
  const pictures = [params['picture'] ?? model?.pictures[0], params['picture2'] ?? model?.pictures[1]] as const;
  const first = usePicture(ofPictures ? pictures[0] : undefined);
  const second = usePicture(ofPictures && mode === 'inputs' ? pictures[1] : undefined);
  const sameKind = ofPictures ? suitsPicture : suitsText;
  const named = models.find(({ id }) => id === params['model2']);
  const beside = mode === 'models' && named !== undefined && sameKind(named) ? named : model;
  const shown = [first.picture, mode === 'models' ? first.picture : second.picture] as const;
  const ask = (of: ModelSummary | undefined, words: string, picture: LoadedPicture | undefined): Asked | undefined =>
    of && (ofPictures ? askOfPicture(of.id, picture) : askOfText(of.id, words));
  const target = params['target'];
  const left = useSide(ask(model, text, shown[0]), method, target);
  const right = useSide(ask(beside, mode === 'models' ? text : other, shown[1]), method, target);
  const [one, two] = [left.value, right.value].map((value) =>
    // Until the other kind has answered, what is there belongs to the kind before.
    (value?.image !== undefined) === ofPictures ? value : undefined,
  );
  const scale = useMemo(() => sharedScale([one, two]), [one, two]);
  // A picture dropped here is compared with the first; one that two models read is replaced.
  const place = mode === 'models' ? 'picture' : 'picture2';
  useEffect(() => {
    if (!ofPictures) return undefined;
    pictureDrop.taker = (id) => state.change({ [place]: id });
    return () => {
      pictureDrop.taker = undefined;
    };
  }, [ofPictures, place]);
  if (model === undefined) return <p class="empty">{WORDS[language].noModel}</p>;
  return (
    <div class="split">
      <section class="side" aria-label={words.what}>
        <div class="chips" role="group" aria-label={words.what}>
          {MODES.map((each) => (
            <button key={each} type="button" class="chip" aria-pressed={mode === each} onClick={() => setMode(each)}>
              {each === 'models' ? words.models : words.inputs[kind]}
            </button>
          ))}
        </div>
        <ModelPicker suits={suits} model={model} {...(mode === 'models' ? { label: words.firstModel } : {})} />
        {mode === 'models' && (
          <ModelPicker suits={sameKind} model={beside} parameter="model2" label={words.secondModel} />
        )}
        {ofPictures ? (
          <>
            <PictureField parameter="picture" label={words.first} chosen={pictures[0]} of={model} />
            {mode === 'inputs' && (
              <PictureField parameter="picture2" label={words.second} chosen={pictures[1]} of={model} />
            )}
          </>
        ) : (
          <>
            <TextField label={words.first} value={text} onInput={setText} />
            {mode === 'inputs' && <TextField label={words.second} value={other} onInput={setOther} />}
          </>
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
          explanation={one}
          label={words.answers}
          hint={words.targetNote}
          onChoose={(next) => state.change({ target: next })}
        />
        <p class="hint">{words.targetNote}</p>
      </section>
      <section aria-label={words.what}>
        {one !== undefined && two !== undefined && one.target.label !== two.target.label && (
          <p class="notice">{words.other}</p>
        )}
        {ofPictures && (first.failed || second.failed || pictures.includes(undefined)) && (
          <p class="notice">{words.noPicture}</p>
        )}
        <div class="cards">
          <Side title={words.first} result={{ ...left, value: one }} scale={scale} picture={shown[0]?.pixels} />
          <Side title={words.second} result={{ ...right, value: two }} scale={scale} picture={shown[1]?.pixels} />
        </div>
        {one !== undefined && two !== undefined && !ofPictures && <Differences first={one} second={two} />}
      </section>
    </div>
  );
}

function askOfText(model: string, text: string): Asked | undefined {
  return text.trim() === '' ? undefined : { model, id: text, subject: { kind: 'text', text } };
}

function askOfPicture(model: string, picture: LoadedPicture | undefined): Asked | undefined {
  return picture && { model, id: picture.id, subject: { kind: 'picture', data: picture.blob } };
}

function TextField({
  label,
  value,
  onInput,
}: {
  readonly label: string;
  readonly value: string;
  readonly onInput: (text: string) => void;
}) {
  return (
    <label class="field">
      <span>{label}</span>
      <textarea rows={5} value={value} spellcheck={false} onInput={(event) => onInput(event.currentTarget.value)} />
    </label>
  );
}

function PictureField({
  parameter,
  label,
  chosen,
  of,
}: {
  readonly parameter: string;
  readonly label: string;
  readonly chosen: string | undefined;
  readonly of: ModelSummary;
}) {
  const { state, keepPicture } = useFrame();
  const words = useWords(COMPARE_WORDS);
  return (
    <div class="field">
      <span>{label}</span>
      <PicturePicker
        pictures={of.pictures}
        chosen={chosen}
        words={{ pictures: label, choose: words.choose }}
        onChoose={(address) => state.change({ [parameter]: address })}
        onFiles={([file]) => file && state.change({ [parameter]: keepPicture(file) })}
      />
    </div>
  );
}
