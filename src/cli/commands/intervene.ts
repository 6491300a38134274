import { Option } from 'commander';
import type { Command } from 'commander';
import {
  ABLATIONS,
  PATCHES,
  checkAblation,
  findAblation,
  patch,
  serializeIntervention,
} from '../../attention/index.ts';
import type { AblationRequest, InterventionSubject, Intervention, Patch, Place } from '../../attention/index.ts';
import { ExplainableModel } from '../../attribution/index.ts';
import type { Encoded, Subject } from '../../attribution/index.ts';
import { UsageError } from '../../onnx/index.ts';
import type { DenseTensor } from '../../onnx/index.ts';
import { parseTarget } from '../../tasks/index.ts';
import { interventionAnsi, interventionHtml, interventionSvg, svgToPng, terminalColor } from '../../views/index.ts';
import type { Language } from '../../views/index.ts';
import type { AnalysisFlags, ResultFlags, SubjectFlags } from '../flags.ts';
import {
  RESULT_FORMATS,
  addAnalysisFlags,
  addResultFlags,
  addSubjectFlags,
  describeChoice,
  hostOptions,
  readSubject,
  wholeNumber,
} from '../flags.ts';
import { checkPlace, fileFormat, interruptSignal, printJson, progressLine, writeWhole } from '../output.ts';

interface SharedFlags extends SubjectFlags, ResultFlags {
  readonly output?: string;
  readonly target?: string;
  readonly stream?: 'encoder' | 'decoder';
}

interface PatchFlags extends SharedFlags {
  readonly what: Patch;
  readonly corrupted: string;
  readonly corruptedPair?: string;
}

interface AblateFlags extends SharedFlags, AnalysisFlags {
  readonly layer?: number;
  readonly head?: number;
  readonly query?: number;
  readonly position?: number;
  readonly other?: string;
}

export function addPatch(command: Command): void {
  command.argument('<model>', 'an .onnx file, or a folder laid out as on the Hugging Face hub');
  addSubjectFlags(command)
    .requiredOption('--corrupted <input>', 'the corrupted input, of the same kind and length: a text, or a file')
    .option('--corrupted-pair <text>', 'the second text of the corrupted pair')
    .addOption(new Option('--what <place>', 'what is put in').choices(PATCHES).default('stream'));
  addSharedFlags(command)
    .addHelpText(
      'after',
      `
The result is by layer and position, or layer and head: how much of the clean answer comes back (0 none, 1 all).

Examples:
  onnxray patch zoo/text-spam --text "claim your prize now" --corrupted "claim your lunch now" --target spam
  onnxray patch zoo/text-spam --text "claim your prize now" --corrupted "claim your lunch now" --what heads --out patch.svg`,
    )
    .action(runPatch);
}

export function addAblate(command: Command): void {
  command.argument('<model>', 'an .onnx file, or a folder laid out as on the Hugging Face hub');
  addAnalysisFlags(addSubjectFlags(command), 'what to do; see below', 'heads')
    .option('--layer <n>', 'only this layer', wholeNumber)
    .option('--head <n>', 'only this head', wholeNumber)
    .option('--query <n>', 'only what this position attends to', wholeNumber)
    .option('--position <n>', 'only this position', wholeNumber)
    .option('--other <input>', 'another input to take activations from: a text, or a file');
  addSharedFlags(command)
    .addHelpText(
      'after',
      `\nAnalyses:\n${ABLATIONS.map((each) => describeChoice(each, each.places.map((place) => ` [--${place}]`).join(''))).join('\n')}\n\nExamples:
  onnxray ablate zoo/text-spam --text "Claim your free prize now"
  onnxray ablate zoo/text-spam --text "Claim your free prize now" --analysis lens --out lens.html
  onnxray ablate zoo/text-spam --text "Claim your free prize now" --analysis adversarial --option epsilon=0.05 --json`,
    )
    .action(runAblate);
}

function addSharedFlags(command: Command): Command {
  command
    .option('--output <name>', 'the output asked about (default: the first of floats)')
    .option(
      '--target <spec>',
      'a label, indices after the batch axis, or a difference "a-b" (default: the best answer)',
    )
    .addOption(
      new Option('--stream <name>', 'of a model with both (default: the encoder)').choices(['encoder', 'decoder']),
    );
  return addResultFlags(command);
}

async function runPatch(location: string, flags: PatchFlags): Promise<void> {
  await perform(location, 'patch', flags, async (model, clean, shared) => {
    const corrupted = await encode(model, otherSubject(flags, flags.corrupted, model, flags.corruptedPair));
    return patch(model.host, { clean: clean.subject, corrupted: corrupted.subject, what: flags.what, ...shared });
  });
}

