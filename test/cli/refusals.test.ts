/** Bad input: one line, the right exit code, nothing half-written, and quickly. */
import { chmodSync, existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import sharp from 'sharp';
import { beforeAll, describe, expect, it } from 'vitest';
import { IMAGE_MODEL, TEXT_MODEL, photograph, testFolder } from '../folder.ts';
import {
  anySizePicture,
  externalWeight,
  integerAnswer,
  perceptron,
  unknownOperator,
  withoutRules,
  zipMap,
} from '../handmade.ts';
import { expectRefusal, onnxray } from './onnxray.ts';

const folder = testFolder('refusals');
const model = folder.write('perceptron.onnx', perceptron());
const textModelFile = path.join(TEXT_MODEL, 'onnx/model.onnx');

const row = { dims: [1, 4], type: 'float32', data: [1, 2, 3, 4] };
const inputs = (name: string, content: string | object) => folder.write(`${name}.json`, content);
const good = inputs('good', { x: row });

/** A command line, the exit code it must give and what its one line must say. */
type Refusal = readonly [what: string, args: () => readonly string[], code: 1 | 2, message: RegExp];

function refuses(cases: readonly Refusal[]): void {
  it.each(cases)('%s', async (_, args, code, message) => {
    expectRefusal(await onnxray(args()), code, message);
  });
}

describe('a file that is no model is refused by every command', () => {
  const bytes = readFileSync(textModelFile);
  const corrupt = Uint8Array.from(bytes.subarray(0, 400_000), (byte, at) => (at > 64 && at % 97 === 0 ? ~byte : byte));
  const files: readonly (readonly [string, () => string, RegExp])[] = [
    ['a missing file', () => folder.at('nowhere.onnx'), /there is no file or folder .*nowhere\.onnx/],
    ['an empty file', () => folder.write('empty.onnx', ''), /not an ONNX model: the file is empty/],
    ['a text', () => folder.write('text.onnx', 'Dear Sir or Madam,\n'), /not an ONNX model/],
    ['a truncated model', () => folder.write('truncated.onnx', bytes.subarray(0, 1_000_000)), /not an? .*ONNX model/],
    ['a corrupt model', () => folder.write('corrupt.onnx', corrupt), /not an? .*ONNX model/],
    ['a picture', () => photograph('cat.jpg'), /not an ONNX model/],
    [
      'an empty folder',
      () => {
        mkdirSync(folder.at('vacant'), { recursive: true });
        return folder.at('vacant');
      },
      /no model in .*vacant: looked for/,
    ],
  ];
  describe.each(files)('%s', (_, place, message) => {
    it('by inspect, explain and gradient', async () => {
      const file = place();
      const out = folder.at('never.onnx');
      const outcomes = await Promise.all([
        onnxray(['inspect', file, '--json']),
        onnxray(['explain', file, '--inputs', good, '--json']),
        onnxray(['gradient', file, '--of', 'y', '--wrt', 'x', '-o', out]),
      ]);
      for (const outcome of outcomes) expectRefusal(outcome, 1, message);
      expect(existsSync(out)).toBe(false);
    });
  });
});

describe('a model that cannot run is refused', () => {
  const explain = (file: string, ...more: string[]) => ['explain', file, '--inputs', good, ...more];
  refuses([
    [
      'with a missing file of weights',
      () => explain(folder.write('external.onnx', externalWeight('gone.bin'))),
      1,
      /gone\.bin/,
    ],
    [
      'with nothing but integers to explain',
      () => explain(folder.write('integers.onnx', integerAnswer())),
      1,
      /no floating-point output to explain/,
    ],
    [
      'with nothing but a sequence of maps to explain',
      () => explain(folder.write('zipmap.onnx', zipMap(false))),
      1,
      /no floating-point output to explain/,
    ],
    [
      'asked about its sequence of maps',
      () => explain(folder.write('zipmap-scores.onnx', zipMap(true)), '--output', 'probabilities'),
      1,
      /output "probabilities" is not a floating-point tensor .*"scores"/,
    ],
    [
      'with operators that have no gradient rule, all named',
      () => [
        'explain',
        folder.write('no-rules.onnx', withoutRules()),
        '--inputs',
        inputs('square', { x: { ...row, dims: [1, 2, 2] } }),
      ],
      1,
      /no gradient rule for com\.microsoft::Rfft \(node "Rfft_b", opset 1\); also missing: com\.example::Unfold/,
    ],
    [
      'with an operator nobody knows',
      () => explain(folder.write('unknown.onnx', unknownOperator())),
      1,
      /com\.example::Wobble/,
    ],
    [
      'asked for the gradient through operators without a rule',
      () => ['gradient', folder.at('no-rules.onnx'), '--of', 'y', '--wrt', 'x', '-o', folder.at('no.onnx')],
      1,
      /no gradient rule for com\.microsoft::Rfft .*also missing: com\.example::Unfold/,
    ],
    [
      'asked for the gradient of a value it does not have',
      () => ['gradient', model, '--of', 'z', '--wrt', 'x', '-o', folder.at('no.onnx')],
      1,
      /no value named "z"/,
    ],
    [
      'asked for the gradient with respect to integers',
      () => ['gradient', TEXT_MODEL, '--of', 'logits', '--wrt', 'input_ids', '-o', folder.at('no.onnx')],
      1,
      /"input_ids" is of type int64/,
    ],
    [
      'asked to write the gradient over it',
      () => ['gradient', folder.at('no-rules.onnx'), '--of', 'y', '--wrt', 'x', '-o', folder.at('no-rules.onnx')],
      1,
      /is the model itself: name another file/,
    ],
  ]);

  it('is described all the same by inspect', async () => {
    for (const name of ['integers', 'zipmap', 'no-rules', 'unknown']) {
      const { code, stderr } = await onnxray(['inspect', folder.at(`${name}.onnx`)]);
      expect([name, code, stderr]).toEqual([name, 0, '']);
    }
  });
});

describe('tensors that are not what the model takes are refused', () => {
  const explain = (name: string, content: string | object) => () => [
    'explain',
    model,
    '--inputs',
    inputs(name, content),
  ];
  refuses([
    [
      'NaN',
      explain('nan', '{"x": {"dims": [1, 4], "type": "float32", "data": [1, NaN, 3, 4]}}'),
      1,
      /has NaN at index 1/,
    ],
    ['infinity', explain('huge', { x: { ...row, data: [1, 1e300, 3, 4] } }), 1, /1e\+300 at index 1, .*too large/],
    ['another shape', explain('shape', { x: { ...row, dims: [1, 2, 2] } }), 1, /dims \[1, 2, 2\].*takes \[batch, 4\]/],
    ['too few values', explain('few', { x: { ...row, data: [1] } }), 1, /has 1 values, but dims \[1, 4\] make 4/],
    [
      'a batch of two',
      explain('two', { x: { ...row, dims: [2, 4], data: [1, 2, 3, 4, 5, 6, 7, 8] } }),
      1,
      /batch of 1/,
    ],
    ['no row at all', explain('none', { x: { ...row, dims: [0, 4], data: [] } }), 1, /batch of 1/],
    ['another type', explain('type', { x: { ...row, type: 'int64' } }), 1, /has type int64, .* takes float32/],
    ['an unknown type', explain('float128', { x: { ...row, type: 'float128' } }), 1, /unknown type "float128"/],
    ['another name', explain('name', { X: row }), 1, /no input "X"; its inputs are "x"/],
    ['one more', explain('extra', { x: row, z: row }), 1, /no input "z"/],
    ['none', explain('missing', {}), 1, /input "x" is missing/],
    ['malformed JSON', explain('malformed', '{"x": {"dims": [1, 4'), 1, /malformed\.json is not valid JSON/],
    ['JSON that is no object', explain('list', '[1, 2]'), 1, /expected an object/],
    [
      'a missing file',
      () => ['explain', model, '--inputs', folder.at('nowhere.json')],
      1,
      /cannot read .*nowhere\.json/,
    ],
  ]);
});

describe('what is asked for is checked', () => {
  const explain =
    (...more: string[]) =>
    () => ['explain', model, '--inputs', good, ...more];
  const mail =
    (...more: string[]) =>
    () => ['explain', TEXT_MODEL, '--text', 'free money', ...more];
  refuses([
    ['no command that exists', () => ['explian', model], 2, /unknown command .*explian.*explain/],
    ['no command at all', () => [], 2, /give a command: inspect, explain/],
    ['a flag that does not exist', explain('--methd', 'saliency'), 2, /unknown option .*--methd.*--method/],
    ['a flag without its value', explain('--method'), 2, /--method.*argument missing/],
    ['no model', () => ['explain'], 2, /missing required argument .*model/],
    ['two models', explain('another.onnx'), 2, /too many arguments/],
    ['no --of', () => ['gradient', model, '--wrt', 'x', '-o', 'g.onnx'], 2, /required option .*--of/],
    ['an unknown method', explain('--method', 'integrated-gradient'), 2, /unknown method .*integrated-gradients/],
    ['an unknown option of the method', explain('--option', 'stpes=3'), 2, /no option "stpes"; it has steps/],
    ['an option that is no pair', explain('--option', 'steps'), 2, /key=value/],
    ['zero steps', explain('--option', 'steps=0'), 2, /steps .* at least 1, not "0"/],
    ['steps in words', explain('--option', 'steps=abc'), 2, /steps .* not "abc"/],
    ['steps of nothing', explain('--option', 'steps='), 2, /steps .* not ""/],
    ['a negative tolerance', explain('--option', 'tolerance=-1'), 2, /tolerance .* above 0, not "-1"/],
    ['an unknown rule', explain('--option', 'rule=simpson'), 2, /rule .* one of adaptive, gauss-legendre/],
    ['a seed that is no number', explain('--seed', 'x'), 2, /--seed.*whole number/],
    ['no threads', explain('--threads', '0'), 2, /--threads.*at least 1/],
    ['more threads than can be of use', explain('--threads', '100000000'), 2, /--threads.*\d+ at most/],
    ['a seed of nothing', explain('--seed', ''), 2, /--seed.*whole number/],
    ['a seed in another notation', explain('--seed', '0x10'), 2, /--seed.*whole number/],
    ['a box of nothing', explain('--box', ''), 2, /--box.*whole number/],
    ['a head of nothing', () => ['attention', TEXT_MODEL, '--text', 'a', '--head', ''], 2, /--head.*whole number/],
    ['a port of nothing', () => ['studio', '--port', ''], 2, /--port.*0 to 65535/],
    ['a port in another notation', () => ['studio', '--port', '1e3'], 2, /--port.*0 to 65535/],
    ['a neuron in another notation', explain('--layer', 'h', '--neuron', '0x1'), 2, /--neuron takes indices/],
    [
      'a picture whose name is too long',
      () => ['explain', model, '--image', `${'x'.repeat(300)}.png`],
      1,
      /cannot read x+\.png: its name is too long/,
    ],
    ['an unknown provider', explain('--provider', 'tpu'), 2, /--provider.*cpu, webgpu, cuda/],
    ['an unknown output', explain('--output', 'z'), 1, /no output "z"; it has "y"/],
    [
      'an unknown label, with the nearest',
      mail('--target', 'spma'),
      1,
      /unknown target "spma"; nearest labels: "spam"/,
    ],
    ['a label where there are none', explain('--target', 'cat'), 1, /has no labels; give an index/],
    ['an index out of range', explain('--target', '3'), 1, /out of range.*0 to 2/],
    ['too many indices', explain('--target', '0,1'), 1, /2 indices/],
    ['a difference with something unknown', mail('--target', 'spam-hmm'), 1, /unknown target/],
    ['an unknown baseline', mail('--baseline', 'nothing'), 2, /unknown baseline "nothing"; use zero/],
    ['a baseline that suits no text', mail('--baseline', 'blur'), 1, /"blur" does not suit a text/],
    ['a baseline that suits no tensor', explain('--baseline', 'pad'), 1, /"pad" is for texts/],
    ['a baseline file that is not there', explain('--baseline', '@gone.json'), 1, /cannot read gone\.json/],
    ['a baseline file of malformed JSON', () => explain('--baseline', `@${folder.at('malformed.json')}`)(), 1, /JSON/],
    [
      'a baseline of another shape',
      () => explain('--baseline', `@${inputs('base', { x: { dims: [1, 3], data: [1, 2, 3] } })}`)(),
      1,
      /\[1, 3\]/,
    ],
    ['a feature mask that is no file', explain('--feature-mask', '1,2'), 2, /--feature-mask takes @FILE\.json/],
    ['a feature mask file that is not there', explain('--feature-mask', '@gone.json'), 1, /cannot read gone\.json/],
    [
      'a feature mask of an input that is none',
      () => explain('--feature-mask', `@${inputs('mask-z', { z: { dims: [1, 4], data: [1, 2, 3, 4] } })}`)(),
      1,
      /no input "z"/,
    ],
    [
      'a feature mask of another shape',
      () =>
        explain(
          '--method',
          'exact-shapley',
          '--feature-mask',
          `@${inputs('mask-3', { x: { dims: [1, 3], data: [1, 2, 3] } })}`,
        )(),
      1,
      /\[1, 3\]/,
    ],
    [
      'a feature mask for a method that perturbs nothing',
      () => explain('--feature-mask', `@${inputs('mask', { x: { dims: [1, 4], data: [1, 1, 2, 2] } })}`)(),
      2,
      /feature mask/,
    ],
    ['a format nobody knows', explain('--out', 'why.gif'), 2, /why\.gif.*\.html, \.svg, \.png, \.json or \.npy/],
    ['nothing to explain', () => ['explain', model], 2, /--text, --image or --inputs/],
    ['two things to explain', mail('--inputs', good), 2, /only one of/],
    ['a pair without a text', () => ['explain', model, '--inputs', good, '--pair', 'b'], 2, /--pair goes with --text/],
  ]);

  it('before anything is written', () => {
    expect(existsSync('why.gif')).toBe(false);
    expect(existsSync('g.onnx')).toBe(false);
  });
});

describe('texts and pictures that cannot be read are refused', () => {
  const picture = (name: string, source = IMAGE_MODEL) => ['explain', source, '--image', folder.at(name)];
  beforeAll(async () => {
    const blank = { channels: 3, background: 'white' } as const;
    await sharp({ create: { width: 10_000, height: 5_000, ...blank } })
      .png()
      .toFile(folder.at('huge.png'));
    folder.write('broken.jpg', readFileSync(photograph('cat.jpg')).subarray(0, 9_000));
    await sharp({ create: { width: 8, height: 8, ...blank } })
      .gif()
      .toFile(folder.at('small.gif'));
  });
  const tokenless = () => {
    mkdirSync(folder.at('tokenless'), { recursive: true });
    writeFileSync(folder.at('tokenless/model.onnx'), readFileSync(textModelFile));
    return folder.at('tokenless');
  };
  refuses([
    ['an empty text', () => ['explain', TEXT_MODEL, '--text', ''], 1, /the text is empty/],
    ['a text of blanks', () => ['explain', TEXT_MODEL, '--text', ' \n\t '], 1, /the text is empty/],
    ['an empty second text', () => ['explain', TEXT_MODEL, '--text', 'a', '--pair', ''], 1, /second text is empty/],
    ['a text without its tokenizer', () => ['explain', tokenless(), '--text', 'free'], 1, /tokenizer\.json/],
    [
      'a tokenizer that is none',
      () => {
        tokenless();
        folder.write('tokenless-bad/tokenizer.json', { version: '1.0' });
        folder.write('tokenless-bad/model.onnx', readFileSync(textModelFile));
        return ['explain', folder.at('tokenless-bad'), '--text', 'free'];
      },
      1,
      /tokenizer\.json is not a tokenizer/,
    ],
    ['a text for a picture model', () => ['explain', IMAGE_MODEL, '--text', 'cat'], 1, /takes no text|tokenizer\.json/],
    ['a picture for a text model', () => ['explain', TEXT_MODEL, '--image', photograph('cat.jpg')], 1, /no picture/],
    ['a picture of 50 megapixels', () => picture('huge.png'), 1, /10000x5000, 50\.0 megapixels; the limit is 40/],
    ['half a picture', () => picture('broken.jpg'), 1, /broken\.jpg is broken/],
    ['a picture that is none', () => picture('good.json'), 1, /good\.json is not a picture/],
    ['a picture of another kind', () => picture('small.gif'), 1, /small\.gif is GIF; PNG, JPEG and WebP/],
    ['a picture that is not there', () => picture('nowhere.png'), 1, /there is no picture nowhere\.png/],
    [
      'a folder without a picture',
      () => picture('tokenless'),
      1,
      /there is no PNG, JPEG or WebP picture in \S*tokenless/,
    ],
    [
      'a picture without a word of its size',
      () => picture('../x.png', folder.write('any-size.onnx', anySizePicture())),
      1,
      /no preprocessor_config\.json/,
    ],
  ]);
});

describe('a place that cannot be written is reported', () => {
  const locked = () => {
    mkdirSync(folder.at('locked'), { recursive: true });
    chmodSync(folder.at('locked'), 0o555);
    return folder.at('locked');
  };
  it('and nothing half-written is left', async () => {
    const missing = folder.at('no/such/folder/why.json');
    expectRefusal(
      await onnxray(['explain', model, '--inputs', good, '--out', missing]),
      1,
      /cannot write .*there is no such file or folder/,
    );
    const blocked = folder.at('good.json', 'why.svg');
    expectRefusal(await onnxray(['explain', model, '--inputs', good, '--out', blocked]), 1, /cannot write/);
    const gradient = ['gradient', model, '--of', 'y', '--wrt', 'x', '-o', folder.at('no/such/g.onnx')];
    expectRefusal(await onnxray(gradient), 1, /cannot write/);
    const taken = folder.at('taken.html');
    mkdirSync(taken, { recursive: true });
    expectRefusal(
      await onnxray(['explain', model, '--inputs', good, '--out', taken]),
      1,
      /taken\.html: it is a folder/,
    );
    expectRefusal(await onnxray(['demo', '--out', folder.at('good.json')]), 1, /cannot write .*good\.json/);
    expect(readdirSync(folder.path).filter((name) => name.includes('partial'))).toEqual([]);
  });

  it.skipIf(process.getuid?.() === 0)('in a folder that is read-only', async () => {
    const file = path.join(locked(), 'why.json');
    expectRefusal(await onnxray(['explain', model, '--inputs', good, '--out', file]), 1, /cannot write/);
    expect(readdirSync(locked())).toEqual([]);
  });
});
