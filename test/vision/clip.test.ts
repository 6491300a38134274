import { readFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ExplainableModel } from '../../src/attribution/index.ts';
import type { Explanation } from '../../src/explanation/index.ts';
import { numbersWeight, readModel } from '../../src/onnx/index.ts';
import { TEXT_MODEL, testFolder } from '../folder.ts';
import { expectRefusal, onnxray, onnxrayJson } from '../cli/onnxray.ts';
import { makeNode } from '../models.ts';

const FOLDER = path.join(import.meta.dirname, 'clip');
const PICTURE = path.join(FOLDER, 'picture.png');
const home = testFolder('clip');

interface Case {
  readonly text: string;
  readonly ids: readonly number[];
  readonly value: number;
  readonly scale: number;
  readonly methods: readonly {
    readonly method: string;
    readonly reference: string;
    readonly pixels?: readonly number[];
    readonly words?: readonly number[];
  }[];
}

const { cases } = JSON.parse(readFileSync(path.join(FOLDER, 'reference.json'), 'utf8')) as {
  readonly cases: readonly Case[];
};

/** |ours - theirs| over |theirs|. */
function relativeError(ours: ArrayLike<number>, theirs: readonly number[]): number {
  expect(ours.length).toBe(theirs.length);
  let [difference, size] = [0, 0];
  theirs.forEach((each, at) => {
    difference += (ours[at]! - each) ** 2;
    size += each ** 2;
  });
  return Math.sqrt(difference / Math.max(size, 1e-12));
}

const OPTIONS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'integrated-gradients': { steps: '400', rule: 'gauss-legendre' },
};

let model: ExplainableModel;
beforeAll(async () => {
  model = await ExplainableModel.open(FOLDER, { cache: false, threads: 1 });
});
afterAll(() => model.release());

describe.each(cases)('the similarity of a picture and “$text”', ({ text, value, methods }) => {
  test.each(methods)('by $method has the scores of $reference', async ({ method, pixels, words }) => {
    const { explanation } = await model.explain({ image: PICTURE, text }, { method, options: OPTIONS[method] ?? {} });
    expect(explanation.value).toBeCloseTo(value, 4);
    expect(explanation.target.label).toBe(text);
    const { [explanation.text!.input]: ofWords, ...rest } = explanation.attributions;
    const ofPixels = Object.values(rest)[0];
    if (pixels !== undefined) expect(relativeError(ofPixels!.data, pixels)).toBeLessThan(1e-4);
    if (words === undefined) expect(ofWords).toBeUndefined();
    else expect(relativeError(ofWords!.data, words)).toBeLessThan(1e-4);
  });
});

