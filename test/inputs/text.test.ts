import { describe, expect, it } from 'vitest';
import { baselineIds, encodeText, loadTokenizer, wordIndices, wordsOf } from '../../src/inputs/index.ts';
import { UserError } from '../../src/onnx/index.ts';
import type { ValueInfo } from '../../src/onnx/index.ts';
import { fixtureTokenizer, TEXT_INPUTS, tokenizerFixture } from './fixtures.ts';

const bert = fixtureTokenizer('wordpiece');
const gpt = fixtureTokenizer('bytelevel');
const long = 'the movie was great '.repeat(20);

describe('encodeText', () => {
  it('gives int64 tensors [1, T] for the inputs the model declares and no others', () => {
    const encoding = encodeText(bert, ['hello there'], TEXT_INPUTS.slice(0, 2));
    expect(Object.keys(encoding.tensors)).toEqual(['input_ids', 'attention_mask']);
    expect(encoding.tensors['input_ids']).toMatchObject({ type: 'int64', dims: [1, encoding.ids.length] });
    expect(encoding.input).toBe('input_ids');
  });

  it('follows a model that wants int32 and the older names', () => {
    const inputs: ValueInfo[] = ['input_ids:0', 'input_mask:0', 'segment_ids:0'].map((name) => ({
      name,
      type: 'int32',
      dims: [1, 16],
    }));
    const encoding = encodeText(bert, ['hello'], inputs);
    expect(Object.keys(encoding.tensors)).toEqual(['input_ids:0', 'input_mask:0', 'segment_ids:0']);
    expect(encoding.tensors['input_ids:0']!.data).toBeInstanceOf(Int32Array);
  });

  it('pads for a model of fixed length, with mask 0 and no offsets', () => {
    const encoding = encodeText(
      bert,
      ['hello'],
      TEXT_INPUTS.map((input) => ({ ...input, dims: [1, 12] })),
    );
    expect(encoding.tokens).toHaveLength(12);
    expect(encoding.tokens.at(-1)).toBe('[PAD]');
    expect(encoding.offsets.at(-1)).toBeNull();
    expect(encoding.tensors['attention_mask']!.data.at(-1)).toBe(0n);
    expect(encoding.tensors['attention_mask']!.data[0]).toBe(1n);
  });

  it('cuts a long text, keeps the special tokens and says how many tokens went', () => {
    const whole = encodeText(bert, [long], TEXT_INPUTS, { config: {} }).truncated;
    const encoding = encodeText(bert, [long], TEXT_INPUTS, { maxTokens: 10 });
    expect(encoding.tokens).toHaveLength(10);
    expect(encoding.tokens[0]).toBe('[CLS]');
    expect(encoding.tokens.at(-1)).toBe('[SEP]');
    expect(encoding.truncated).toBe(whole + 22);
  });

  it('takes the least of the tokenizer, the configuration and the model', () => {
    const { tokenizer, config } = tokenizerFixture('wordpiece');
    const free = loadTokenizer({ tokenizer, config: { ...config, model_max_length: 1e30 } });
    expect(encodeText(bert, [long], TEXT_INPUTS).tokens).toHaveLength(32);
    expect(encodeText(free, [long], TEXT_INPUTS, { config: { max_position_embeddings: 20 } }).tokens).toHaveLength(20);
    const roberta = { max_position_embeddings: 20, model_type: 'roberta', pad_token_id: 1 };
    expect(encodeText(free, [long], TEXT_INPUTS, { config: roberta }).tokens).toHaveLength(18);
    expect(encodeText(free, [long], TEXT_INPUTS).truncated).toBe(0);
  });

  it('cuts the longer text of a pair first, and both evenly when both are long', () => {
    const one = encodeText(bert, ['hello', long], TEXT_INPUTS);
    expect(one.tokens).toHaveLength(32);
    expect(one.segments.filter((segment) => segment === 0)).toHaveLength(
      encodeText(bert, ['hello'], TEXT_INPUTS).ids.length - 2,
    );
    const both = encodeText(bert, [long, long], TEXT_INPUTS);
    expect(both.segments.filter((segment) => segment === 0)).toHaveLength(14);
    expect(both.segments.filter((segment) => segment === 1)).toHaveLength(15);
  });

  it('keeps the end of a text when the tokenizer truncates on the left', () => {
    const { tokenizer, config } = tokenizerFixture('wordpiece');
    const left = loadTokenizer({ tokenizer, config: { ...config, truncation_side: 'left' } });
    const text = `${long} stop`;
    const encoding = encodeText(left, [text], TEXT_INPUTS);
    const last = encoding.offsets.findLast((offsets) => offsets !== null)!;
    expect(text.slice(...last)).toMatch(/p$/);
  });

  it.each(['the movie was great. ', '你好世界', 'สวัสดีชาวโลก', 'é😀e\u0301 '])(
    'reads a very long text of %j in reasonable time',
    (part) => {
      const encoding = encodeText(bert, [part.repeat(2e5 / part.length)], TEXT_INPUTS);
      expect(encoding.tokens.length).toBeLessThanOrEqual(32);
    },
    20_000,
  );

  it('gives repeated words their own places', () => {
    const encoding = encodeText(bert, ['the the  the'], TEXT_INPUTS);
    expect(encoding.offsets).toEqual([null, [0, 3], [4, 7], [9, 12], null]);
    expect(encoding.words).toEqual([null, 0, 1, 2, null]);
  });

  it('gives an unknown word its whole extent', () => {
    const encoding = encodeText(bert, ['the ✓✓✓ the'], TEXT_INPUTS);
    expect(encoding.tokens).toEqual(['[CLS]', 'the', '[UNK]', 'the', '[SEP]']);
    expect(encoding.offsets[2]).toEqual([4, 7]);
  });

  it('gives each byte of an emoji the whole emoji', () => {
    const encoding = encodeText(gpt, ['a 😀'], TEXT_INPUTS.slice(0, 1));
    const emoji = encoding.offsets.filter((offsets) => offsets?.[0] === 2);
    expect(emoji.length).toBeGreaterThan(1);
    for (const offsets of emoji) expect(offsets).toEqual([2, 4]);
  });

  it.each([
    [[''], 'the text is empty'],
    [[' \n\t '], 'the text is empty'],
    [['hello', ''], 'the second text is empty'],
    [['', 'hello'], 'the first text is empty'],
    [['\u200d'], 'the text has no characters the tokenizer keeps'],
  ])('refuses %j', (texts, message) => {
    expect(() => encodeText(bert, texts, TEXT_INPUTS)).toThrow(new UserError(message));
  });

  it('says so when the model takes no text, or more than text', () => {
    expect(() => encodeText(bert, ['a'], [{ name: 'x', type: 'float32', dims: [1, 3] }])).toThrow(
      'the model takes no text: it has no integer input "input_ids" (its inputs: "x"); use --inputs',
    );
    const more: ValueInfo[] = [...TEXT_INPUTS, { name: 'pixel_values', type: 'float32', dims: [1, 3, 8, 8] }];
    expect(() => encodeText(bert, ['a'], more)).toThrow(
      'the model also needs "pixel_values", which a text does not give',
    );
  });
});

