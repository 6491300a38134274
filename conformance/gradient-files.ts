/**
 * Whether `onnxray gradient` writes standard files: for each model of the repository the command's file goes through
 * onnx.checker in full and runs in Python's plain onnxruntime; and the examples of docs/gradient.md run as they stand there.
 *
 *     ONNXRAY_PYTHON=python npm run gradient-files       needs onnx, onnxruntime and numpy; writes docs/gradient.md's table
 */
import { execFileSync } from 'node:child_process';
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { ModelHost, findFeatures, isFloat } from 'onnxray';
import { table, writeBlock } from '../scripts/blocks.ts';

const root = path.resolve(import.meta.dirname, '..');
const document = path.join(root, 'docs/gradient.md');
const python = process.env['ONNXRAY_PYTHON'] ?? 'python3';
const cli = path.join(root, 'dist/cli/bin.js');

/** Models by the name they have in the table, and the files they need beside them. */
function models(): Map<string, { file: string; beside: string[] }> {
  const found = new Map<string, { file: string; beside: string[] }>();
  for (const name of ['text-spam', 'image-imagenet'])
    found.set(`zoo ${name}`, { file: path.join(root, 'zoo', name, 'onnx/model.onnx'), beside: [] });
  for (const room of ['attribution', 'attention', 'onnx']) {
    const folder = path.join(root, 'test', room, 'fixtures');
    const files = readdirSync(folder).sort();
    const beside = files.filter((file) => file.endsWith('.bin')).map((file) => path.join(folder, file));
    for (const file of files)
      if (file.endsWith('.onnx')) found.set(`${room} ${file.slice(0, -5)}`, { file: path.join(folder, file), beside });
  }
  return found;
}

interface Row {
  readonly name: string;
  readonly checker: string;
  readonly nodes: number;
  readonly domains: readonly string[];
  readonly opset: number;
  /** Largest difference of the model's output, relative; absent where onnxruntime cannot run the model itself. */
  readonly outputs?: number;
  readonly gradients?: Readonly<Record<string, readonly number[]>>;
  readonly differences?: number;
  /** In half precision, where bounds are wider. */
  readonly half?: boolean;
}

const work = mkdtempSync(path.join(tmpdir(), 'onnxray-gradients-'));
for (const [name, { file, beside }] of models()) {
  const folder = path.join(work, name);
  mkdirSync(folder);
  const model = path.join(folder, 'model.onnx');
  copyFileSync(file, model);
  for (const each of beside) copyFileSync(each, path.join(folder, path.basename(each)));
  const host = await ModelHost.open(model, { cache: false });
  const of = host.model.graph.outputs.find(({ type }) => isFloat(type))?.name;
  const wrt = findFeatures(host.model).map(({ value }) => value);
  if (of === undefined || wrt.length === 0) continue;
  execFileSync(process.execPath, [
    cli,
    'gradient',
    model,
    '--of',
    of,
    '--wrt',
    ...wrt,
    '-o',
    path.join(folder, 'gradient.onnx'),
  ]);
  writeFileSync(path.join(folder, 'wrt.json'), JSON.stringify([of, wrt]));
}
const { onnx, onnxruntime, rows } = JSON.parse(
  execFileSync(python, [path.join(import.meta.dirname, 'gradient_files.py'), work], {
    encoding: 'utf8',
    maxBuffer: 1e8,
  }),
) as { onnx: string; onnxruntime: string; rows: Row[] };
if (process.argv.includes('--keep')) console.error(work);
else rmSync(work, { recursive: true });

const examples = runExamples();
const bad = rows.filter(
  ({ checker, half, outputs, differences }) =>
    checker !== 'passes' || (outputs ?? 0) > (half ? 1e-2 : 1e-4) || (differences ?? 0) > (half ? 5e-2 : 1e-2),
);
const report = [
  `onnx ${onnx} (checker, full), onnxruntime ${onnxruntime} for Python, ${new Date().toISOString().slice(0, 10)}: ${rows.filter(({ checker }) => checker === 'passes').length} of ${rows.length} files pass the checker, ${rows.length - bad.length} pass everything. The ${examples} examples above ran as they stand.`,
  table(
    [
      'model',
      'opset',
      'nodes',
      'operators beyond ai.onnx',
      'checker',
      'outputs against the model’s',
      'gradient against differences',
    ],
    rows.map(({ name, opset, nodes, domains, checker, outputs, differences }) => [
      name,
      String(opset),
      String(nodes),
      domains.join(', ') || 'none',
      checker,
      outputs?.toExponential(0) ?? 'onnxruntime does not load the model',
      differences === undefined ? 'of an inner value' : differences.toExponential(0),
    ]),
  ),
].join('\n\n');
console.log(report);
writeBlock(document, 'gradient-files', report);
if (bad.length > 0) {
  console.error(`not as it should be: ${bad.map(({ name }) => name).join(', ')}`);
  process.exitCode = 1;
}

/** Runs the fenced examples of the document in their order, in a folder where `zoo` is; gives how many there were. */
function runExamples(): number {
  const folder = mkdtempSync(path.join(tmpdir(), 'onnxray-example-'));
  symlinkSync(path.join(root, 'zoo'), path.join(folder, 'zoo'));
  const blocks = [...readFileSync(document, 'utf8').matchAll(/```(sh|python)\n([\s\S]*?)```/g)];
  for (const [, language, code] of blocks) {
    const options = { cwd: folder, encoding: 'utf8', stdio: 'pipe' } as const;
    if (language === 'python') console.log(execFileSync(python, ['-c', code!], options).trim());
    else execFileSync('sh', ['-ec', code!.replaceAll('npx onnxray', `"${process.execPath}" "${cli}"`)], options);
  }
  rmSync(folder, { recursive: true });
  return blocks.length;
}
