import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { UserError } from '../../src/onnx/index.ts';
import type { ValueInfo } from '../../src/onnx/index.ts';
import { guessTask, labelsOf, openModel, requireTokenizer } from '../../src/tasks/index.ts';

const root = mkdtempSync(path.join(tmpdir(), 'onnxray-folder-'));
afterAll(() => rmSync(root, { recursive: true }));

/** Makes a folder with these files and says where it is. */
function folder(name: string, files: Readonly<Record<string, unknown>>): string {
  for (const [file, content] of Object.entries(files)) {
    const place = path.join(root, name, file);
    mkdirSync(path.dirname(place), { recursive: true });
    writeFileSync(place, typeof content === 'string' ? content : JSON.stringify(content));
  }
  return path.join(root, name);
}

const bert = { architectures: ['BertForSequenceClassification'], id2label: { 1: 'spam', 0: 'ham' } };
const ids: ValueInfo[] = [{ name: 'input_ids', type: 'int64', dims: ['b', 't'] }];
const pixels: ValueInfo[] = [{ name: 'x', type: 'float32', dims: [1, 3, 8, 8] }];

describe('openModel', () => {
  it('opens a folder as transformers.js lays it out', () => {
    const place = folder('hub', {
      'onnx/model_quantized.onnx': 'q',
      'onnx/model.onnx': 'f',
      'config.json': bert,
      'tokenizer.json': { model: {} },
      'tokenizer_config.json': { model_max_length: 9 },
    });
    const model = openModel(place);
    expect(model.modelPath).toBe(path.join(place, 'onnx/model.onnx'));
    expect(model.labels).toEqual(['ham', 'spam']);
    expect(model.task).toBe('text-classification');
    expect(model.tokenizerFiles).toEqual({ tokenizer: { model: {} }, config: { model_max_length: 9 } });
    expect(openModel(path.join(place, 'onnx/model_quantized.onnx')).config).toEqual(bert);
  });

  it('takes a quantised model or the only one when there is nothing better', () => {
    const quantized = folder('quantized', { 'onnx/model_quantized.onnx': '', 'onnx/other.onnx': '' });
    expect(path.basename(openModel(quantized).modelPath)).toBe('model_quantized.onnx');
    expect(path.basename(openModel(folder('only', { 'net.onnx': '' })).modelPath)).toBe('net.onnx');
  });

  it('opens a file alone, as a model of tensors', () => {
    const file = path.join(folder('alone', { 'net.onnx': '' }), 'net.onnx');
    expect(openModel(file)).toMatchObject({ modelPath: file, task: 'tensor' });
    expect(openModel(file).config).toBeUndefined();
  });

  it('does not take the files of a neighbour for its own', () => {
    const place = folder('shelf', {
      'config.json': bert,
      'a/model.onnx': '',
      'a/config.json': {},
      'tokenizer.json': {},
    });
    expect(openModel(path.join(place, 'a')).tokenizerFiles).toBeUndefined();
  });

  it('sees an image model by its preprocessor_config.json', () => {
    const place = folder('image', { 'model.onnx': '', 'preprocessor_config.json': { size: 4 } });
    expect(openModel(place)).toMatchObject({ task: 'image-classification', preprocessor: { size: 4 } });
  });

  it.each<[string, () => string, RegExp]>([
    ['what is not there', () => path.join(root, 'nothing'), /^there is no file or folder .*nothing$/],
    [
      'a folder without a model',
      () => folder('empty', { 'config.json': {} }),
      /^no model in .*empty: looked for model.onnx/,
    ],
    [
      'a folder with several',
      () => folder('several', { 'b.onnx': '', 'a.onnx': '' }),
      /holds several models: a.onnx, b.onnx; give/,
    ],
    [
      'malformed JSON',
      () => folder('bad', { 'model.onnx': '', 'config.json': '{' }),
      /config.json is not valid JSON: /,
    ],
    [
      'JSON that is no object',
      () => folder('list', { 'model.onnx': '', 'config.json': [] }),
      /config.json is not a JSON object$/,
    ],
  ])('refuses %s in one line', (_, place, message) => {
    const location = place();
    expect(() => openModel(location)).toThrow(UserError);
    expect(() => openModel(location)).toThrow(message);
  });
});

describe('requireTokenizer', () => {
  it('says which file was looked for and where', () => {
    const place = folder('mute', { 'onnx/model.onnx': '' });
    expect(() => requireTokenizer(openModel(place))).toThrow(
      new UserError(
        `a text needs the model's tokenizer.json (and tokenizer_config.json), which is not in ${path.join(place, 'onnx')} nor in ${place}; put it beside the model, or pass token ids with --inputs`,
      ),
    );
  });
});

describe('guessTask', () => {
  it('goes by the inputs where they are known', () => {
    expect(guessTask({ tokenizerFiles: { tokenizer: {} } }, ids)).toBe('text-classification');
    expect(guessTask({}, ids)).toBe('tensor');
    expect(guessTask({}, pixels)).toBe('image-classification');
    expect(guessTask({}, [...pixels, ...ids])).toBe('tensor');
  });

  it('sees that a model takes a picture and a text', () => {
    const files = { tokenizerFiles: { tokenizer: {} }, preprocessor: {} };
    expect(guessTask(files)).toBe('image-text');
    expect(guessTask(files, [...pixels, ...ids])).toBe('image-text');
    const config = { architectures: ['VisionEncoderDecoderForCaptioning'] };
    expect(guessTask({ ...files, config }, [...pixels, ...ids])).toBe('tensor');
  });

  it('leaves other architectures alone', () => {
    const config = { architectures: ['BertForTokenClassification'] };
    expect(guessTask({ config, tokenizerFiles: { tokenizer: {} } }, ids)).toBe('tensor');
  });
});

describe('labelsOf', () => {
  it('gives names in order and leaves out placeholders and gaps', () => {
    expect(labelsOf({ id2label: { 1: 'b', 0: 'a' } })).toEqual(['a', 'b']);
    expect(labelsOf({ id2label: { 0: 'LABEL_0', 1: 'LABEL_1' } })).toBeUndefined();
    expect(labelsOf({ id2label: { 0: 'a', 2: 'c' } })).toBeUndefined();
    expect(labelsOf({})).toBeUndefined();
  });
});
