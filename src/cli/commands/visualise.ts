import path from 'node:path';
import { Option } from 'commander';
import type { Command } from 'commander';
import { ExplainableModel } from '../../attribution/index.ts';
import { UsageError } from '../../onnx/index.ts';
import type { OptionValue } from '../../programs/index.ts';
import { svgToPng, terminalSafe, visualisationHtml, visualisationSheet, warningText } from '../../views/index.ts';
import type { Language } from '../../views/index.ts';
import {
  FEATURE_OPTIONS,
  INVERSION_OPTIONS,
  invertLayer,
  serializeVisualisation,
  topPatches,
  visualiseFeatures,
} from '../../visualisation/index.ts';
import type { TopPatchesRequest, Visualisation, Wanted } from '../../visualisation/index.ts';
import {
  addRuntimeFlags,
  collectOption,
  hostOptions,
  optionLines,
  positiveInteger,
  readNeuron,
  wholeNumber,
} from '../flags.ts';
import type { RuntimeFlags } from '../flags.ts';
import { checkPlace, fileFormat, interruptSignal, printJson, progressLine, writeWhole } from '../output.ts';
import { picturesIn } from '../pictures.ts';

interface VisualiseFlags extends RuntimeFlags {
  readonly layer?: string;
  readonly channel?: string;
  readonly neuron?: string;
  readonly target?: string;
  readonly output?: string;
  readonly image?: string;
  readonly folder?: string;
  readonly top?: number;
  readonly option?: Readonly<Record<string, OptionValue>>;
  readonly seed: number;
  readonly out?: string;
  readonly json?: boolean;
  readonly language: Language;
}

const FORMATS = ['png', 'svg', 'html', 'json'] as const;

export function addVisualise(command: Command): void {
  command
    .argument('<model>', 'an .onnx file, or a folder laid out as on the Hugging Face hub')
    .option('--layer <path>', 'the layer to look at; "onnxray inspect" lists the paths')
    .option('--channel <list>', 'channels of --layer, such as "3,7" or "0:16"')
    .option('--neuron <indices>', 'one element of --layer, after the batch axis ("3,7,7")')
    .option('--target <class>', 'a class of the answer, by label or index')
    .option('--output <name>', 'the output --target is of (default: the first of floats)')
    .option('--image <file>', 'find a picture that --layer cannot tell from this one')
    .option('--folder <folder>', 'what in these pictures excites channels of --layer most (default: the first 16)')
    .option('--top <n>', 'patches for each channel, with --folder (default: 9)', positiveInteger)
    .option('--option <key=value>', 'an option, see below; may be repeated', collectOption)
    .option('--seed <n>', 'seed of the noise a picture starts from', wholeNumber, 0)
    .option('--out <file>', 'write .png, .svg, .html or .json')
    .option('--json', 'print one JSON document')
    .addOption(new Option('--language <code>', 'of what is shown').choices(['en', 'zh']).default('en'));
  addRuntimeFlags(command)
    .addHelpText(
      'after',
      `\nOptions of pictures for units:\n${optionLines(FEATURE_OPTIONS).join('\n')}\n\nOptions with --image:\n${optionLines(INVERSION_OPTIONS).join('\n')}\n\nExamples:
  onnxray visualise zoo/image-imagenet --target daisy --out daisy.png
  onnxray visualise zoo/image-imagenet --layer blocks.6.conv_pwl.Conv --channel 3,7 --out channels.png
  onnxray visualise zoo/image-imagenet --layer blocks.6.conv_pwl.Conv --image zoo/photographs/cat.jpg --out seen.png
  onnxray visualise zoo/image-imagenet --layer blocks.6.conv_pwl.Conv --folder zoo/photographs --channel 0:8 --out patches.png`,
    )
    .action(run);
}

async function run(location: string, flags: VisualiseFlags): Promise<void> {
  const asked = readAsked(flags);
  const format = flags.out === undefined ? undefined : fileFormat(flags.out, FORMATS);
  if (flags.out !== undefined) await checkPlace(flags.out);
  const model = await ExplainableModel.open(location, hostOptions(flags));
  const progress = progressLine('visualise', flags.quiet ?? false);
  try {
    const found = await find(model, asked, flags, { signal: interruptSignal(), onProgress: progress });
    progress.clear();
    const { language } = flags;
    if (format === 'json') await writeWhole(flags.out!, `${serializeVisualisation(found)}\n`);
    else if (format === 'html') await writeWhole(flags.out!, await visualisationHtml(found, { language }));
    else if (format !== undefined) {
      const sheet = await visualisationSheet(found, { language });
      await writeWhole(flags.out!, format === 'svg' ? sheet : await svgToPng(sheet));
    }
    if (flags.json) printJson(serializeVisualisation(found));
    else process.stdout.write(`${lines(found, language)}${flags.out === undefined ? '' : `wrote ${flags.out}\n`}`);
  } finally {
    progress.clear();
    await model.release();
  }
}

