/** Errors are English sentences in the code; a page says the likely ones in Chinese too. */
import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { readModel } from '../../src/onnx/index.ts';
import { errorText } from '../../src/views/errors.ts';

const ROOT = path.resolve(import.meta.dirname, '../..');

/** As the code says them; what it fills in stands between ‹ and ›. */
const SAID = [
  'not an ONNX model: the file is empty',
  'not an ONNX model: the file is truncated, corrupt or of another format',
  'not an ONNX model: it has no graph',
  'not an ONNX model: it names no operator set',
  'not a valid ONNX model: node "‹add›" reads "‹x›", which nothing before it produces',
  'not a valid ONNX model: nothing produces the output "‹y›"',
  'the model uses opset ‹5›; opsets before ‹7› are not supported: convert it with onnx.version_converter',
  'the weight "‹w›" is in ‹w.data›, which is missing beside the model',
  'the weight "‹w›" is in ‹w.data›, which was not given with the model',
  '‹w.data› is too short: the weight "‹w›" should end at byte ‹9› of ‹4›',
  'onnxruntime cannot load the model: ‹no kernel›',
  'there is no .onnx file among what was dropped',
  'there is no .onnx file among these',
  'the folder holds several models: drop the one you mean',
  'there are several models among these: ‹a.onnx, b.onnx›; give one',
  'that file name is not taken: give .onnx files, their configuration, and weight files of plain names',
  'the file is empty',
  '‹config.json› is not valid JSON: ‹Unexpected end›',
  '‹config.json› is not a JSON object',
  "tokenizer.json can't be used: ‹no such type›",
  '‹16› models were dropped already: remove one to drop more',
  'a model with its files may have ‹4295› MB here; open larger ones with onnxray studio MODEL',
  'all models that were dropped may have ‹17180› MB: remove one first',
  'a picture may have ‹34› MB',
  'the picture is not here any more: drop it again',
  'this model is not here any more: drop it again',
  'there is no such model here: it may have been dropped in an earlier session',
  'this attention is not here any more: ask for it again',
  'the process that runs the model ended (‹SIGKILL›)‹›: perhaps there was not enough memory',
  'the process that runs the model ended (‹code 1›)',
  'the Worker that runs the model ended: ‹out of memory›',
  'the server ended before it answered',
  'the server cannot be reached: is onnxray studio still running?',
  'the server answered ‹500›',
  'that is no name on the hub: names look like Xenova/all-MiniLM-L6-v2',
  'cannot reach ‹hub.example›: check the connection, or set HF_ENDPOINT to a mirror',
  '‹hub.example› has no public model or file of that name (‹404›): check the spelling',
  '‹hub.example› answered ‹503›: try again later',
  '‹a/b› has no .onnx file: look for one that does, such as those of onnx-community',
  '‹a/b› has several models and none is called model.onnx (‹x.onnx, y.onnx›): download the one you mean and drop it',
  '‹a/b› is too large for a browser: run onnxray studio',
  'cannot load ‹http://here/model.onnx›',
  '‹the text› has no characters the tokenizer keeps',
  "a text needs the model's tokenizer.json (and tokenizer_config.json), which is not in ‹model.onnx›; put it beside the model, or pass token ids with --inputs",
  'the model takes no text: it has no integer input "input_ids" (its inputs: ‹x›); use --inputs',
  'the model takes no picture: no input of rank 4 with 1 or 3 channels (its inputs: ‹x›)',
  '‹picture› is ‹TIFF›; PNG, JPEG and WebP pictures are supported',
  '‹picture› is not a picture that can be read; PNG, JPEG and WebP are supported',
  '‹picture› is not a picture that this browser can read',
  '‹picture› is broken: ‹premature end›',
  '‹picture› is ‹20000›x‹20000›, ‹400.0› megapixels; the limit is ‹268› megapixels: scale it down',
  'target "‹9›" is out of range: ‹the output› has indices 0 to ‹1›',
  'unknown target "‹cat›"; nearest labels: ‹"spam", "ham"›',
  'unknown target "‹cat›": the model has no labels; give an index such as 3',
  '‹guided-backprop› does not apply: there is no ‹ReLU› on the way to "‹logits›", so it would be no other than ‹saliency›',
  '‹grad-cam› draws a map over a picture, but the model has ‹no input› of four axes',
  '‹grad-cam› found no map of positions between "‹x›" and "‹y›"; name a layer with --layer',
  'cam needs global average pooling and one linear layer behind the layer, but behind "‹/conv›" come ‹Relu›; grad-cam has no such need',
  'd-rise explains a box: --box N',
  'blur-ig is for pictures: the input needs four dimensions',
  '‹first-derivative-saliency› is for models that read token ids, and this one does not',
  '‹blur-ig› is for models of one floating-point input, such as a picture',
  'discretized-ig is for models of token ids alone',
  'discretized-ig needs a baseline of tokens, such as --baseline pad',
  'integrated-hessians is for inputs of at most ‹512› elements or tokens, and "‹x›" has ‹9000›',
  'exact-shapley runs all coalitions of at most ‹16› features, and the input has ‹40›: use shapley-sampling, or fewer regions or groups',
  'the model has no floating-point input and no embedding of token ids: there is nothing to attribute to',
  'the model answers ‹NaN› for this input: nothing to explain',
  'the two inputs differ in length: "‹input_ids›" has ‹9 tokens› in the ‹clean› one and ‹4 tokens› in the ‹corrupted› one; they must match position by position',
  'the model attends nowhere: it has no softmax between two products of values that depend on the input',
] as const;

function sources(folder: string): string {
  return readdirSync(path.join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.tsx?$/.test(name) && !name.startsWith('views'))
    .map((name) => readFileSync(path.join(ROOT, folder, name), 'utf8'))
    .join('\n');
}

test('every error that is translated is still said by the code in these words', () => {
  const code = sources('src') + sources('studio/src/engine');
  const fragments = SAID.flatMap((said) => said.split(/‹[^›]*›/)).filter((words) => words.trim().length > 6);
  expect(fragments.filter((words) => !code.includes(words))).toEqual([]);
});

test('the likely errors are said in Chinese, with what they name, and stay English in English', () => {
  for (const said of SAID) {
    const error = said.replaceAll(/[‹›]/g, '');
    const chinese = errorText(error, 'zh');
    expect(chinese.language, error).toBe('zh');
    expect(chinese.text, error).toMatch(/[\u4e00-\u9fff]/);
    expect(chinese.text, error).not.toMatch(/\$\d|undefined/);
    expect(errorText(error, 'en')).toEqual({ text: error, language: 'en' });
  }
});

test('the name of a file stays in front of what is wrong with it', () => {
  let message = '';
  try {
    readModel(new Uint8Array());
  } catch (error) {
    message = (error as Error).message;
  }
  expect(errorText(`我的 模型.onnx: ${message}`, 'zh')).toEqual({
    text: '我的 模型.onnx：不是 ONNX 模型：文件为空',
    language: 'zh',
  });
});

test('an error without a translation is left in English, and said to be', () => {
  expect(errorText('the moon is full', 'zh')).toEqual({ text: 'the moon is full', language: 'en' });
});
