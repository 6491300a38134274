import type { Command } from 'commander';
import { ExplainableModel } from '../../attribution/index.ts';
import { UsageError } from '../../onnx/index.ts';
import type { OptionSpecs, OptionValue } from '../../programs/index.ts';
import { svgToPng, terminalSafe, visualisationSheet } from '../../views/index.ts';
import {
  FEATURE_OPTIONS,
  INVERSION_OPTIONS,
  invertLayer,
  serializeVisualisation,
  visualiseFeatures,
} from '../../visualisation/index.ts';
import type { Visualisation, Wanted } from '../../visualisation/index.ts';
import { addRuntimeFlags, collectOption, hostOptions, readNeuron, wholeNumber } from '../flags.ts';
import type { RuntimeFlags } from '../flags.ts';
import { checkPlace, fileFormat, interruptSignal, progressLine, writeWhole } from '../output.ts';

interface VisualiseFlags extends RuntimeFlags {
  readonly layer?: string;
  readonly channel?: string;
  readonly neuron?: string;
  readonly target?: string;
  readonly output?: string;
  readonly image?: string;
  readonly option?: Readonly<Record<string, OptionValue>>;
  readonly seed: number;
  readonly out?: string;
  readonly json?: boolean;
}

const FORMATS = ['png', 'svg', 'json'] as const;

export function addVisualise(program: Command): void {
  const command = program
    .command('visualise')
    .alias('visualize')
    .description('pictures that units of a vision model answer most to, or what a layer keeps of a photograph')
    .argument('<model>', 'an .onnx file, or a folder laid out as on the Hugging Face hub')
    .option('--layer <path>', 'the layer to look at; "onnxray inspect" lists the paths')
    .option('--channel <list>', 'channels of --layer, such as "3,7"')
    .option('--neuron <indices>', 'one element of --layer, after the batch axis ("3,7,7")')
    .option('--target <class>', 'a class of the answer, by label or index')
    .option('--output <name>', 'the output --target is of (default: the first of floats)')
    .option('--image <file>', 'find a picture that --layer cannot tell from this one')
    .option('--option <key=value>', 'an option, see below; may be repeated', collectOption)
    .option('--seed <n>', 'seed of the noise a picture starts from', wholeNumber, 0)
    .option('--out <file>', 'write .png, .svg or .json')
    .option('--json', 'print one JSON document');
  addRuntimeFlags(command)
    .addHelpText(
      'after',
      `\nOptions of pictures for units:\n${describeOptions(FEATURE_OPTIONS)}\n\nOptions with --image:\n${describeOptions(INVERSION_OPTIONS)}\n\nExamples:
  onnxray visualise zoo/image-imagenet --target daisy --out daisy.png
  onnxray visualise model.onnx --layer features.6.Conv --channel 3,7 --out channels.png
  onnxray visualise model.onnx --layer features.6.Conv --image cat.jpg --out seen.png`,
    )
    .action(run);
}

const describeOptions = (specs: OptionSpecs): string =>
  Object.entries(specs)
    .map(
      ([key, spec]) => `  --option ${key}=${spec.kind === 'choice' ? spec.choices.join('|') : spec.kind}: ${spec.help}`,
    )
    .join('\n');

async function run(location: string, flags: VisualiseFlags): Promise<void> {
  const wanted = readWanted(flags);
  const format = flags.out === undefined ? undefined : fileFormat(flags.out, FORMATS);
  if (flags.out !== undefined) await checkPlace(flags.out);
  const model = await ExplainableModel.open(location, hostOptions(flags));
  const progress = progressLine('visualise', flags.quiet ?? false);
  try {
    const options = { options: flags.option ?? {}, seed: flags.seed, signal: interruptSignal(), onProgress: progress };
    const found =
      wanted === undefined
        ? await invertLayer(model, flags.image!, flags.layer!, options)
        : await visualiseFeatures(model, wanted, options);
    progress.clear();
    if (format === 'json') await writeWhole(flags.out!, `${serializeVisualisation(found)}\n`);
    else if (format !== undefined) {
      const sheet = await visualisationSheet(found);
      await writeWhole(flags.out!, format === 'svg' ? sheet : await svgToPng(sheet));
    }
    if (flags.json) process.stdout.write(`${serializeVisualisation(found)}\n`);
    else process.stdout.write(`${lines(found)}${flags.out === undefined ? '' : `wrote ${flags.out}\n`}`);
  } finally {
    progress.clear();
    await model.release();
  }
}

/** What a unit says to the noise it began with and to the picture found. */
function lines({ units, warnings }: Visualisation): string {
  const rows = units.flatMap(({ label, pictures }) =>
    pictures.map(
      ({ value, startValue }) => `${terminalSafe(label)}  ${startValue!.toPrecision(4)} -> ${value.toPrecision(4)}\n`,
    ),
  );
  return [...rows, ...warnings.map((warning) => `${terminalSafe(warning)}\n`)].join('');
}

/** The one thing that is asked for; undefined for the inversion of --image. Throws a UsageError for what does not go together. */
function readWanted({ layer, channel, neuron, target, output, image }: VisualiseFlags): Wanted | undefined {
  const given = [channel, neuron, target, image].filter((flag) => flag !== undefined);
  if (given.length !== 1)
    throw new UsageError(
      given.length === 0
        ? 'say what to make visible: --channel, --neuron or --image with --layer, or --target'
        : 'give only one of --channel, --neuron, --target and --image',
    );
  if (target !== undefined) {
    if (layer !== undefined) throw new UsageError('--target is a class of the answer: leave --layer out');
    return { target, ...(output === undefined ? {} : { output }) };
  }
  if (output !== undefined) throw new UsageError('--output goes with --target');
  if (layer === undefined) throw new UsageError('say of which layer: --layer PATH');
  if (image !== undefined) return undefined;
  if (neuron !== undefined) return { layer, neuron: readNeuron(neuron) };
  const channels = channel!.split(',').map((part) => (part.trim() === '' ? Number.NaN : Number(part)));
  if (!channels.every((each) => Number.isInteger(each) && each >= 0))
    throw new UsageError(`--channel takes numbers such as "3" or "3,7", not "${channel}"`);
  return { layer, channels };
}
