import path from 'node:path';
import { Option } from 'commander';
import type { Command } from 'commander';
import { ExplainableModel, METHODS, findMethod } from '../../attribution/index.ts';
import type { Explained } from '../../attribution/index.ts';
import type { OptionValue } from '../../programs/index.ts';
import { SURROGATES } from '../../surrogates/index.ts';
import { serializeExplanation } from '../../explanation/index.ts';
import { UsageError } from '../../onnx/index.ts';
import { explanationAnsi, renderExplanation, terminalColor } from '../../views/index.ts';
import type { Language } from '../../views/index.ts';
import type { RuntimeFlags, SubjectFlags } from '../flags.ts';
import {
  addRuntimeFlags,
  addSubjectFlags,
  collectOption,
  hostOptions,
  readBaseline,
  readNeuron,
  readPlace,
  readSubject,
  wholeNumber,
} from '../flags.ts';
import { checkPlace, interruptSignal, progressLine, writeWhole } from '../output.ts';

interface ExplainFlags extends SubjectFlags, RuntimeFlags {
  readonly method: string;
  readonly output?: string;
  readonly target?: string;
  readonly baseline?: string;
  readonly layer?: string;
  readonly neuron?: string;
  readonly box?: number;
  readonly region?: string;
  readonly option?: Readonly<Record<string, OptionValue>>;
  readonly seed: number;
  readonly out?: string;
  readonly json?: boolean;
  readonly language: Language;
}

/** Every method there is. */
const ALL_METHODS = [...METHODS, ...SURROGATES];

const FORMATS = ['html', 'svg', 'png', 'json'] as const;
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
      'a label, indices after the batch axis ("3", "0,5"), or a difference "a-b" (default: the best answer)',
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
    .option('--option <key=value>', 'an option of the method; may be repeated', collectOption)
    .option('--seed <n>', 'seed of what has chance in it', wholeNumber, 0)
    .option('--out <file>', 'write .html, .svg, .png or .json')
    .option('--json', 'print one JSON document')
    .addOption(new Option('--language <code>', 'of what is shown').choices(['en', 'zh']).default('en'));
  addRuntimeFlags(command)
    .addHelpText(
      'after',
      `\nMethods:\n${ALL_METHODS.map(describeMethod).join('\n')}\n\nExamples:
  onnxray explain zoo/text-spam --text "Claim your free prize now"
  onnxray explain zoo/image-imagenet --image cat.jpg --target "tabby" --out why.png
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
  // What can be refused without a model is refused first.
  const method = findMethod(flags.method, ALL_METHODS);
  const format = flags.out === undefined ? undefined : fileFormat(flags.out);
  if (flags.out !== undefined) await checkPlace(flags.out);
  const model = await ExplainableModel.open(location, hostOptions(flags));
  const progress = progressLine(flags.method, flags.quiet ?? false);
  try {
    const { target, output, seed, option } = flags;
    const explained = await model.explain(readSubject(flags, model.inputs), {
      method,
      options: option ?? {},
      seed,
      signal: interruptSignal(),
      onProgress: progress,
      ...(target === undefined ? {} : { target }),
      ...(output === undefined ? {} : { output }),
      ...(flags.layer === undefined ? {} : { layer: flags.layer }),
      ...(flags.neuron === undefined ? {} : { neuron: readNeuron(flags.neuron) }),
      ...(flags.box === undefined ? {} : { box: flags.box }),
      ...(flags.region === undefined ? {} : { region: readPlace(flags.region) }),
      ...(flags.baseline === undefined ? {} : { baseline: readBaseline(flags.baseline, model.inputs) }),
    });
    progress.clear();
    if (format !== undefined) await writeWhole(flags.out!, await renderFile(explained, format, flags.language));
    if (flags.json) process.stdout.write(`${serializeExplanation(explained.explanation)}\n`);
    else if (format === undefined) process.stdout.write(terminalView(explained, flags.language));
    else process.stdout.write(`wrote ${flags.out}\n`);
  } finally {
    progress.clear();
    await model.release();
  }
}

function fileFormat(file: string): FileFormat {
  const extension = path.extname(file).slice(1).toLowerCase();
  const format = FORMATS.find((each) => each === extension);
  if (format === undefined)
    throw new UsageError(`cannot tell the format of "${file}": name it .html, .svg, .png or .json`);
  return format;
}

function renderFile(
  { explanation, picture }: Explained,
  format: FileFormat,
  language: Language,
): Promise<string | Uint8Array> {
  if (format === 'json') return Promise.resolve(`${serializeExplanation(explanation)}\n`);
  const options = { language, ...(picture === undefined ? {} : { picture }) };
  return format === 'png'
    ? renderExplanation(explanation, { format, ...options })
    : renderExplanation(explanation, { format, ...options });
}

export function terminalView({ explanation, picture }: Explained, language: Language): string {
  const color = terminalColor(process.env, process.stdout.isTTY === true);
  const width = process.stdout.columns || 80;
  const text = explanationAnsi(explanation, { color, width, language, ...(picture === undefined ? {} : { picture }) });
  return text.endsWith('\n') ? text : `${text}\n`;
}