/** The same weights in two files, a tower in each, as transformers exports them. */
describe('a model in two files', () => {
  const VISION = path.join(FOLDER, 'pair/vision_model.onnx');
  const TEXT = path.join(FOLDER, 'pair/text_model.onnx');
  let pair: ExplainableModel;
  beforeAll(async () => {
    pair = await ExplainableModel.open(VISION, { with: [TEXT], cache: false, threads: 1 });
  });
  afterAll(() => pair.release());

  const all = cases.flatMap(({ methods, ...rest }) => methods.map((each) => ({ ...rest, ...each })));
  test.each(all)(
    'has the scores of $reference by $method, of “$text”',
    async ({ text, value, scale, method, pixels, words }) => {
      const options = { method, options: OPTIONS[method] ?? {}, logitScale: scale };
      const { explanation } = await pair.explain({ image: PICTURE, text }, options);
      expect(explanation.value).toBeCloseTo(value, 4);
      const { [explanation.text!.input]: ofWords, ...rest } = explanation.attributions;
      if (pixels !== undefined) expect(relativeError(Object.values(rest)[0]!.data, pixels)).toBeLessThan(1e-4);
      if (words === undefined) expect(ofWords).toBeUndefined();
      else expect(relativeError(ofWords!.data, words)).toBeLessThan(1e-4);
    },
  );

  test('shares a softmax over texts once their scale is known, and the cosine alone otherwise', async () => {
    const texts = cases.map(({ text }) => text);
    const { scale } = cases[0]!;
    const args = ['explain', VISION, '--with', TEXT, '--image', PICTURE, '--method', 'saliency'];
    const flags = [...args, ...texts.flatMap((text) => ['--text', text])];
    const whole = await onnxrayJson<Explanation[]>([...flags, '--logit-scale', String(scale)]);
    const [first, second] = cases.map(({ value }) => value) as [number, number];
    const share = 1 / (1 + Math.exp(second - first));
    expect(whole[0]!.predictions!.find(({ label }) => label === texts[0])!.value).toBeCloseTo(share, 4);
    expect(whole[0]!.model.path).toBe(`${VISION} + ${TEXT}`);
    const cosines = await onnxrayJson<Explanation[]>(flags);
    expect(cosines[1]!.value).toBeCloseTo(second / scale, 5);
    expect(cosines[0]!.predictions).toBeUndefined();
  });

  test('is found in its folder, and each file by itself stays what it is', async () => {
    const folder = await ExplainableModel.open(path.join(FOLDER, 'pair'), { cache: false, threads: 1 });
    expect(folder.inputs.map(({ name }) => name)).toEqual(['pixel_values', 'input_ids']);
    await folder.release();
    const alone = await ExplainableModel.open(TEXT, { cache: false, threads: 1 });
    expect(alone.inputs.map(({ name }) => name)).toEqual(['input_ids']);
    await alone.release();
  });

  test('may lie in two folders', async () => {
    const files = { 'a/vision_model.onnx': VISION, 'b/text_model.onnx': TEXT };
    for (const [name, file] of Object.entries(files)) home.write(name, readFileSync(file));
    for (const name of ['tokenizer.json', 'tokenizer_config.json', 'preprocessor_config.json'])
      home.write(`a/${name}`, readFileSync(path.join(FOLDER, name)));
    const [first, second] = Object.keys(files).map((name) => home.at(name)) as [string, string];
    const apart = await ExplainableModel.open(first, { with: [second], cache: false, threads: 1 });
    const { text, value, scale } = cases[1]!;
    const { explanation } = await apart.explain({ image: PICTURE, text }, { method: 'saliency', logitScale: scale });
    await apart.release();
    expect(explanation.value).toBeCloseTo(value, 4);
  });

  test('refuses what does not fit in one line', async () => {
    const args = ['explain', VISION, '--image', PICTURE, '--text', 'a cat', '--with'];
    expectRefusal(await onnxray([...args, home.at('none.onnx')]), 1, /cannot read .*none\.onnx/);
    expectRefusal(await onnxray([...args, TEXT, '--logit-scale', '-1']), 2, /it must be a number above 0/);
    expectRefusal(
      await onnxray(['explain', FOLDER, '--image', PICTURE, '--text', 'a cat', '--logit-scale', '9']),
      2,
      /is scaled by the model itself: leave --logit-scale out/,
    );
  });
});

test('ids are those of the tokenizer that made the file', async () => {
  for (const { text, ids } of cases) {
    const encoded = await model.encode({ image: PICTURE, text });
    expect(encoded.kind === 'image-text' && encoded.text.ids).toEqual(ids);
  }
});

test('of a model that gives embeddings alone, the cosine is explained', async () => {
  const whole = readModel(readFileSync(path.join(FOLDER, 'model.onnx')));
  const outputs = whole.graph.outputs.filter(({ name }) => name.endsWith('_embeds'));
  home.write('embeds/model.onnx', { ...whole, graph: { ...whole.graph, outputs } });
  for (const name of ['tokenizer.json', 'tokenizer_config.json', 'preprocessor_config.json'])
    home.write(`embeds/${name}`, readFileSync(path.join(FOLDER, name)));
  const embeds = await ExplainableModel.open(home.at('embeds'), { cache: false, threads: 1 });
  const { text, value, scale, methods } = cases[0]!;
  const found = (await embeds.explainTexts(PICTURE, [text, 'a red flower'], { method: 'input-x-gradient' }))[0]!;
  await embeds.release();
  expect(found.explanation.value).toBeCloseTo(value / scale, 5);
  expect(found.explanation.predictions).toBeUndefined();
  const { pixels } = methods.find(({ method }) => method === 'input-x-gradient')!;
  const { data } = found.explanation.attributions['pixel_values']!;
  expect(
    relativeError(
      data.map((each) => each * scale),
      pixels!,
    ),
  ).toBeLessThan(1e-4);
});

test('scores of pixels and words together add up to the change of the similarity', async () => {
  const { explanation } = await model.explain({ image: PICTURE, text: 'a red flower' });
  expect(Math.abs(explanation.convergenceDelta!)).toBeLessThan(
    0.01 * Math.abs(explanation.value - explanation.baselineValue!),
  );
});

