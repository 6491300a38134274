import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeText } from '../../src/inputs/index.ts';
import * as align from '../../src/inputs/align.ts';
import { fixtureTokenizer, TEXT_INPUTS, tokenizerFixture, TOKENIZERS } from './fixtures.ts';
import type { Reference } from './fixtures.ts';

/** The characters of the reference's offsets as UTF-16 offsets, without surrounding whitespace. */
function utf16(text: string, [from, to]: readonly [number, number]): [number, number] {
  const characters = [...text];
  const start = characters.slice(0, from).join('').length;
  const part = characters.slice(from, to).join('');
  const lead = part.trim() === '' ? 0 : part.length - part.trimStart().length;
  return [start + lead, start + lead + (part.trim() || part).length];
}

function title({ text, pair }: Reference): string {
  return JSON.stringify(pair === undefined ? text : [text, pair]);
}

describe.each(TOKENIZERS)('the %s tokenizer', (name) => {
  const tokenizer = fixtureTokenizer(name);
  const { reference } = tokenizerFixture(name);

  it.each(reference.map((entry) => [title(entry), entry] as const))(
    'reads %s as the Rust tokenizer does',
    (_, entry) => {
      const texts = entry.pair === undefined ? [entry.text] : [entry.text, entry.pair];
      const encoding = encodeText(tokenizer, texts, TEXT_INPUTS);
      expect(encoding.ids).toEqual(entry.ids);
      expect(encoding.tensors['token_type_ids']?.data).toEqual(BigInt64Array.from(entry.types, BigInt));
      expect(encoding.segments).toEqual(entry.sequences);
      for (const [index, segment] of entry.sequences.entries()) {
        const own = encoding.offsets[index]!;
        if (segment === null) {
          expect(own).toBeNull();
          continue;
        }
        const text = texts[segment]!;
        // An inserted prefix covers nothing here; Rust gives it the first character.
        if (own[0] === own[1]) {
          expect(encoding.tokens[index]).toBe('▁');
          continue;
        }
        const part = text.slice(...own);
        const [start, end] = utf16(text, entry.offsets[index]!);
        if (text.slice(start, end).trim() === '') {
          expect(part.trim()).toBe('');
          continue;
        }
        // We never cut a letter from its combining marks where a normaliser joins or drops them; Rust may.
        const marks = /^\p{M}*/u.exec(text.slice(end))![0].length;
        const before = /\P{M}\p{M}*$/u.exec(text.slice(0, start + 1))?.[0].length ?? 1;
        expect(own[0] === start || own[0] === start + 1 - before, `${own} for ${start},${end}`).toBe(true);
        expect(own[1] === end || own[1] === end + marks, `${own} for ${start},${end}`).toBe(true);
      }
    },
  );

  const someText = fc
    .array(
      fc.oneof(
        fc.constantFrom(
          ...'aeiost ,.!-',
          'the ',
          'tokens',
          'é',
          'e\u0301',
          'ﬁ',
          'Å',
          'İ',
          'Σ',
          '你',
          '好',
          '𠀀',
          '한',
          '  ',
          '\n',
        ),
        fc.constantFrom(
          '😀',
          '👩‍👩‍👧‍👦',
          '👍🏽',
          '🇨🇳',
          '\u200d',
          '\u0301',
          '\ufeff',
          '\u3000',
          'ｶﾞ',
          '▁',
          '##',
          '[SEP]',
          '</s>',
          'Ġ',
        ),
        fc.string({ unit: 'grapheme', maxLength: 4 }),
        fc.string({ unit: 'binary', maxLength: 3 }),
      ),
      { minLength: 1, maxLength: 16 },
    )
    .map((parts) => `${parts.join('')} x`);

  it('gives offsets that never go back, lie inside the text and cut no surrogate pair', () => {
    fc.assert(
      fc.property(someText, (text) => {
        const encoding = encodeText(tokenizer, [text], TEXT_INPUTS);
        let last: readonly [number, number] = [0, 0];
        for (const offsets of encoding.offsets) {
          if (offsets === null) continue;
          const [start, end] = offsets;
          expect(start).toBeGreaterThanOrEqual(last[0]);
          expect(end).toBeGreaterThanOrEqual(last[1]);
          expect(end).toBeGreaterThanOrEqual(start);
          expect(end).toBeLessThanOrEqual(text.length);
          for (const at of offsets)
            expect(/[\ud800-\udbff][\udc00-\udfff]/.test(text.slice(at - 1, at + 1)) && at > 0).toBe(false);
          last = offsets;
        }
      }),
      { numRuns: 300 },
    );
  });

  it('gives offsets whose text, normalised, holds the token', () => {
    const { special, pipeline } = tokenizer;
    fc.assert(
      fc.property(someText, (text) => {
        const encoding = encodeText(tokenizer, [text], TEXT_INPUTS);
        for (const [index, token] of encoding.tokens.entries()) {
          const offsets = encoding.offsets[index]!;
          if (offsets === null || encoding.ids[index] === special.unk?.id) continue;
          const part = text.slice(...offsets);
          if (pipeline.addedByText.has(token)) {
            expect(part).toBe(token);
            continue;
          }
          const byte = /^<0x([0-9A-F]{2})>$/.exec(token);
          if (byte) {
            expect([...new TextEncoder().encode(part)]).toContain(Number.parseInt(byte[1]!, 16));
            continue;
          }
          let surface = token;
          if (pipeline.prefix !== '' && index > 1 && token.startsWith(pipeline.prefix))
            surface = token.slice(pipeline.prefix.length);
          for (const suffix of pipeline.suffixes)
            if (surface.endsWith(suffix)) surface = surface.slice(0, -suffix.length);
          let normalized = align.normalize(align.identity(part), pipeline.tokenizer.normalizer);
          if (pipeline.alphabet === 'bytes') normalized = align.toByteLevel(normalized);
          const bare = surface.replaceAll(/^[\s▁ĠĊĉč]+|[\s▁ĠĊĉč]+$/g, '');
          expect(normalized.text).toContain(bare);
        }
      }),
      { numRuns: 300 },
    );
  });
});

describe('an aligned text', () => {
  it('maps a replacement to the whole of what it replaced', () => {
    const replaced = align.replace(align.identity('a   b'), / {2,}/g, '_');
    expect(replaced).toEqual({ text: 'a_b', starts: [0, 1, 4], ends: [1, 4, 5] });
  });

  it('knows both halves of a surrogate pair as one character', () => {
    expect(align.identity('a😀').ends).toEqual([1, 3, 3]);
  });

  it('joins a letter to its combining marks when a function composes them', () => {
    const composed = align.mapText(align.identity('e\u0301x'), (text) => text.normalize('NFC'));
    expect(composed).toEqual({ text: 'éx', starts: [0, 2], ends: [2, 3] });
  });

  it('aligns beginning and end, and takes the middle as one, for a function that looks across characters', () => {
    const swapped = align.mapText(align.identity('xaby'), (text) => text.replace('ab', '123'));
    expect(swapped.text).toBe('x123y');
    expect(swapped.starts).toEqual([0, 1, 1, 1, 3]);
    expect(swapped.ends).toEqual([1, 3, 3, 3, 4]);
  });
});