describe('loadTokenizer', () => {
  it('refuses what is not a tokenizer in one line', () => {
    expect(() => loadTokenizer({ tokenizer: { hello: 1 } })).toThrow(UserError);
    expect(() => loadTokenizer({ tokenizer: { model: { type: 'Magic' } } })).toThrow(
      /^tokenizer.json can't be used: [^\n]*Magic/,
    );
  });

  it('finds special tokens in special_tokens_map.json when the configuration has none', () => {
    const { tokenizer } = tokenizerFixture('wordpiece');
    const loaded = loadTokenizer({ tokenizer, specialTokens: { mask_token: { content: '[MASK]' } } });
    expect(loaded.special.mask).toEqual({ token: '[MASK]', id: 4 });
  });
});

describe('baselineIds', () => {
  it('replaces the text and keeps the special tokens', () => {
    const encoding = encodeText(bert, ['the the', 'movie'], TEXT_INPUTS);
    const baseline = baselineIds(encoding, 'mask');
    expect(baseline.dims).toEqual(encoding.tensors['input_ids']!.dims);
    expect(Array.from(baseline.data, Number)).toEqual(
      encoding.ids.map((id, i) => (encoding.offsets[i] === null ? id : 4)),
    );
    expect(new Set(Array.from(baselineIds(encoding, 'pad').data, Number))).toEqual(new Set([0, 2, 3]));
  });

  it('says which baselines a tokenizer has when it lacks the one asked for', () => {
    const t5 = encodeText(fixtureTokenizer('unigram'), ['hello'], TEXT_INPUTS);
    expect(() => baselineIds(t5, 'mask')).toThrow(
      new UserError('the tokenizer has no mask token for the baseline; use one of: pad, unk, zero'),
    );
  });
});

describe('words', () => {
  it('end at whitespace and punctuation, and each Chinese character is one', () => {
    const text = "don't stop, 你好!";
    expect(wordsOf(text).map((range) => text.slice(...range))).toEqual(['don', "'", 't', 'stop', ',', '你', '好', '!']);
  });

  it('are counted for ranges in order, null staying null', () => {
    expect(wordIndices('ab cd', [null, [0, 1], [1, 2], [3, 5], [5, 5], null])).toEqual([null, 0, 0, 1, 1, null]);
  });
});