async function runAblate(location: string, flags: AblateFlags): Promise<void> {
  // What can be refused without a model is refused first.
  const analysis = findAblation(flags.analysis);
  const places = (['layer', 'head', 'query', 'position'] as const).filter((place: Place) => flags[place] !== undefined);
  const options = checkAblation(analysis, flags.option ?? {}, places, flags.other !== undefined);
  await perform(location, analysis.name, flags, async (model, { subject, special }, shared) => {
    const other =
      flags.other === undefined ? undefined : (await encode(model, otherSubject(flags, flags.other, model))).subject;
    const { layer, head, query, position, seed } = flags;
    const request = { subject, special, classes: classesOf(model), other, layer, head, query, position, seed };
    return analysis.run(model.host, { ...shared, ...request }, options);
  });
}

/** An input as the analyses take it, and which of its tokens are special. */
interface Prepared {
  readonly subject: InterventionSubject;
  readonly special: readonly number[];
  /** What a reader must know of how the input was read. */
  readonly warnings: readonly string[];
}

type Shared = Pick<AblationRequest, 'output' | 'stream' | 'target' | 'signal' | 'onProgress'>;

/** What both commands share: opening the model, the input, progress, and showing what was found. */
async function perform(
  location: string,
  name: string,
  flags: SharedFlags,
  run: (model: ExplainableModel, subject: Prepared, shared: Shared) => Promise<Intervention>,
): Promise<void> {
  const format = flags.out === undefined ? undefined : fileFormat(flags.out, RESULT_FORMATS);
  if (flags.out !== undefined) await checkPlace(flags.out);
  const model = await ExplainableModel.open(location, hostOptions(flags));
  const progress = progressLine(name, flags.quiet ?? false);
  try {
    const prepared = await encode(model, readSubject(flags, model.inputs));
    const found = await run(model, prepared, {
      output: flags.output,
      stream: flags.stream,
      target: (answer: DenseTensor) => parseTarget(flags.target, answer, model.folder.labels),
      signal: interruptSignal(),
      onProgress: progress,
    });
    progress.clear();
    const measured = { ...found, warnings: [...found.warnings, ...prepared.warnings] };
    if (format !== undefined) await writeWhole(flags.out!, await renderFile(measured, format, flags.language));
    if (flags.json) printJson(serializeIntervention(measured));
    else if (format !== undefined) process.stdout.write(`wrote ${flags.out}\n`);
    else
      process.stdout.write(
        interventionAnsi(measured, {
          language: flags.language,
          width: process.stdout.columns || 80,
          color: terminalColor(process.env, process.stdout.isTTY === true),
        }),
      );
  } finally {
    progress.clear();
    await model.release();
  }
}

async function renderFile(
  measured: Intervention,
  format: (typeof RESULT_FORMATS)[number],
  language: Language,
): Promise<string | Uint8Array> {
  if (format === 'json') return `${serializeIntervention(measured)}\n`;
  if (format === 'html') return interventionHtml(measured, { language });
  return format === 'svg' ? interventionSvg(measured, { language }) : svgToPng(interventionSvg(measured, { language }));
}

async function encode(model: ExplainableModel, subject: Subject): Promise<Prepared> {
  const encoded: Encoded = await model.encode(subject);
  if (encoded.kind === 'image')
    return { subject: { inputs: encoded.tensors }, special: [], warnings: encoded.encoding.warnings };
  if (encoded.kind === 'tensors') return { subject: { inputs: encoded.tensors }, special: [], warnings: [] };
  const { tokens, offsets, truncated } = encoded.kind === 'text' ? encoded.encoding : encoded.text;
  const cut = `the model does not read the last ${truncated} tokens: the text is longer than it takes`;
  return {
    subject: { inputs: encoded.tensors, tokens },
    special: offsets.flatMap((offset, position) => (offset === null ? [position] : [])),
    warnings: truncated === 0 ? [] : [cut],
  };
}

/** A second input of the kind of the first: text for text, a file for a file. */
function otherSubject(flags: SharedFlags, given: string, model: ExplainableModel, pair?: string): Subject {
  if (flags.text !== undefined)
    return readSubject({ text: [given], ...(pair !== undefined && { pair }) }, model.inputs);
  if (pair !== undefined) throw new UsageError('--corrupted-pair goes with --text and --pair');
  return readSubject(flags.image === undefined ? { inputs: given } : { image: given }, model.inputs);
}

/** Names of the classes of an answer: labels, or the words of a language model's vocabulary. */
function classesOf(model: ExplainableModel): readonly string[] | undefined {
  const { labels, tokenizerFiles } = model.folder;
  if (labels !== undefined) return labels;
  const json = tokenizerFiles?.tokenizer;
  const vocabulary = isRecord(json) && isRecord(json['model']) ? json['model']['vocab'] : undefined;
  if (!isRecord(vocabulary)) return undefined;
  const words: string[] = [];
  for (const [word, id] of Object.entries(vocabulary)) if (typeof id === 'number') words[id] = word;
  return words;
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
