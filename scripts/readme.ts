/**
 * Writes what the README shows: the pictures and the last lines of a run of the demo, the list of methods, and what of
 * ONNX is differentiable beside others. `npm run readme`; `npm run readme -- --counts` writes the last two alone.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import sharp from 'sharp';
import { ALL_METHODS, COMPOSITE_OPERATORS, GRADIENT_RULES } from 'onnxray';
import { writeBlock } from './blocks.ts';

const root = path.resolve(import.meta.dirname, '..');
writeCounts();
if (process.argv.includes('--counts')) process.exit();

const folder = mkdtempSync(path.join(tmpdir(), 'onnxray-readme-'));
const started = performance.now();
const printed = execFileSync(process.execPath, [path.join(root, 'dist/cli/bin.js'), 'demo', '--out', folder], {
  encoding: 'utf8',
  maxBuffer: 1e8,
  env: { ...process.env, NO_COLOR: '1' },
});
const seconds = ((performance.now() - started) / 1000).toFixed(0);

const picture = async (from: string, to: string) => {
  const small = await sharp(readFileSync(path.join(folder, from)))
    .resize({ width: 1100, withoutEnlargement: true })
    .png({ palette: true, quality: 90 })
    .toBuffer();
  writeFileSync(path.join(root, 'docs/images', to), small);
};
await picture('mail-1-spam-integrated-gradients.png', 'text.png');
await picture('a-cat-integrated-gradients.png', 'image.png');
rmSync(folder, { recursive: true });

const first = printed.split('\n').slice(0, 26).join('\n');
const last = printed.trimEnd().split('\n').at(-1)!.replace(folder, 'onnxray-report');
for (const readme of ['README.md', 'README.zh-CN.md']) {
  writeBlock(path.join(root, readme), 'demo', ['```text', first, '...', `${last}   (${seconds} s)`, '```'].join('\n'));
}
console.log(`demo took ${seconds} s`);

/** What others have, counted in their sources on 2026-11-24. */
interface Peers {
  /** Operators that jax-js's importer handles: the functions that packages/onnx/src/ops exports, @jax-js/onnx 0.1.2 of 2026-08-19. */
  readonly jaxJs: number;
  /** Entries of onnxruntime's gradient_builder_registry.cc, the fullest copy found. */
  readonly ortEntries: number;
  /** Those of them that a model for inference can hold: not ConcatTraining, (Sparse)SoftmaxCrossEntropy, SoftmaxCrossEntropyLossInternal, MegatronF, MegatronG, Send, Recv, PythonOp, ExternalGradient. */
  readonly ortOperators: number;
}

function writeCounts(): void {
  const peers: Peers = { jaxJs: 113, ortEntries: 68, ortOperators: 58 };
  const { onnx, totals } = JSON.parse(readFileSync(path.join(root, 'docs/conformance.json'), 'utf8')) as {
    onnx: string;
    totals: Readonly<Record<'marked' | 'markedFirst' | 'markedSecond' | 'covered' | 'operators', number>>;
  };
  const rules = Object.keys(GRADIENT_RULES).length;
  const composites = COMPOSITE_OPERATORS.length;
  const counts: Readonly<Record<string, string>> = {
    'README.md': `${totals.markedFirst} of the ${totals.marked} operators that ONNX ${onnx} marks differentiable are verified by central differences, ${totals.markedSecond} of them to second order; ${totals.covered} of all ${totals.operators} operators that take floats have a gradient. With those of onnxruntime's own domain, ${rules} operators have an entry in the table of rules and ${composites} are taken apart into such. For comparison, counted in their sources: jax-js's ONNX importer handles ${peers.jaxJs} operators (no BatchNormalization, AveragePool, ConvTranspose, Scatter*, GatherND, If, com.microsoft); onnxruntime's own gradient builder, retired, has ${peers.ortEntries} entries, ${peers.ortOperators} of them for operators of inference models.`,
    'README.zh-CN.md': `ONNX ${onnx} 标为可微的 ${totals.marked} 个算子中，${totals.markedFirst} 个经中心差分验证，其中 ${totals.markedSecond} 个到二阶；所有接受浮点数的 ${totals.operators} 个算子中，${totals.covered} 个有梯度。连同 onnxruntime 自有域的算子，规则表有 ${rules} 项，另有 ${composites} 个算子被拆成这些算子。对照（按源码计数）：jax-js 的 ONNX 导入器处理 ${peers.jaxJs} 个算子；onnxruntime 已退役的梯度构建器有 ${peers.ortEntries} 项，其中 ${peers.ortOperators} 项是推理模型里的算子。`,
  };
  const methods = ALL_METHODS.map(({ name }) => `\`${name}\``).join(', ');
  for (const [readme, text] of Object.entries(counts)) {
    writeBlock(path.join(root, readme), 'conformance', text);
    writeBlock(path.join(root, readme), 'methods', methods);
  }
}
