/**
 * What we use of `@huggingface/tokenizers`, typed. Its own declarations import without file endings, which TypeScript's
 * NodeNext resolution silently reads as `any`; so the shapes are written down here once, and nowhere else is it imported.
 */
import * as huggingface from '@huggingface/tokenizers';

export interface Normalizer {
  readonly config: {
    readonly type: string;
    readonly strip_left?: boolean;
    readonly strip_right?: boolean;
    readonly prepend?: string;
    readonly content?: string;
    readonly handle_chinese_chars?: boolean;
  };
  /** The steps of a `Sequence`. */
  readonly normalizers?: readonly (Normalizer | null)[];
  /** What a `Replace` looks for. */
  readonly pattern?: RegExp | null;
  normalize(text: string): string;
}

export interface PreTokenizer {
  pre_tokenize(text: string, options: { readonly section_index: number }): string[];
}

export interface TokenizerModel {
  (preTokens: readonly string[]): string[];
  readonly tokens_to_ids: ReadonlyMap<string, number>;
  readonly unk_token?: string | null;
  readonly unk_token_id?: number | null;
}

export interface PostProcessor {
  (
    tokens: readonly string[],
    pair: readonly string[] | null,
    addSpecialTokens: boolean,
  ): { readonly tokens: string[]; readonly token_type_ids?: number[] };
}

export interface AddedToken {
  readonly content: string;
  readonly id: number;
  readonly lstrip: boolean;
  readonly rstrip: boolean;
  readonly special: boolean;
  readonly normalized: boolean;
}

export interface HuggingFaceTokenizer {
  readonly normalizer: Normalizer | null;
  readonly pre_tokenizer: PreTokenizer | null;
  readonly model: TokenizerModel;
  readonly post_processor: PostProcessor | null;
  token_to_id(token: string): number | undefined;
  get_added_tokens_decoder(): ReadonlyMap<number, AddedToken>;
}

/** Builds the tokenizer; throws whatever the package throws for what it doesn't understand. */
export function createTokenizer(
  json: Readonly<Record<string, unknown>>,
  config: Readonly<Record<string, unknown>>,
): HuggingFaceTokenizer {
  return new huggingface.Tokenizer(json, config) as unknown as HuggingFaceTokenizer;
}
