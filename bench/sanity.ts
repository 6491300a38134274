/**
 * Are the embedded text model's explanations sane? For 200 held-out e-mails: deleting the fifth of the tokens that
 * integrated gradients scores highest against deleting a random fifth.
 *
 *     npm run sanity
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { ExplainableModel, deletionTest, encodeText, loadTokenizer, requireTokenizer } from 'onnxray';
import { writeBlock } from '../scripts/blocks.ts';

const root = path.resolve(import.meta.dirname, '..');
const MAILS = 200;

const mails = JSON.parse(readFileSync(path.join(root, 'zoo/text-spam/heldout.json'), 'utf8')) as {
  id: string;
  label: string;
  text: string;
}[];
const model = await ExplainableModel.open(path.join(root, 'zoo/text-spam'));
const tokenizer = loadTokenizer(requireTokenizer(model.folder));
const session = await model.host.openOriginal();

let wins = 0;
let correct = 0;
let gap = 0;
let steps = 0;
const started = performance.now();
const step = Math.floor(mails.length / MAILS);
const chosen = Array.from({ length: MAILS }, (_, index) => mails[index * step]!);
for (const [index, { text, label }] of chosen.entries()) {
  const { explanation } = await model.explain({ text }, { method: 'integrated-gradients' });
  const { tensors } = encodeText(tokenizer, [text], model.inputs, { config: model.folder.config ?? {} });
  const { top, random } = await deletionTest(session, tensors, explanation, { fraction: 0.2, seed: index });
  if (top > random) wins++;
  if (explanation.target.label === label) correct++;
  steps += Number(explanation.options['steps']);
  gap +=
    Math.abs(explanation.convergenceDelta!) / Math.max(1e-4, Math.abs(explanation.value - explanation.baselineValue!));
}
await session.release();
await model.release();

const percent = (share: number) => `${(100 * share).toFixed(1)}%`;
const summary = `Deleting the top 20% of tokens by integrated gradients moves the answer more than deleting a random 20% in **${percent(wins / MAILS)}** of ${MAILS} held-out e-mails (mean gap ${percent(gap / MAILS)}, ${(steps / MAILS).toFixed(0)} steps on average; the model is right on ${percent(correct / MAILS)} of them).`;
console.log(summary.replaceAll('**', ''));
console.log(`${((performance.now() - started) / 1000).toFixed(0)} s`);
writeBlock(path.join(root, 'zoo/text-spam/CARD.md'), 'sanity', summary);
if (wins / MAILS < 0.85) process.exitCode = 1;
