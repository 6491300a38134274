/** What the commands that explain share: their flags, what these ask for, and how an explanation is given out. */
import { ExplainableModel, findMethod } from '../attribution/index.ts';
import type { ExplainOptions, Explained } from '../attribution/index.ts';
import { serializeExplanation } from '../explanation/index.ts';
import { readImage } from '../inputs/index.ts';
import { UsageError, UserError } from '../onnx/index.ts';
import type { Method, OptionValue } from '../programs/index.ts';
import { encodeNpy, encodePng, explanationAnsi, imageView, renderExplanation, terminalColor } from '../views/index.ts';
import type { ImageView, Language } from '../views/index.ts';
import type { RuntimeFlags, SubjectFlags } from './flags.ts';
import { hostOptions, readBaseline, readFeatureMask, readNeuron, readPlace } from './flags.ts';
import { checkPlace, fileFormat, interruptSignal, progressLine } from './output.ts';

export interface ExplainFlags extends SubjectFlags, RuntimeFlags {
  readonly method: string;
  readonly output?: string;
  readonly target?: string;
  readonly baseline?: string;
  readonly featureMask?: string;
  readonly layer?: string;
  readonly neuron?: string;
  readonly box?: number;
  readonly region?: string;
  readonly logitScale?: number;
  readonly option?: Readonly<Record<string, OptionValue>>;
  readonly seed: number;
  readonly out?: string;
  readonly json?: boolean;
  readonly view: ImageView;
  readonly scale: 'shared' | 'own';
  readonly fullSize?: boolean;
  readonly curves?: string;
  readonly language: Language;
}

const FORMATS = ['html', 'svg', 'png', 'json', 'npy'] as const;
export type FileFormat = (typeof FORMATS)[number];

/** The methods of --method, one or several with commas between. Throws a UsageError for one there is not, or twice. */
export function readMethods(names: string): readonly Method[] {
  const methods = names.split(',').map((name) => findMethod(name.trim()));
  const twice = methods.find((method, at) => methods.indexOf(method) !== at);
  if (twice !== undefined) throw new UsageError(`--method names ${twice.name} twice`);
  return methods;
}

/** What a run is given beside its own work. */
export interface Bench {
  readonly model: ExplainableModel;
  readonly signal: AbortSignal;
  readonly progress: ReturnType<typeof progressLine>;
}

/** The format of --out, once it is known that it can be written there. */
export async function outFormat({ out }: ExplainFlags): Promise<FileFormat | undefined> {
  if (out === undefined) return undefined;
  const format = fileFormat(out, FORMATS);
  await checkPlace(out);
  return format;
}

/** Opens a model for some work, and releases it when that is done or has failed. */
export async function withModel(
  location: string,
  flags: ExplainFlags,
  work: (bench: Bench) => Promise<void>,
): Promise<void> {
  const model = await ExplainableModel.open(location, hostOptions(flags));
  const progress = progressLine(flags.method, flags.quiet ?? false);
  try {
    await work({ model, signal: interruptSignal(), progress });
  } finally {
    progress.clear();
    await model.release();
  }
}

/** What the flags say, but the method and the subject. */
export function explainOptions(flags: ExplainFlags, model: ExplainableModel): ExplainOptions {
  const { target, output, seed, option } = flags;
  return {
    options: option ?? {},
    seed,
    ...(target === undefined ? {} : { target }),
    ...(output === undefined ? {} : { output }),
    ...(flags.layer === undefined ? {} : { layer: flags.layer }),
    ...(flags.neuron === undefined ? {} : { neuron: readNeuron(flags.neuron) }),
    ...(flags.box === undefined ? {} : { box: flags.box }),
    ...(flags.region === undefined ? {} : { region: readPlace(flags.region) }),
    ...(flags.logitScale === undefined ? {} : { logitScale: flags.logitScale }),
    ...(flags.baseline === undefined ? {} : { baseline: readBaseline(flags.baseline, model.inputs) }),
    ...(flags.featureMask === undefined ? {} : { groups: readFeatureMask(flags.featureMask, model.inputs) }),
  };
}

/** An explanation as the content of a file. With --full-size pictures are drawn in their own resolution, and .png is the picture alone. */
export async function renderFile(
  { explanation, picture: preview }: Explained,
  format: FileFormat,
  { language, view, fullSize, image }: ExplainFlags,
): Promise<string | Uint8Array> {
  if (format === 'npy') return encodeNpy(onlyScores(explanation));
  if (format === 'json') return `${serializeExplanation(explanation)}\n`;
  const large = fullSize === true && image !== undefined;
  const picture = large ? await readImage(image) : preview;
  if (large && format === 'png') {
    const drawn = imageView(explanation, { picture: picture!, view });
    if (drawn === undefined) throw new UserError('there is no map of scores to draw over the picture');
    return encodePng(drawn);
  }
  const side = large ? { side: Math.max(picture!.width, picture!.height) } : {};
  const options = { language, view, ...side, ...(picture === undefined ? {} : { picture }) };
  return format === 'png'
    ? renderExplanation(explanation, { format, ...options })
    : renderExplanation(explanation, { format, ...options });
}

/** The one tensor of scores there is. */
function onlyScores({ attributions }: Explained['explanation']) {
  const all = Object.entries(attributions);
  if (all.length !== 1)
    throw new UserError(
      `a .npy file holds one tensor, but there are scores of ${all.map(([name]) => `"${name}"`).join(', ')}; write .json`,
    );
  return all[0]![1];
}

export function terminalView({ explanation, picture }: Explained, language: Language): string {
  const color = terminalColor(process.env, process.stdout.isTTY === true);
  const width = process.stdout.columns || 80;
  const text = explanationAnsi(explanation, { color, width, language, ...(picture === undefined ? {} : { picture }) });
  return text.endsWith('\n') ? text : `${text}\n`;
}
