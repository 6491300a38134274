/** From what a person has (a model with its files and a sentence, a picture, tensors) to an explanation. */
import { checkTensors, encodeText, loadTokenizer, takesImage, takesText } from '../inputs/core.ts';
import type { ImageEncoder, ImageSource, Pixels, TextEncoding, TextTokenizer } from '../inputs/core.ts';
import { UsageError, UserError, isStatic, sizeOf } from '../onnx/index.ts';
import type { DenseTensor, ValueInfo } from '../onnx/index.ts';
import type { ModelHost } from '../runtime/core.ts';
import {
  answersForEachPair,
  expressionScale,
  outputsNamed,
  parseTarget,
  requireTokenizer,
  similarityForm,
  topPredictions,
} from '../tasks/core.ts';
import type { ModelFolder } from '../tasks/core.ts';
import type { Explanation, TargetRef } from '../explanation/index.ts';
import { chooseOutput, numbers } from '../programs/index.ts';
import type { Reading } from '../programs/index.ts';
import { aimAtBox, aimAtOutputs, aimAtRegion } from './aim.ts';
import { attribute } from './attribute.ts';
import { baselineName, resolveBaseline } from './baselines.ts';
import type { Baseline } from './baselines.ts';
import { checkOneRow } from './check.ts';
import { findMethod } from './methods/index.ts';
import type { AttributeRequest, BuiltTarget, WeightedTarget } from './request.ts';
import { describeSubject, modalityOf, pictureOf, subjectWarnings, textOf } from './subject.ts';
import type { Encoded, Subject } from './subject.ts';

export interface ExplainOptions extends Pick<
  AttributeRequest,
  'method' | 'options' | 'output' | 'layer' | 'neuron' | 'groups' | 'signal' | 'onProgress' | 'memoryBudget'
> {
  /**
   * A label, indices into the output after the batch axis (`3`, `0,5`), a difference `a-b`, or a sum such as
   * `logprob(0,5) + logprob(1,7)` (see `parseTarget`); weights of the output's elements; or what a function makes of the
   * output. Default: the best answer.
   */
  readonly target?: string | WeightedTarget | BuiltTarget;
  /** Default: `pad` for text where the tokenizer has one, `zero` otherwise. */
  readonly baseline?: Baseline;
  /** A box of a detector's answer, best first: its class score, or with `target` its objectness or a coordinate. */
  readonly box?: number;
  /** A place of the picture in pixels: the region of one class around it, of a segmentation model's answer. */
  readonly region?: readonly [number, number];
  /**
   * For a model that gives embeddings of a picture and a text: what their cosine is multiplied by before a softmax over texts
   * (CLIP: 100). Default: the cosine itself is explained, and several texts share no softmax.
   */
  readonly logitScale?: number;
  /** Of what has chance in it, such as the `noise` baseline. Default 0. */
  readonly seed?: number;
}

export interface Explained {
  readonly explanation: Explanation;
  /** For a picture: the picture to draw on, at most 1024 pixels on its longer side. */
  readonly picture?: Pixels;
}

/** A model with the files beside it, open for explanations; the room's doors have its `open`. Release it when done. */
export class ExplainableModel {
  readonly folder: ModelFolder;
  readonly host: ModelHost;
  readonly #encodeImage: ImageEncoder;
  #tokenizer: TextTokenizer | undefined;

  /** `encodeImage` reads pictures as the place this runs in can: the one of inputs/ in Node or in a browser. */
  constructor(folder: ModelFolder, host: ModelHost, encodeImage: ImageEncoder) {
    this.folder = folder;
    this.host = host;
    this.#encodeImage = encodeImage;
  }

  get inputs(): readonly ValueInfo[] {
    return this.host.original.graph.inputs;
  }

