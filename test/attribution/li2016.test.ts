/** Heat maps of words and dimensions, on the spam model. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ExplainableModel } from '../../src/attribution/index.ts';
import { weightTensor } from '../../src/onnx/index.ts';
import { renderExplanation } from '../../src/views/index.ts';

let model: ExplainableModel;
beforeAll(async () => {
  model = await ExplainableModel.open('zoo/text-spam', { cache: false, threads: 1 });
});
afterAll(() => model.release());

const text = 'This offer is not free';
const mapOf = async (method: string, more: object = {}) => {
  const { explanation } = await model.explain({ text }, { method, target: 'spam', ...more });
  const [name, scores] = Object.entries(explanation.attributions)[0]!;
  const rows = Array.from({ length: scores.dims[0]! }, (_, row) =>
    Array.from(scores.data).slice(row * scores.dims[1]!, (row + 1) * scores.dims[1]!),
  );
  return { explanation, name, dims: scores.dims, rows };
};

test('the first derivative’s norm over the dimensions of a token is its saliency', async () => {
  const { explanation, name, dims, rows } = await mapOf('first-derivative-saliency');
  expect([name, dims]).toEqual(['input_ids dimensions', [explanation.tokens!.length, 384]]);
  const { explanation: saliency } = await model.explain({ text }, { method: 'saliency', target: 'spam' });
  rows.forEach((row, token) => {
    const norm = Math.sqrt(row.reduce((sum, each) => sum + each * each, 0));
    expect(norm / saliency.attributions['input_ids']!.data[token]!).toBeCloseTo(1, 4);
  });
  expect(rows.flat().every((score) => score >= 0)).toBe(true);
});

test('the variance of a dimension is spread over the tokens, whatever is asked', async () => {
  const { rows } = await mapOf('variance-saliency');
  const { rows: other } = await mapOf('variance-saliency', { target: 'ham' });
  expect(rows).toEqual(other);
  const table = weightTensor(model.host.model.graph.initializers.get('bert.embeddings.word_embeddings.weight')!)!;
  const { tensors } = await model.encode({ text });
  const column = Array.from(
    tensors['input_ids']!.data as BigInt64Array,
    (id) => (table.data as Float32Array)[Number(id) * table.dims[1]! + 5]!,
  );
  const mean = column.reduce((sum, each) => sum + each, 0) / column.length;
  column.forEach((each, token) => expect(rows[token]![5]).toBeCloseTo((each - mean) ** 2, 7));
});

test('composition ends with what the layer is for the whole text, and begins with the baseline’s', async () => {
  const layer = 'bert.pooler.activation.Tanh';
  const { name, rows, explanation } = await mapOf('composition', { layer });
  expect(name).toBe(layer);
  expect(rows).toHaveLength(explanation.tokens!.length);
  // Special tokens are always there: the last token, [SEP], adds nothing.
  expect(rows.at(-1)).toEqual(rows.at(-2));
  const session = await model.host.openOriginal();
  const { tensors } = await model.encode({ text });
  const { logits } = await session.run(tensors);
  expect(explanation.value).toBeCloseTo(Number(logits!.data[1]), 3);
  await session.release();
  const change = rows.map((row, at) => (at === 0 ? 0 : Math.hypot(...row.map((unit, i) => unit - rows[at - 1]![i]!))));
  expect(Math.max(...change)).toBeGreaterThan(0.5);
});

test.each(['svg', 'html', 'ansi'] as const)('is drawn with a row for each token as %s', async (format) => {
  const { explanation } = await mapOf('first-derivative-saliency');
  const drawn = await renderExplanation(explanation, { format });
  for (const token of ['offer', 'free', 'not']) expect(drawn).toContain(token);
  if (format !== 'ansi') expect(drawn).toContain('data:image/png');
});