test('several texts share a softmax, and are explained as each by itself', async () => {
  const texts = ['a photo of a cat', 'a rocket in the sky'];
  const args = ['explain', FOLDER, '--image', PICTURE, '--method', 'saliency'];
  const both = await onnxrayJson<Explanation[]>([...args, ...texts.flatMap((text) => ['--text', text])]);
  expect(both.map(({ target }) => target.label)).toEqual(texts);
  const [first, second] = both.map(({ value }) => value) as [number, number];
  const share = 1 / (1 + Math.exp(second - first));
  expect(both[0]!.predictions!.find(({ label }) => label === texts[0])!.value).toBeCloseTo(share, 5);
  const alone = await onnxrayJson<Explanation>([...args, '--text', texts[1]!]);
  expect(alone.attributions).toEqual(both[1]!.attributions);
  expect(alone.predictions).toBeUndefined();
});

test('the picture and the words are drawn together, for each text', async () => {
  const args = ['explain', FOLDER, '--image', PICTURE, '--method', 'input-x-gradient'];
  const texts = ['--text', 'a photo of a cat', '--text', 'a dog <b>'];
  for (const name of ['pairs.svg', 'pairs.html']) {
    const { code, stderr } = await onnxray([...args, ...texts, '--out', home.at(name)]);
    expect(stderr).toBe('');
    expect(code).toBe(0);
    const drawn = readFileSync(home.at(name), 'utf8');
    expect(drawn.match(/data:image\/png/g)!.length).toBeGreaterThanOrEqual(6);
    for (const word of ['photo', 'dog']) expect(drawn).toContain(`${word}<`);
    expect(drawn).not.toContain('<b>');
  }
  const shown = await onnxray([...args, ...texts]);
  expect(shown.stdout).toContain('photo');
  expect(shown.code).toBe(0);
});

test('what does not fit is refused in one line', async () => {
  expectRefusal(await onnxray(['explain', FOLDER, '--image', PICTURE]), 1, /give --image and --text/);
  expectRefusal(await onnxray(['explain', FOLDER, '--text', 'a cat']), 1, /give --image and --text/);
  expectRefusal(
    await onnxray(['explain', FOLDER, '--image', PICTURE, '--text', 'a', '--text', ' ']),
    1,
    /the text is empty/,
  );
  expectRefusal(
    await onnxray(['explain', FOLDER, '--image', PICTURE, '--text', 'a cat', '--target', '0']),
    2,
    /leave --target/,
  );
  expectRefusal(await onnxray(['explain', TEXT_MODEL, '--text', 'a', '--text', 'b']), 2, /give one --text/);
});

describe('of a model that answers for each pair by itself, as SigLIP does,', () => {
  const texts = cases.map(({ text }) => text);
  const BIAS = -3;

  /** The model with a bias on its similarities, and in a folder that says what it is, or not. */
  function biased(name: string, config: object): string {
    const whole = readModel(readFileSync(path.join(FOLDER, 'model.onnx')));
    const renamed = (value: string) => (value === 'logits_per_image' ? 'scaled' : value);
    const nodes = whole.graph.nodes.map((node) => ({
      ...node,
      inputs: node.inputs.map(renamed),
      outputs: node.outputs.map(renamed),
    }));
    const initializers = new Map([
      ...whole.graph.initializers,
      ['bias', numbersWeight('float32', [1], [BIAS])] as const,
    ]);
    const graph = {
      ...whole.graph,
      nodes: [...nodes, makeNode('Add', ['scaled', 'bias'], ['logits_per_image'])],
      initializers,
    };
    home.write(`${name}/model.onnx`, { ...whole, graph });
    home.write(`${name}/config.json`, config);
    for (const file of ['tokenizer.json', 'tokenizer_config.json', 'preprocessor_config.json'])
      home.write(`${name}/${file}`, readFileSync(path.join(FOLDER, file)));
    return home.at(name);
  }

  test.each([
    ['its graph', {}],
    ['its configuration', { model_type: 'siglip2' }],
  ])('each text has a probability of its own, told by %s', async (told, config) => {
    const siglip = await ExplainableModel.open(biased(told.replaceAll(' ', '-'), config), { cache: false, threads: 1 });
    const all = await siglip.explainTexts(PICTURE, texts, { method: 'saliency' });
    const [alone] = await siglip.explainTexts(PICTURE, [texts[0]!], { method: 'saliency' });
    await siglip.release();
    const probability = (value: number) => 1 / (1 + Math.exp(-value - BIAS));
    for (const { text, value } of cases) {
      const { predictions } = all[0]!.explanation;
      expect(predictions!.find(({ label }) => label === text)!.value).toBeCloseTo(probability(value), 4);
    }
    expect(alone!.explanation.predictions).toHaveLength(1);
    expect(alone!.explanation.predictions![0]!.value).toBeCloseTo(probability(cases[0]!.value), 4);
  });
});
