import { readFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { analyseAttention } from '../../src/attention/index.ts';
import { ExplainableModel } from '../../src/attribution/index.ts';
import { IMAGE_MODEL, photograph, testFolder } from '../folder.ts';
import { expectRefusal, onnxray } from '../cli/onnxray.ts';

const FOLDER = path.join(import.meta.dirname, 'caption');
const PICTURE = path.join(import.meta.dirname, 'clip/picture.png');
const home = testFolder('caption');

interface Reference {
  readonly text: string;
  readonly ids: readonly number[];
  readonly logits: readonly number[];
  readonly cross: readonly number[];
  readonly dims: readonly number[];
}
const reference = JSON.parse(readFileSync(path.join(FOLDER, 'reference.json'), 'utf8')) as Reference;

let model: ExplainableModel;
beforeAll(async () => {
  model = await ExplainableModel.open(FOLDER, { cache: false, threads: 1 });
});
afterAll(() => model.release());

test('each word of a caption looks at the patches that the model’s own cross-attention says', async () => {
  const encoded = await model.encode({ image: PICTURE, text: reference.text });
  expect(encoded.kind === 'image-text' && encoded.text.ids).toEqual(reference.ids);
  const { map, blocks } = await analyseAttention(model.host, { inputs: encoded.tensors, analysis: 'cross' });
  expect(map!.dims).toEqual(reference.dims);
  reference.cross.forEach((value, at) => expect(map!.data[at]).toBeCloseTo(value, 5));
  expect(blocks.map(({ kind, layer }) => `${kind} ${layer}`)).toEqual(['cross 0', 'cross 1']);
});

test('an encoder and a decoder in two files are one model, found in their folder or given by --with', async () => {
  const files = ['encoder_model', 'decoder_model'].map((name) => path.join(FOLDER, 'pair', `${name}.onnx`)) as [
    string,
    string,
  ];
  const pair = await ExplainableModel.open(path.join(FOLDER, 'pair'), { cache: false, threads: 1 });
  expect(pair.inputs.map(({ name }) => name)).toEqual(['pixel_values', 'decoder_input_ids']);
  expect(pair.host.model.graph.outputs.map(({ name }) => name)).toEqual(['logits']);
  await pair.release();
  for (const given of [files, files.toReversed()]) {
    const [first, second] = given as [string, string];
    const joined = await ExplainableModel.open(first, { with: [second], cache: false, threads: 1 });
    const { tensors } = await model.encode({ image: PICTURE, text: reference.text });
    const { map } = await analyseAttention(joined.host, { inputs: tensors, analysis: 'cross' });
    expect(map!.dims).toEqual(reference.dims);
    reference.cross.forEach((value, at) => expect(map!.data[at]).toBeCloseTo(value, 5));
    await joined.release();
  }
});

test('one layer is a part of the mean over layers', async () => {
  const { tensors } = await model.encode({ image: PICTURE, text: reference.text });
  const layers = ['0', '1'].map((layer) => analyseAttention(model.host, { inputs: tensors, analysis: 'cross', layer }));
  const [first, second] = (await Promise.all(layers)).map(({ map }) => map!.data);
  reference.cross.forEach((value, at) => expect((first![at]! + second![at]!) / 2).toBeCloseTo(value, 5));
});

test.each(['cross', 'chefer'])('%s is drawn as a picture for each word, on one scale', async (analysis) => {
  const file = home.at(`${analysis}.svg`);
  const args = ['attention', FOLDER, '--image', PICTURE, '--text', reference.text, '--analysis', analysis];
  const { code, stderr } = await onnxray([...args, '--target', '4,30', '--out', file]);
  expect(stderr).toBe('');
  expect(code).toBe(0);
  const drawn = readFileSync(file, 'utf8');
  for (const word of ['photo', 'of', 'ca']) expect(drawn).toContain(`<title>${word}`);
  expect(drawn.match(/<image /g)!.length).toBeGreaterThanOrEqual(reference.ids.length);
});

test('a model without cross-attention, and a picture without words, are refused in one line', async () => {
  expectRefusal(await onnxray(['attention', FOLDER, '--image', PICTURE]), 1, /give --image and --text/);
  const args = ['attention', IMAGE_MODEL, '--image', photograph('cat.jpg'), '--analysis', 'cross'];
  expectRefusal(await onnxray(args), 1, /attends nowhere|no cross-attention/);
});
