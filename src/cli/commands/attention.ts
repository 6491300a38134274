import type { Command } from 'commander';
import { ANALYSES, analyseAttention, findAnalysis, serializeAttention } from '../../attention/index.ts';
import type { AttentionResult } from '../../attention/index.ts';
import { ExplainableModel, tokenText } from '../../attribution/index.ts';
import type { Encoded } from '../../attribution/index.ts';
import { UserError } from '../../onnx/index.ts';
import { parseTarget } from '../../tasks/index.ts';
import { attentionAnsi, renderAttention, terminalColor } from '../../views/index.ts';
import type { AttentionPicture, Language } from '../../views/index.ts';
import type { AnalysisFlags, ResultFlags, SubjectFlags } from '../flags.ts';
import {
  RESULT_FORMATS,
  addAnalysisFlags,
  addResultFlags,
  addSubjectFlags,
  describeChoice,
  hostOptions,
  readSubject,
  readText,
  wholeNumber,
} from '../flags.ts';
import { checkPlace, fileFormat, interruptSignal, printJson, progressLine, writeWhole } from '../output.ts';

interface AttentionFlags extends SubjectFlags, AnalysisFlags, ResultFlags {
  readonly layer?: string;
  readonly head?: number;
  readonly output?: string;
  readonly target?: string;
}

type FileFormat = (typeof RESULT_FORMATS)[number];

export function addAttention(command: Command): void {
  command.argument('<model>', 'an .onnx file, or a folder laid out as on the Hugging Face hub');
  addAnalysisFlags(addSubjectFlags(command), 'what to make of it; see below', 'probabilities')
    .option('--layer <layer>', 'only this layer: its number, or a path as "onnxray inspect" prints it')
    .option('--head <n>', 'only this head of each block', wholeNumber)
    .option('--output <name>', 'the output that gradients are taken of (default: the first of floats)')
    .option(
      '--target <spec>',
      'what of the output: a label, indices, or a difference "a-b" (default: the best answer)',
    );
  addResultFlags(command)
    .addHelpText(
      'after',
      `\nAnalyses:\n${ANALYSES.map((each) => describeChoice(each)).join('\n')}\n\nExamples:
  onnxray attention zoo/text-spam --text "Claim your free prize now" --analysis entropy
  onnxray attention zoo/text-spam --text "Claim your free prize now" --layer 2 --head 5 --out head.html
  onnxray attention zoo/text-spam --text "Claim your free prize now" --analysis rollout --option residual=0.3 --json
  onnxray attention zoo/text-spam --text "Claim your free prize now" --analysis chefer --target spam --out why.png

Models of your own, a captioner and a vision transformer in folders of the hub:
  onnxray attention CAPTIONER --image zoo/photographs/cat.jpg --text "a cat on a sofa" --analysis cross --out words.png
  onnxray attention VIT --image zoo/photographs/cat.jpg --analysis chefer --target tabby --out cat.png`,
    )
    .action(run);
}

async function run(location: string, flags: AttentionFlags): Promise<void> {
  // What can be refused without a model is refused first.
  const analysis = findAnalysis(flags.analysis);
  const format = flags.out === undefined ? undefined : fileFormat(flags.out, RESULT_FORMATS);
  if (flags.out !== undefined) await checkPlace(flags.out);
  const model = await ExplainableModel.open(location, hostOptions(flags));
  const progress = progressLine(flags.analysis, flags.quiet ?? false);
  try {
    const given = flags.text !== undefined || flags.image !== undefined || flags.inputs !== undefined;
    const encoded =
      analysis.needs === 'nothing' && !given ? undefined : await model.encode(readSubject(flags, model.inputs));
    const { target, output, layer, head } = flags;
    const text = encoded === undefined ? undefined : tokenText(encoded);
    const result = await analyseAttention(model.host, {
      analysis: analysis.name,
      options: flags.option ?? {},
      seed: flags.seed,
      signal: interruptSignal(),
      onProgress: progress,
      target: (answer) => parseTarget(target, answer, model.folder.labels),
      encode: async (sentence) => {
        const own = await model.encode({ text: sentence });
        if (own.kind !== 'text') throw new UserError('a sentence needs a model of texts');
        return { tensors: own.tensors, offsets: own.encoding.offsets };
      },
      read: readText,
      ...(encoded === undefined ? {} : { inputs: encoded.tensors }),
      ...(text === undefined ? {} : { text }),
      ...(output === undefined ? {} : { output }),
      ...(layer === undefined ? {} : { layer }),
      ...(head === undefined ? {} : { head }),
    });
    progress.clear();
    if (format !== undefined) await writeWhole(flags.out!, await renderFile(result, format, encoded, flags.language));
    if (flags.json) printJson(serializeAttention(result));
    else if (format === undefined) process.stdout.write(terminalView(result, flags.language));
    else process.stdout.write(`wrote ${flags.out}\n`);
  } finally {
    progress.clear();
    await model.release();
  }
}

async function renderFile(
  result: AttentionResult,
  format: FileFormat,
  encoded: Encoded | undefined,
  language: Language,
): Promise<string | Uint8Array> {
  if (format === 'json') return `${serializeAttention(result)}\n`;
  const seen =
    encoded?.kind === 'image' ? encoded.encoding : encoded?.kind === 'image-text' ? encoded.image : undefined;
  const picture: AttentionPicture | undefined = seen && { pixels: seen.preview, crop: cropOf(seen) };
  return renderAttention(result, { format, language, ...(picture === undefined ? {} : { picture }) });
}

/** The part of the preview that the model saw, as shares of its width and height. */
function cropOf({ crop, width, height }: Extract<Encoded, { kind: 'image' }>['encoding']): AttentionPicture['crop'] {
  return { x: crop.x / width, y: crop.y / height, width: crop.width / width, height: crop.height / height };
}

function terminalView(result: AttentionResult, language: Language): string {
  const color = terminalColor(process.env, process.stdout.isTTY === true);
  return attentionAnsi(result, { color, width: process.stdout.columns || 80, language });
}