function find(
  model: ExplainableModel,
  asked: Asked,
  { option = {}, seed }: VisualiseFlags,
  run: { readonly signal: AbortSignal; readonly onProgress: (done: number, total: number) => void },
): Promise<Visualisation> {
  if (asked.kind === 'patches') return topPatches(model, asked.pictures, asked.request, run);
  const options = { options: option, seed, ...run };
  if (asked.kind === 'inversion') return invertLayer(model, asked.image, asked.layer, options);
  return visualiseFeatures(model, asked.wanted, options);
}

/** What a unit says to the noise it began with and to the picture found, or to its strongest patch. */
function lines({ units, warnings }: Visualisation, language: Language): string {
  const rows = units.flatMap(({ label, pictures }) =>
    pictures.slice(0, 1).map(({ value, startValue, source }) => {
      const start = startValue === undefined ? '' : `${startValue.toPrecision(4)} -> `;
      const from = source?.path === undefined ? '' : `  ${terminalSafe(path.basename(source.path))}`;
      return `${terminalSafe(label)}  ${start}${value.toPrecision(4)}${from}\n`;
    }),
  );
  return [...rows, ...warnings.map((warning) => `${terminalSafe(warningText(warning, language).text)}\n`)].join('');
}

/** The one thing that is asked for. */
type Asked =
  | { readonly kind: 'features'; readonly wanted: Wanted }
  | { readonly kind: 'inversion'; readonly layer: string; readonly image: string }
  | { readonly kind: 'patches'; readonly pictures: readonly string[]; readonly request: TopPatchesRequest };

/** Throws a UsageError for what does not go together. */
function readAsked(flags: VisualiseFlags): Asked {
  const { layer, channel, neuron, target, output, image, folder, top } = flags;
  if (top !== undefined && folder === undefined) throw new UsageError('--top goes with --folder');
  const given = [folder === undefined ? channel : folder, neuron, target, image].filter((flag) => flag !== undefined);
  if (given.length !== 1)
    throw new UsageError(
      given.length === 0
        ? 'say what to make visible: --channel, --neuron, --image or --folder with --layer, or --target'
        : 'give only one of --channel, --neuron, --target, --image and --folder (which takes --channel beside it)',
    );
  if (target !== undefined) {
    if (layer !== undefined) throw new UsageError('--target is a class of the answer: leave --layer out');
    return { kind: 'features', wanted: { target, ...(output === undefined ? {} : { output }) } };
  }
  if (output !== undefined) throw new UsageError('--output goes with --target');
  if (layer === undefined) throw new UsageError('say of which layer: --layer PATH');
  if (folder !== undefined) {
    if (flags.option !== undefined) throw new UsageError('--option is for pictures that are found: leave --folder out');
    const channels = channel === undefined ? {} : { channels: readChannels(channel) };
    const request = { layer, ...channels, ...(top === undefined ? {} : { top }) };
    return { kind: 'patches', pictures: picturesIn(folder), request };
  }
  if (image !== undefined) return { kind: 'inversion', layer, image };
  if (neuron !== undefined) return { kind: 'features', wanted: { layer, neuron: readNeuron(neuron) } };
  return { kind: 'features', wanted: { layer, channels: readChannels(channel!) } };
}

/** Numbers and ranges without their end: "3,7", "0:16". */
function readChannels(list: string): readonly number[] {
  const whole = (text: string) => (/^\s*\d+\s*$/.test(text) ? Number(text) : Number.NaN);
  const channels = list.split(',').flatMap((part) => {
    const [from, to, ...more] = part.split(':').map(whole) as [number, number?, ...number[]];
    if (to === undefined) return [from];
    const count = to - from;
    return more.length === 0 && count > 0 ? Array.from({ length: count }, (_, at) => from + at) : [Number.NaN];
  });
  if (channels.some(Number.isNaN))
    throw new UsageError(`--channel takes numbers such as "3", "3,7" or "0:16", not "${list}"`);
  return channels;
}
