import { Option } from 'commander';
import type { Command } from 'commander';
import { ALL_METHODS } from '../../attribution/index.ts';
import { pixelCurves, serializeCurves } from '../../evaluation/index.ts';
import type { PixelCurves } from '../../evaluation/index.ts';
import { serializeExplanation } from '../../explanation/index.ts';
import type { Explanation } from '../../explanation/index.ts';
import { UsageError } from '../../onnx/index.ts';
import { IMAGE_VIEWS, curvesHtml, curvesSvg } from '../../views/index.ts';
import type { ExplainFlags } from '../explained.ts';
import { explainOptions, outFormat, readMethods, renderFile, terminalView, withModel } from '../explained.ts';
import {
  addRuntimeFlags,
  addSubjectFlags,
  collectOption,
  describeChoice,
  positiveNumber,
  readSubject,
  wholeNumber,
} from '../flags.ts';
import { checkPlace, fileFormat, printJson, writeWhole } from '../output.ts';
import { isFolder } from '../pictures.ts';
import { runFolder, runMethods, runTexts } from './explain-many.ts';

export function addExplain(command: Command): void {
  command.argument('<model>', 'an .onnx file, or a folder laid out as on the Hugging Face hub');
  addSubjectFlags(command)
    .option(
      '--method <name>',
      'how to attribute, see below; several with commas between are drawn beside one another',
      'integrated-gradients',
    )
    .option('--output <name>', 'the output to explain (default: the first of floats)')
    .option(
      '--target <spec>',
      'a label, indices after the batch axis ("3", "0,5"), a difference "a-b", or a sum: "2*spam - ham", "sum(0:5,2)", "mean(:,1)", "logprob(0,5) + logprob(1,7)", "prob(spam)", "start_logits[7] + end_logits[9]" (default: the best answer)',
    )
    .option('--baseline <spec>', 'what to compare with: zero, pad, mask, mean, blur, noise, a number, or @FILE.json')
    .option(
      '--feature-mask <spec>',
      'what is perturbed as one: @FILE.json with the group of each element, { "<input>": { "dims", "data" } }',
    )
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
        'how scores are drawn over a picture: coloured, as contours, as what is left of it, or beside it',
      )
        .choices(IMAGE_VIEWS)
        .default('overlay'),
    )
    .addOption(
      new Option('--scale <name>', 'of several methods on one sheet: one where their unit is one, or each its own')
        .choices(['shared', 'own'])
        .default('shared'),
    )
    .option('--full-size', 'a picture in its own resolution; .png is then the picture alone')
    .option(
      '--curves <file>',
      'also write how the answer changes as the highest pixels are deleted, or inserted: .svg or .html that moves, or .json',
    )
    .option('--json', 'print one JSON document')
    .addOption(new Option('--language <code>', 'of what is shown').choices(['en', 'zh']).default('en'));
  addRuntimeFlags(command)
    .addHelpText(
      'after',
      `\nMethods:\n${ALL_METHODS.map((each) => describeChoice(each)).join('\n')}\n\nExamples:
  onnxray explain zoo/text-spam --text "Claim your free prize now"
  onnxray explain zoo/text-spam --text "Claim your free prize now" --method saliency --target spam-ham --json
  onnxray explain zoo/image-imagenet --image zoo/photographs/cat.jpg --target "tabby" --out why.png
  onnxray explain zoo/image-imagenet --image zoo/photographs/cat.jpg --method grad-cam,layer-cam --out methods.png

Models of your own, such as CLIP, in one folder of the hub or in two files:
  onnxray explain CLIP --image zoo/photographs/cat.jpg --text "a cat" --text "a dog" --method grad-cam --out pairs.html
  onnxray explain VISION.onnx --with TEXT.onnx --image zoo/photographs/cat.jpg --text "a cat" --logit-scale 100
  onnxray explain MODEL.onnx --inputs INPUTS.json --method saliency --target 1-0 --json`,
    )
    .action(run);
}

async function run(location: string, flags: ExplainFlags): Promise<void> {
  const { image, text, fullSize, curves } = flags;
  const methods = readMethods(flags.method);
  const folder = image !== undefined && isFolder(image);
  const texts = image !== undefined && text !== undefined && text.length > 1;
  if (fullSize && (image === undefined || folder || texts || methods.length > 1))
    throw new UsageError('--full-size is for one picture and one method');
  if (curves !== undefined && (image === undefined || text !== undefined || folder || methods.length > 1))
    throw new UsageError('--curves is for one picture and one method');
  if (folder) return runFolder(location, flags, image, methods);
  if (texts) return runTexts(location, flags, image, text, methods);
  if (methods.length > 1) return runMethods(location, flags, methods);
  // What can be refused without a model is refused first.
  const format = await outFormat(flags);
  const curveFormat = curves === undefined ? undefined : fileFormat(curves, CURVE_FORMATS);
  if (curves !== undefined) await checkPlace(curves);
  await withModel(location, flags, async ({ model, signal, progress }) => {
    const explained = await model.explain(readSubject(flags, model.inputs), {
      ...explainOptions(flags, model),
      method: methods[0]!,
      signal,
      onProgress: progress,
    });
    const { explanation } = explained;
    const measured =
      curveFormat === undefined
        ? undefined
        : await pixelCurves(model, image!, explanation, { signal, onProgress: progress });
    progress.clear();
    if (measured !== undefined) await writeWhole(curves!, await drawCurves(measured, curveFormat!, explanation, flags));
    if (format !== undefined) await writeWhole(flags.out!, await renderFile(explained, format, flags));
    if (flags.json) printJson(serializeExplanation(explanation));
    else if (format === undefined) process.stdout.write(terminalView(explained, flags.language));
    else process.stdout.write(`wrote ${flags.out}\n`);
    if (measured !== undefined && !flags.json) process.stdout.write(`wrote ${curves}\n`);
  });
}

const CURVE_FORMATS = ['svg', 'html', 'json'] as const;

async function drawCurves(
  curves: PixelCurves,
  format: (typeof CURVE_FORMATS)[number],
  { method, target }: Explanation,
  { language }: ExplainFlags,
): Promise<string> {
  if (format === 'json') return `${serializeCurves(curves)}\n`;
  const options = { title: `${method}: ${target.label}`, language };
  return format === 'svg' ? curvesSvg(curves, options) : curvesHtml(curves, options);
}
