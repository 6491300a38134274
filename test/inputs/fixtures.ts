import { readFileSync } from 'node:fs';
import path from 'node:path';
import { loadTokenizer } from '../../src/inputs/index.ts';
import type { TextTokenizer } from '../../src/inputs/index.ts';
import type { ValueInfo } from '../../src/onnx/index.ts';

/** What the Rust `tokenizers` package says of a text; offsets in code points. */
export interface Reference {
  readonly text: string;
  readonly pair?: string;
  readonly ids: readonly number[];
  readonly tokens: readonly string[];
  readonly types: readonly number[];
  readonly offsets: readonly (readonly [number, number])[];
  readonly sequences: readonly (number | null)[];
}

export interface TokenizerFixture {
  readonly tokenizer: Record<string, unknown>;
  readonly config: Record<string, unknown>;
  readonly reference: readonly Reference[];
}

export const TOKENIZERS = ['wordpiece', 'bytelevel', 'unigram', 'sentencepiece-bpe', 'clip-bpe'] as const;

export function tokenizerFixture(name: string): TokenizerFixture {
  const file = path.join(import.meta.dirname, 'fixtures', `${name}.json`);
  return JSON.parse(readFileSync(file, 'utf8')) as TokenizerFixture;
}

export function fixtureTokenizer(name: string): TextTokenizer {
  return loadTokenizer(tokenizerFixture(name));
}

/** The inputs of a BERT-like export. */
export const TEXT_INPUTS: readonly ValueInfo[] = ['input_ids', 'attention_mask', 'token_type_ids'].map((name) => ({
  name,
  type: 'int64',
  dims: ['batch', 'sequence'],
}));