  /** Explains one answer. Throws a UserError that says what is wrong with the subject, target, baseline or options. */
  async explain(subject: Subject, options: ExplainOptions = {}): Promise<Explained> {
    const encoded = await this.encode(subject);
    const baseline = options.baseline ?? (textOf(encoded)?.neutral.pad === undefined ? 'zero' : 'pad');
    const { labels } = this.folder;
    const { target } = options;
    const aim = await this.#aim(encoded, options);
    checkNeuron(options);
    const { explanation, answer } = await attribute(this.host, {
      ...options,
      inputs: encoded.tensors,
      scale: typeof target === 'string' && options.box === undefined ? expressionScale(target) : undefined,
      ...aim,
      target:
        aim.target ??
        (typeof target === 'object'
          ? target
          : (this.#given(target, options) ?? ((output) => parseTarget(target, output, labels)))),
      baseline: resolveBaseline(encoded, baseline, options.seed ?? 0, this.inputs),
      baselineName: baselineName(baseline, encoded),
      modality: modalityOf(encoded),
    });
    const predictions =
      options.neuron === undefined && aim.target === undefined ? this.#predictions(explanation.output, answer) : {};
    const warnings = [...explanation.warnings, ...subjectWarnings(encoded)];
    // A picture of noise is another with another seed.
    const drawn = baseline === 'noise' ? { options: { ...explanation.options, seed: options.seed ?? 0 } } : {};
    const described = {
      ...explanation,
      ...drawn,
      ...describeSubject(encoded, aim.detection),
      ...predictions,
      warnings,
    };
    const picture = pictureOf(encoded)?.preview;
    return picture === undefined ? { explanation: described } : { explanation: described, picture };
  }

  /**
   * How alike a picture is to each of several texts, each explained by itself. In `predictions` stand, with two texts and more, the
   * shares a softmax gives them, where the model scales its similarities for one; of a model that answers for each pair by itself
   * (SigLIP) the probability of each.
   */
  async explainTexts(
    image: ImageSource,
    texts: readonly string[],
    options: ExplainOptions = {},
  ): Promise<readonly Explained[]> {
    const explained: Explained[] = [];
    for (const text of texts) explained.push(await this.explain({ image, text }, options));
    const { output: compared, with: other } = similarityForm(this.host.model.graph.outputs, options.output);
    const apart = answersForEachPair(this.host.model, compared, this.folder.config);
    // A cosine lacks the scale of a softmax, or the bias of a sigmoid.
    if (other !== undefined && (apart || options.logitScale === undefined)) return explained;
    if (texts.length < 2 && !apart) return explained;
    const values = Float32Array.from(explained, ({ explanation: { value } }) =>
      apart ? 1 / (1 + Math.exp(-value)) : value,
    );
    const answer: DenseTensor = { type: 'float32', dims: [1, values.length], data: values };
    const predictions = topPredictions(answer, texts, texts.length, !apart);
    return explained.map((each) => ({ ...each, explanation: { ...each.explanation, predictions } }));
  }

  async release(): Promise<void> {
    await this.host.release();
  }

  /** Each label of a sigmoid stands by itself: its value is its probability. */
  #predictions(output: string, answer: DenseTensor): Pick<Explanation, 'predictions'> {
    const maker = this.host.model.graph.nodes.find(({ outputs }) => outputs.includes(output));
    return predictionsOf(answer, this.folder.labels, maker?.operator !== 'Sigmoid');
  }

  /** What --box, --region or a target over several outputs ask for, in place of a target in the first output. */
  async #aim(
    encoded: Encoded,
    { box, region, target, neuron, output, logitScale: scale }: ExplainOptions,
  ): Promise<Partial<Pick<AttributeRequest, 'output' | 'unbatched' | 'reading' | 'target' | 'detection'>>> {
    if (encoded.kind === 'image-text') {
      if (box !== undefined || region !== undefined || target !== undefined)
        throw new UsageError(
          'a picture and a text are explained by how alike they are: leave --target, --box and --region out',
        );
      const { output: compared, with: other } = similarityForm(this.host.model.graph.outputs, output);
      if (other === undefined && scale !== undefined)
        throw new UsageError(`"${compared}" is scaled by the model itself: leave --logit-scale out`);
      const reading: Reading =
        other === undefined
          ? { kind: 'diagonal' }
          : { kind: 'cosine', with: other, ...(scale === undefined ? {} : { scale }) };
      return neuron === undefined
        ? { output: compared, reading, target: { label: encoded.text.texts[0]!, indices: [0] } }
        : { output: compared };
    }
    if (scale !== undefined)
      throw new UsageError('--logit-scale is for a picture compared with texts: give --image and --text');
    if (box === undefined && region === undefined) {
      const outputs = this.host.model.graph.outputs.map(({ name }) => name);
      const named = typeof target === 'string' ? outputsNamed(target, outputs) : [];
      if (named.length === 0 || typeof target !== 'string') return {};
      if (output !== undefined) throw new UsageError(`--target names its output "${named[0]}": leave --output out`);
      return aimAtOutputs(this.host, encoded.tensors, target, named);
    }
    if (box !== undefined && region !== undefined) throw new UsageError('give --box or --region, not both');
    if (neuron !== undefined) throw new UsageError('--neuron is explained in place of a box or region: leave one out');
    const { labels } = this.folder;
    if (box !== undefined) {
      if (typeof target === 'object') throw new UsageError('a box has its own target: give a part of it by name');
      const part = target === undefined ? {} : { part: target };
      return aimAtBox(this.host, encoded.tensors, modalityOf(encoded), { box, labels, ...part });
    }
    if (target !== undefined) throw new UsageError('--region says what is explained: leave --target out');
    if (encoded.kind !== 'image') throw new UserError('--region is a place of a picture: give it with --image');
    const { crop, layout } = encoded.encoding;
    const at = { x: (region![0] + 0.5 - crop.x) / crop.width, y: (region![1] + 0.5 - crop.y) / crop.height };
    const { dims } = encoded.tensors[encoded.encoding.input]!;
    const aspect = layout === 'NCHW' ? dims[3]! / dims[2]! : dims[2]! / dims[1]!;
    return { target: (answer) => aimAtRegion(answer, at, { layout, aspect }, labels) };
  }

