/** Writes what the README shows: the pictures and the last lines of a run of the demo, and the list of methods. `npm run readme`. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import sharp from 'sharp';
import { ALL_METHODS } from 'onnxray';
import { writeBlock } from './blocks.ts';

const root = path.resolve(import.meta.dirname, '..');
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
const { onnx, totals } = JSON.parse(readFileSync(path.join(root, 'docs/conformance.json'), 'utf8')) as {
  onnx: string;
  totals: Readonly<Record<'marked' | 'markedFirst' | 'markedSecond' | 'covered' | 'operators', number>>;
};
const counts: Readonly<Record<string, string>> = {
  'README.md': `${totals.markedFirst} of the ${totals.marked} operators that ONNX ${onnx} marks differentiable are verified by central differences, ${totals.markedSecond} of them to second order; ${totals.covered} of all ${totals.operators} operators that take floats have a gradient. (onnxruntime's own gradient builder, retired, had about 60 on CPU; jax-js's importer has 113 handlers.)`,
  'README.zh-CN.md': `ONNX ${onnx} 标为可微的 ${totals.marked} 个算子中，${totals.markedFirst} 个经中心差分验证，其中 ${totals.markedSecond} 个到二阶；所有接受浮点数的 ${totals.operators} 个算子中，${totals.covered} 个有梯度。`,
};
for (const readme of ['README.md', 'README.zh-CN.md']) {
  writeBlock(path.join(root, readme), 'conformance', counts[readme]!);
  writeBlock(path.join(root, readme), 'demo', ['```text', first, '...', `${last}   (${seconds} s)`, '```'].join('\n'));
  writeBlock(path.join(root, readme), 'methods', ALL_METHODS.map(({ name }) => `\`${name}\``).join(', '));
}
console.log(`demo took ${seconds} s`);
