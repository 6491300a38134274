import path from 'node:path';
import { Option } from 'commander';
import type { Command } from 'commander';
import { ALL_METHODS, ExplainableModel, findMethod } from '../../attribution/index.ts';
import type { ExplainOptions, Explained } from '../../attribution/index.ts';
import type { OptionValue } from '../../programs/index.ts';
import { serializeExplanation } from '../../explanation/index.ts';
import { UsageError, UserError } from '../../onnx/index.ts';
import {
  IMAGE_VIEWS,
  contactSheet,
  encodeNpy,
  encodePng,
  explanationAnsi,
  figuresSvg,
  renderExplanation,
  renderReport,
  svgToPng,
  terminalColor,
  terminalSafe,
} from '../../views/index.ts';
import type { ImageView, Language, SheetRow } from '../../views/index.ts';
import type { RuntimeFlags, SubjectFlags } from '../flags.ts';
import {
  addRuntimeFlags,
  addSubjectFlags,
  collectOption,
  hostOptions,
  positiveNumber,
  readBaseline,
  readNeuron,
  readPlace,
  readSubject,
  wholeNumber,
} from '../flags.ts';
import { checkPlace, fileFormat, interruptSignal, progressLine, writeWhole } from '../output.ts';
import { isFolder, picturesIn } from '../pictures.ts';

interface ExplainFlags extends SubjectFlags, RuntimeFlags {
  readonly method: string;
  readonly output?: string;
  readonly target?: string;
  readonly baseline?: string;
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
  readonly language: Language;
}

const FORMATS = ['html', 'svg', 'png', 'json', 'npy'] as const;
type FileFormat = (typeof FORMATS)[number];

export function addExplain(program: Command): void {
  const command = program
    .command('explain')
    .description('why a model answers as it does: scores for every token, pixel or number it was given')
    .argument('<model>', 'an .onnx file, or a folder laid out as on the Hugging Face hub');
  addSubjectFlags(command)
    .option('--method <name>', 'how to attribute; see below', 'integrated-gradients')
    .option('--output <name>', 'the output to explain (default: the first of floats)')
    .option(
      '--target <spec>',
      'a label, indices after the batch axis ("3", "0,5"), a difference "a-b", or a sum: "2*spam - ham", "sum(0:5,2)", "mean(:,1)", "logprob(0,5) + logprob(1,7)", "prob(spam)", "start_logits[7] + end_logits[9]" (default: the best answer)',
    )
    .option('--baseline <spec>', 'what to compare with: zero, pad, mask, mean, blur, noise, a number, or @FILE.json')
    .option('--layer <path>', 'score this layer instead of the inputs; "onnxray inspect" lists the paths')
    .option('--neuron <indices>', 'explain this element of --layer instead of the output ("3", "0,5")')
    .option(
      '--box <n>',
      'explain this box of a detector, best first; --target: objectness or a coordinate',
      wholeNumber,
    )
    .option('--region <x,y>', 'explain the region around this pixel of the picture, of a segmentation model')
    .option(
      '--logit-scale <n>',
      "what the cosine of a picture's and a text's embedding is multiplied by (CLIP: 100)",
      positiveNumber,
    )
    .option('--option <key=value>', 'an option of the method; may be repeated', collectOption)
    .option('--seed <n>', 'seed of what has chance in it', wholeNumber, 0)
    .option(
      '--out <file>',
      'write .html, .svg, .png, .json, or the scores alone as .npy; of a folder of pictures a sheet',
    )
    .addOption(
      new Option(
        '--view <name>',
        'how a picture is drawn in .png and .svg: coloured, with contours, or what is left of it',
      )
        .choices(IMAGE_VIEWS)
        .default('overlay'),
    )
    .option('--json', 'print one JSON document')
    .addOption(new Option('--language <code>', 'of what is shown').choices(['en', 'zh']).default('en'));
  addRuntimeFlags(command)
    .addHelpText(
      'after',
      `\nMethods:\n${ALL_METHODS.map(describeMethod).join('\n')}\n\nExamples:
  onnxray explain zoo/text-spam --text "Claim your free prize now"
  onnxray explain zoo/image-imagenet --image cat.jpg --target "tabby" --out why.png
  onnxray explain clip --image cat.jpg --text "a cat" --text "a dog" --method grad-cam --out pairs.html
  onnxray explain vision_model.onnx --with text_model.onnx --image cat.jpg --text "a cat" --logit-scale 100
  onnxray explain model.onnx --inputs inputs.json --method saliency --target 1-0 --json`,
    )
    .action(run);
}

function describeMethod({ name, summary, options }: (typeof ALL_METHODS)[number]): string {
  const lines = Object.entries(options).map(
    ([key, spec]) =>
      `      --option ${key}=${spec.kind === 'choice' ? spec.choices.join('|') : spec.kind}: ${spec.help}`,
  );
  return [`  ${name}: ${summary}`, ...lines].join('\n');
}

