import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Option } from 'commander';
import type { Command } from 'commander';
import { ExplainableModel } from '../../attribution/index.ts';
import type { Explained, Subject } from '../../attribution/index.ts';
import { unwritable } from '../../onnx/index.ts';
import { makeFolder } from '../../runtime/index.ts';
import { renderExplanation, renderReport } from '../../views/index.ts';
import type { Language, ReportModel, ReportSection } from '../../views/index.ts';
import { DEMO_MODELS, demoSubjects } from '../demo.ts';
import type { DemoModel } from '../demo.ts';
import type { RuntimeFlags } from '../flags.ts';
import { addRuntimeFlags, hostOptions } from '../flags.ts';
import { progressLine, writeWhole } from '../output.ts';
import { terminalView } from '../explained.ts';

interface DemoFlags extends RuntimeFlags {
  readonly out: string;
  readonly language: Language;
}

/** The same three views of every answer, from the most to the least exact. */
const METHODS = ['integrated-gradients', 'input-x-gradient', 'saliency'] as const;

export function addDemo(command: Command): void {
  command
    .option('--out <folder>', 'where to write the page and its pictures', 'onnxray-report')
    .addOption(new Option('--language <code>', 'of what is shown').choices(['en', 'zh']).default('en'));
  addRuntimeFlags(command)
    .addHelpText('after', '\nExamples:\n  onnxray demo\n  onnxray demo --out report --language zh')
    .action(run);
}

async function run(flags: DemoFlags): Promise<void> {
  await makeFolder(path.resolve(flags.out)).catch((error: unknown) => {
    throw unwritable(flags.out, error);
  });
  const sections: ReportSection[] = [];
  const models: ReportModel[] = [];
  for (const demo of DEMO_MODELS) {
    const model = await ExplainableModel.open(fileURLToPath(demo.folder), hostOptions(flags));
    try {
      models.push({ path: demo.label, sha256: model.host.sha256, name: demo.name, licence: demo.licence });
      for (const { subject, title, note } of await demoSubjects(demo)) {
        const explained = await explainAll(model, demo, subject, flags);
        process.stdout.write(`${terminalView(explained[0]!, flags.language)}\n`);
        const { picture } = explained[0]!;
        sections.push({
          title,
          ...(note === undefined ? {} : { note }),
          explanations: explained.map(({ explanation }) => explanation),
          ...(picture === undefined ? {} : { picture }),
        });
        await writePictures(flags.out, title.en, explained, flags.language);
      }
    } finally {
      await model.release();
    }
  }
  const file = path.join(flags.out, 'index.html');
  await writeWhole(
    file,
    await renderReport({ models, sections, command: 'npx onnxray demo', language: flags.language }),
  );
  process.stdout.write(`wrote ${file}: open it in a browser\n`);
}

async function explainAll(
  model: ExplainableModel,
  demo: DemoModel,
  subject: Subject,
  flags: DemoFlags,
): Promise<Explained[]> {
  const results: Explained[] = [];
  for (const method of METHODS) {
    const progress = progressLine(`${demo.label} ${method}`, flags.quiet ?? false);
    const { explanation, ...rest } = await model.explain(subject, { method, onProgress: progress });
    progress.clear();
    // The page names models and pictures as they lie in the repository, not where this machine has them.
    const image =
      explanation.image && 'image' in subject
        ? { image: { ...explanation.image, path: path.basename(String(subject.image)) } }
        : {};
    results.push({
      explanation: { ...explanation, ...image, model: { ...explanation.model, path: demo.label } },
      ...rest,
    });
  }
  return results;
}

async function writePictures(
  folder: string,
  title: string,
  explained: readonly Explained[],
  language: Language,
): Promise<void> {
  const slug = title
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-|-$/g, '')
    .slice(0, 40);
  for (const { explanation, picture } of explained) {
    const png = await renderExplanation(explanation, {
      format: 'png',
      language,
      ...(picture === undefined ? {} : { picture }),
    });
    await writeWhole(path.join(folder, `${slug}-${explanation.method}.png`), png);
  }
}