  /** A target that needs no look at the answer: it was named, and the output's dims stand in the model. */
  #given(target: string | undefined, { output, neuron }: ExplainOptions): TargetRef | undefined {
    const name = chooseOutput(this.host.model, output);
    const dims = this.host.model.graph.outputs.find((info) => info.name === name)?.dims?.slice(1);
    if (!target?.trim() || neuron !== undefined || !isStatic(dims)) return undefined;
    const shape = [1, ...dims];
    return parseTarget(
      target,
      { type: 'float32', dims: shape, data: new Float32Array(sizeOf(shape)) },
      this.folder.labels,
    );
  }

  /**
   * The model's inputs for a subject, with a batch of 1, and the way back from them to characters and pixels.
   * Throws a UserError for a text without a tokenizer, a broken picture, or tensors that do not suit the model.
   */
  async encode(subject: Subject): Promise<Encoded> {
    const both = takesText(this.inputs) && takesImage(this.inputs);
    if (both && 'text' in subject !== 'image' in subject && !('tensors' in subject))
      throw new UserError('the model takes a picture and a text: give --image and --text');
    if ('text' in subject && 'image' in subject) {
      const pictures = this.inputs.filter(({ dims }) => dims?.length === 4);
      const others = this.inputs.filter((input) => !pictures.includes(input));
      const image = await this.#encodeImage(subject.image, pictures, this.folder.preprocessor);
      const text = this.#encodeTexts([subject.text], others);
      return { kind: 'image-text', image, text, tensors: { ...image.tensors, ...text.tensors } };
    }
    if ('text' in subject) {
      const texts = subject.pair === undefined ? [subject.text] : [subject.text, subject.pair];
      const encoding = this.#encodeTexts(texts, this.inputs);
      return { kind: 'text', encoding, tensors: encoding.tensors };
    }
    if ('image' in subject) {
      const encoding = await this.#encodeImage(subject.image, this.inputs, this.folder.preprocessor);
      return { kind: 'image', encoding, tensors: encoding.tensors };
    }
    checkTensors(subject.tensors, this.inputs);
    checkOneRow(subject.tensors);
    return { kind: 'tensors', tensors: subject.tensors };
  }

  #encodeTexts(texts: readonly string[], inputs: readonly ValueInfo[]): TextEncoding {
    this.#tokenizer ??= loadTokenizer(requireTokenizer(this.folder));
    return encodeText(this.#tokenizer, texts, inputs, this.folder.config ? { config: this.folder.config } : {});
  }
}

/** A neuron is explained in the output's place; only methods that go from the output through it take both. */
function checkNeuron({ method, neuron, target, output }: ExplainOptions): void {
  if (neuron === undefined || (target === undefined && output === undefined)) return;
  const { name, layers } = typeof method === 'object' ? method : findMethod(method);
  if (layers === 'as-inputs')
    throw new UsageError(
      `${name} with --neuron explains the neuron, not the output: leave --target and --output out, or use neuron-conductance, which goes through the neuron to the target`,
    );
}

/** The best classes, for an output that is one row of them; `shares` says that a softmax makes shares of it. */
function predictionsOf(
  answer: DenseTensor,
  labels: readonly string[] | undefined,
  shares: boolean,
): Pick<Explanation, 'predictions'> {
  if (answer.dims.length !== 2 || answer.dims[1]! < 2) return {};
  const row = Array.from(numbers(answer));
  const probabilities =
    row.every((value) => value >= 0 && value <= 1) && Math.abs(row.reduce((left, right) => left + right, 0) - 1) < 1e-3;
  return { predictions: topPredictions(answer, labels, 5, shares && !probabilities) };
}
