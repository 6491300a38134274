/** Several explanations in one call: of a folder of pictures, of a picture with several texts, by several methods. */
import path from 'node:path';
import type { Explained } from '../../attribution/index.ts';
import { serializeExplanation } from '../../explanation/index.ts';
import type { Explanation } from '../../explanation/index.ts';
import { UsageError, UserError } from '../../onnx/index.ts';
import type { Method } from '../../programs/index.ts';
import { contactSheet, encodePng, figuresSvg, renderReport, svgToPng, terminalSafe } from '../../views/index.ts';
import type { SheetRow } from '../../views/index.ts';
import { complain } from '../complain.ts';
import type { ExplainFlags, FileFormat } from '../explained.ts';
import { explainOptions, outFormat, terminalView, withModel } from '../explained.ts';
import { readSubject } from '../flags.ts';
import { printJson, writeWhole } from '../output.ts';
import { picturesIn } from '../pictures.ts';

const listOf = (explanations: readonly Explanation[]): string =>
  `[${explanations.map(serializeExplanation).join(',')}]\n`;

/** Explains every picture of a folder by each method: a sheet (.png, .svg), one JSON document of a list, or a line for each. */
export async function runFolder(
  location: string,
  flags: ExplainFlags,
  folder: string,
  methods: readonly Method[],
): Promise<void> {
  const format = await outFormat(flags);
  if (format === 'html' || format === 'npy')
    throw new UsageError(
      `a folder of pictures is drawn on one sheet, .png or .svg, or written as .json; not .${format}`,
    );
  const files = picturesIn(folder);
  if (flags.text !== undefined) throw new UsageError('texts are compared with one picture: give a file with --image');
  if (flags.inputs !== undefined) throw new UsageError('give only one of --text, --image and --inputs');
  if (flags.pair !== undefined) throw new UsageError('--pair is the second of two texts: leave --image out');
  let failed = 0;
  await withModel(location, flags, async ({ model, signal, progress }) => {
    const options = explainOptions(flags, model);
    const rows: SheetRow[] = [];
    for (const [at, image] of files.entries()) {
      try {
        const explained: Explained[] = [];
        for (const method of methods) explained.push(await model.explain({ image }, { ...options, method, signal }));
        const explanations = explained.map(({ explanation }) => explanation);
        // Pixels are kept only to be drawn.
        const picture = format === 'svg' || format === 'png' ? explained[0]!.picture : undefined;
        rows.push({ title: path.basename(image), picture, explanations });
      } catch (error) {
        // One broken picture is no reason to leave the others out; anything else would be the same for each.
        if (!(error instanceof UserError) || !error.message.includes(path.basename(image))) throw error;
        progress.clear();
        await complain(error.message);
        failed++;
      }
      progress(at + 1, files.length);
    }
    progress.clear();
    if (rows.length > 0) await giveOutFolder(rows, format, flags, methods.length > 1);
  });
  if (failed > 0) throw new UserError(`${failed} of ${files.length} pictures in ${folder} could not be explained`);
}

async function giveOutFolder(
  rows: readonly SheetRow[],
  format: FileFormat | undefined,
  flags: ExplainFlags,
  withMethods: boolean,
): Promise<void> {
  const all = rows.flatMap(({ explanations }) => explanations);
  if (format === 'json') await writeWhole(flags.out!, listOf(all));
  else if (format !== undefined) await writeSheet(rows, format, flags);
  if (flags.json) printJson(listOf(all));
  else if (format !== undefined) process.stdout.write(`wrote ${flags.out}\n`);
  else
    for (const { title, explanations } of rows)
      for (const { method, target, value } of explanations)
        process.stdout.write(
          `${terminalSafe(title)}  ${withMethods ? `${method}  ` : ''}${terminalSafe(target.label)}  ${value.toPrecision(5)}\n`,
        );
}

/** One subject by several methods: pictures on one sheet, anything else below one another. */
export async function runMethods(location: string, flags: ExplainFlags, methods: readonly Method[]): Promise<void> {
  const format = await outFormat(flags);
  if (format === 'npy') throw new UsageError('scores by several methods are written as .json, not .npy');
  await withModel(location, flags, async ({ model, signal, progress }) => {
    const subject = readSubject(flags, model.inputs);
    const explained: Explained[] = [];
    for (const method of methods) {
      const options = { ...explainOptions(flags, model), method, signal, onProgress: progress };
      explained.push(await model.explain(subject, options));
    }
    progress.clear();
    await giveOut(explained, format, flags, path.basename(flags.image ?? flags.text?.[0] ?? flags.inputs ?? ''));
  });
}

/** A picture and several texts: one figure or report of all, one JSON document of a list, or a view for each on the terminal. */
export async function runTexts(
  location: string,
  flags: ExplainFlags,
  image: string,
  texts: readonly string[],
  [method, second]: readonly Method[],
): Promise<void> {
  if (second !== undefined)
    throw new UsageError('several texts are explained by one method: give one --method, or one --text');
  const format = await outFormat(flags);
  if (format === 'npy') throw new UsageError('scores for several texts are written as .json, not .npy');
  if (flags.pair !== undefined) throw new UsageError('--pair is the second of two texts: leave --image out');
  if (flags.inputs !== undefined) throw new UsageError('give only one of --text, --image and --inputs');
  await withModel(location, flags, async ({ model, signal, progress }) => {
    const options = { ...explainOptions(flags, model), method: method!, signal, onProgress: progress };
    const explained = await model.explainTexts(image, texts, options);
    progress.clear();
    await giveOut(explained, format, flags);
  });
}

/** `title`: what was explained, where that is one; else each explanation has its own section. */
async function giveOut(
  explained: readonly Explained[],
  format: FileFormat | undefined,
  flags: ExplainFlags,
  title?: string,
): Promise<void> {
  const { language, view, out } = flags;
  const explanations = explained.map(({ explanation }) => explanation);
  const picture = explained[0]!.picture;
  const given = picture && { picture };
  if (format === 'json') await writeWhole(out!, listOf(explanations));
  else if (format === 'html') {
    const sections =
      title === undefined
        ? explanations.map((each) => ({ title: each.target.label, explanations: [each], ...given }))
        : [{ title, explanations, ...given }];
    await writeWhole(out!, await renderReport({ language, view, models: [explanations[0]!.model], sections }));
  } else if (format !== undefined && title !== undefined && explanations.every(({ image, text }) => image && !text))
    await writeSheet([{ title, picture, explanations }], format, flags);
  else if (format !== undefined) {
    const svg = await figuresSvg(explanations, { language, view, theme: 'light', encodePng, ...given });
    await writeWhole(out!, format === 'svg' ? svg : await svgToPng(svg));
  }
  if (flags.json) printJson(listOf(explanations));
  else if (format === undefined) process.stdout.write(explained.map((each) => terminalView(each, language)).join('\n'));
  else process.stdout.write(`wrote ${out}\n`);
}

async function writeSheet(rows: readonly SheetRow[], format: FileFormat, flags: ExplainFlags): Promise<void> {
  const { out, language, view, scale } = flags;
  const sheet = await contactSheet(rows, { language, view, scale });
  await writeWhole(out!, format === 'svg' ? sheet : await svgToPng(sheet));
}