async function run(location: string, flags: ExplainFlags): Promise<void> {
  if (flags.image !== undefined && isFolder(flags.image)) return runFolder(location, flags, flags.image);
  if (flags.image !== undefined && flags.text !== undefined && flags.text.length > 1)
    return runTexts(location, flags, flags.image, flags.text);
  // What can be refused without a model is refused first.
  const method = findMethod(flags.method);
  const format = flags.out === undefined ? undefined : fileFormat(flags.out, FORMATS);
  if (flags.out !== undefined) await checkPlace(flags.out);
  const model = await ExplainableModel.open(location, hostOptions(flags));
  const progress = progressLine(flags.method, flags.quiet ?? false);
  try {
    const explained = await model.explain(readSubject(flags, model.inputs), {
      ...explainOptions(flags, model),
      method,
      signal: interruptSignal(),
      onProgress: progress,
    });
    progress.clear();
    if (format !== undefined) await writeWhole(flags.out!, await renderFile(explained, format, flags));
    if (flags.json) process.stdout.write(`${serializeExplanation(explained.explanation)}\n`);
    else if (format === undefined) process.stdout.write(terminalView(explained, flags.language));
    else process.stdout.write(`wrote ${flags.out}\n`);
  } finally {
    progress.clear();
    await model.release();
  }
}

/** What the flags say, but the method and the subject. */
function explainOptions(flags: ExplainFlags, model: ExplainableModel): ExplainOptions {
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
  };
}

/** Explains every picture of a folder: a sheet (.png, .svg), one JSON document of a list, or a line for each. */
async function runFolder(location: string, flags: ExplainFlags, pictures: string): Promise<void> {
  const method = findMethod(flags.method);
  const format = flags.out === undefined ? undefined : fileFormat(flags.out, FORMATS);
  if (format === 'html' || format === 'npy')
    throw new UsageError(
      `a folder of pictures is drawn on one sheet, .png or .svg, or written as .json; not .${format}`,
    );
  if (flags.out !== undefined) await checkPlace(flags.out);
  const files = picturesIn(pictures);
  if (flags.text !== undefined) throw new UsageError('texts are compared with one picture: give a file with --image');
  if (flags.inputs !== undefined) throw new UsageError('give only one of --text, --image and --inputs');
  const model = await ExplainableModel.open(location, hostOptions(flags));
  const progress = progressLine(flags.method, flags.quiet ?? false);
  const signal = interruptSignal();
  try {
    const rows: SheetRow[] = [];
    for (const [at, image] of files.entries()) {
      const { explanation, picture } = await model.explain(
        { image },
        { ...explainOptions(flags, model), method, signal },
      );
      rows.push({ title: path.basename(image), picture, explanations: [explanation] });
      progress(at + 1, files.length);
    }
    progress.clear();
    const list = () => `[${rows.map(({ explanations }) => serializeExplanation(explanations[0]!)).join(',')}]\n`;
    if (format === 'json') await writeWhole(flags.out!, list());
    else if (format !== undefined) {
      const sheet = await contactSheet(rows, { view: flags.view });
      await writeWhole(flags.out!, format === 'svg' ? sheet : await svgToPng(sheet));
    }
    if (flags.json) process.stdout.write(list());
    else if (format !== undefined) process.stdout.write(`wrote ${flags.out}\n`);
    else
      for (const { title, explanations } of rows)
        process.stdout.write(
          `${terminalSafe(title)}  ${terminalSafe(explanations[0]!.target.label)}  ${explanations[0]!.value.toPrecision(5)}\n`,
        );
  } finally {
    progress.clear();
    await model.release();
  }
}

/** A picture and several texts: one figure or report of all, one JSON document of a list, or a view for each on the terminal. */
async function runTexts(location: string, flags: ExplainFlags, image: string, texts: readonly string[]): Promise<void> {
  const method = findMethod(flags.method);
  const format = flags.out === undefined ? undefined : fileFormat(flags.out, FORMATS);
  if (format === 'npy') throw new UsageError('scores for several texts are written as .json, not .npy');
  if (flags.pair !== undefined) throw new UsageError('--pair is the second of two texts: leave --image out');
  if (flags.inputs !== undefined) throw new UsageError('give only one of --text, --image and --inputs');
  if (flags.out !== undefined) await checkPlace(flags.out);
  const model = await ExplainableModel.open(location, hostOptions(flags));
  const progress = progressLine(flags.method, flags.quiet ?? false);
  try {
    const options = { ...explainOptions(flags, model), method, signal: interruptSignal(), onProgress: progress };
    const all = await model.explainTexts(image, texts, options);
    progress.clear();
    const explanations = all.map(({ explanation }) => explanation);
    const list = () => `[${explanations.map(serializeExplanation).join(',')}]\n`;
    const picture = all[0]!.picture;
    const { language } = flags;
    if (format === 'json') await writeWhole(flags.out!, list());
    else if (format === 'html') {
      const sections = explanations.map((each) => ({
        title: each.target.label,
        explanations: [each],
        ...(picture && { picture }),
      }));
      await writeWhole(flags.out!, await renderReport({ language, models: [explanations[0]!.model], sections }));
    } else if (format !== undefined) {
      const drawn = { language, view: flags.view, theme: 'light', encodePng, ...(picture && { picture }) } as const;
      const svg = await figuresSvg(explanations, drawn);
      await writeWhole(flags.out!, format === 'svg' ? svg : await svgToPng(svg));
    }
    if (flags.json) process.stdout.write(list());
    else if (format === undefined) process.stdout.write(all.map((each) => terminalView(each, language)).join('\n'));
    else process.stdout.write(`wrote ${flags.out}\n`);
  } finally {
    progress.clear();
    await model.release();
  }
}

function renderFile(
  { explanation, picture }: Explained,
  format: FileFormat,
  { language, view }: ExplainFlags,
): Promise<string | Uint8Array> {
  if (format === 'npy') return Promise.resolve(encodeNpy(onlyScores(explanation)));
  if (format === 'json') return Promise.resolve(`${serializeExplanation(explanation)}\n`);
  const options = { language, view, ...(picture === undefined ? {} : { picture }) };
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
