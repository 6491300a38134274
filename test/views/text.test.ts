import { describe, expect, it } from 'vitest';
import type { Explanation } from '../../src/explanation/index.ts';
import {
  barsOf,
  explanationAnsi,
  passages,
  renderExplanation,
  terminalColor,
  tokensHtml,
  tokensSvg,
} from '../../src/views/index.ts';
import { sumOfScores } from '../../src/explanation/index.ts';
import { subjectOf } from '../../src/views/figure.ts';
import { columns } from '../../src/views/width.ts';
import { CHINESE, CHINESE_SCORES, ENGLISH, ENGLISH_SCORES, textExplanation } from './fabricated.ts';

const scaleOf = (explanation: Explanation) => {
  const subject = subjectOf(explanation);
  if (subject.kind !== 'text') throw new Error('not a text');
  return subject.scale;
};
const html = (explanation: Explanation): string => tokensHtml(explanation, scaleOf(explanation));
const visible = (markup: string): string => markup.replace(/<[^>]*>/g, '');
// eslint-disable-next-line no-control-regex
const plain = (ansi: string): string => ansi.replace(/\u001b\[[0-9;]*m/g, '');

/** As a byte-level tokenizer reports it: each token covers the whole character it has a byte of. */
function handMade(text: string, offsets: readonly (readonly [number, number] | null)[], truncated = 0): Explanation {
  const tokens = offsets.map((span, i) => (span === null ? '<s>' : `t${i}`));
  return {
    ...textExplanation('x'),
    attributions: { input_ids: { dims: [1, tokens.length], data: Float32Array.from(tokens, (_, i) => (i + 1) / 10) } },
    tokens,
    text: {
      input: 'input_ids',
      texts: [text],
      offsets,
      segments: offsets.map((span) => (span === null ? null : 0)),
      words: offsets.map((span, i) => (span === null ? null : i)),
      truncated,
    },
  };
}

describe('the original text', () => {
  it('survives with its white space, case, accents and Chinese', () => {
    for (const text of [ENGLISH, CHINESE, '  Tabs\tand   spaces\n\nand café\u0301 ', '混合 English 和中文']) {
      const [passage] = passages(textExplanation(text));
      const kept = passage!.pieces
        .filter(({ kind }) => kind !== 'special')
        .map((piece) => piece.text)
        .join('');
      expect(kept).toBe(text);
    }
  });

  it('keeps an emoji whole whose bytes are several tokens, and adds up their scores', () => {
    const family = '👨‍👩‍👧';
    const text = `hi ${family}!`;
    const end = 3 + family.length;
    const explanation = handMade(text, [
      [0, 2],
      [3, 5],
      [3, 5],
      [5, 6],
      [6, end],
      [end, end + 1],
    ]);
    const pieces = passages(explanation)[0]!.pieces;
    expect(pieces.map((piece) => piece.text)).toEqual(['hi', ' ', family, '!']);
    expect(pieces[2]!.tokens).toEqual([1, 2, 3, 4]);
    expect(pieces[2]!.score).toBeCloseTo(0.2 + 0.3 + 0.4 + 0.5);
  });

  it('draws a token that covers no character as a chip with its name', () => {
    const pieces = passages(
      handMade('ab', [
        [0, 0],
        [0, 2],
      ]),
    )[0]!.pieces;
    expect(pieces.map(({ kind, text }) => [kind, text])).toEqual([
      ['special', 't0'],
      ['token', 'ab'],
    ]);
  });

  it('marks what was cut off before the model saw it', () => {
    const explanation = handMade('read unread', [null, [0, 4], null], 1);
    expect(html(explanation)).toContain('<s class="ox-unread"> unread</s>');
    expect(explanationAnsi(explanation)).toContain('1 token was cut off');
  });

  it('puts both texts of a pair in passages of their own', () => {
    const pair: Explanation = {
      ...handMade('a', [null, [0, 1], null, [0, 1], null]),
      text: {
        input: 'input_ids',
        texts: ['a', 'b'],
        offsets: [null, [0, 1], null, [0, 1], null],
        segments: [null, 0, null, 1, null],
        words: [null, 0, null, 0, null],
        truncated: 0,
      },
    };
    expect(passages(pair).map(({ pieces }) => pieces.map((piece) => piece.text).join(' '))).toEqual([
      '<s> a <s>',
      'b <s>',
    ]);
  });

  it('draws the tokens themselves when there are no offsets', () => {
    const { text: _, ...rest } = textExplanation('one two');
    expect(visible(html(rest))).toBe('[CLS] one two [SEP]');
  });
});

describe('tokens in HTML', () => {
  it('carry the exact score in their title', () => {
    const explanation = textExplanation('free', { scores: { free: 0.123456789 } });
    expect(html(explanation)).toContain('title="free  +0.1234568"');
  });

  it('read from right to left when the text does', () => {
    expect(html(textExplanation('مرحبا بالعالم'))).toContain('dir="rtl"');
    expect(html(textExplanation(ENGLISH))).toContain('dir="ltr"');
  });

  it('are drawn grey where the score is not a number', () => {
    expect(html(textExplanation('odd', { scores: { odd: Number.NaN } }))).toContain('ox-x');
  });
});

describe('tokens in SVG', () => {
  it('wrap inside the width, also a word longer than a line and a text without spaces', () => {
    for (const text of [ENGLISH, CHINESE.repeat(6), 'x'.repeat(300)]) {
      const explanation = textExplanation(text);
      const drawing = tokensSvg(explanation, scaleOf(explanation), { width: 300, theme: 'light' });
      for (const [, x, width] of drawing.body.matchAll(/<rect x="([\d.]+)" y="[\d.]+" width="([\d.]+)"/g))
        expect(Number(x) + Number(width)).toBeLessThanOrEqual(301);
      expect(drawing.height).toBeGreaterThan(56);
    }
  });
});

describe('tokens in a terminal', () => {
  it('wrap at the width, with Chinese counted double', async () => {
    for (const text of [ENGLISH, CHINESE.repeat(4), 'y'.repeat(200)])
      for (const width of [30, 80]) {
        const ansi = await renderExplanation(textExplanation(text), { format: 'ansi', color: 'truecolor', width });
        for (const row of plain(ansi).split('\n')) expect(columns(row)).toBeLessThanOrEqual(width);
      }
  });

  it('do not split a word in several tokens over two lines', () => {
    const ansi = plain(explanationAnsi(textExplanation('aaaa bbbbb guaranteed'), { color: '256', width: 24 }));
    expect(ansi).toContain('guaranteed');
  });

  it('reset the colours before every line end', () => {
    const ansi = explanationAnsi(textExplanation(ENGLISH, { scores: ENGLISH_SCORES }), {
      color: 'truecolor',
      width: 40,
    });
    for (const row of ansi.split('\n')) {
      // eslint-disable-next-line no-control-regex
      const sequences = row.match(/\u001b\[[0-9;]*m/g) ?? [];
      expect(sequences.at(-1) ?? '\u001b[0m').toBe('\u001b[0m');
    }
  });

  it('become a table of token, score and bar without colours', () => {
    const table = explanationAnsi(textExplanation(CHINESE, { scores: CHINESE_SCORES }), { language: 'zh' });
    expect(table).not.toContain('\u001b');
    expect(table).toMatch(/词元 +得分/);
    expect(table).toMatch(/美 +−0\.620 +█+│/);
  });

  it('have colours only where the terminal shows them', () => {
    expect(terminalColor({ TERM: 'xterm-256color', COLORTERM: 'truecolor' }, true)).toBe('truecolor');
    expect(terminalColor({ TERM: 'xterm-256color' }, true)).toBe('256');
    expect(terminalColor({ TERM: 'xterm-256color' }, false)).toBe('none');
    expect(terminalColor({ TERM: 'dumb' }, true)).toBe('none');
    expect(terminalColor({ TERM: 'xterm', NO_COLOR: '1' }, true)).toBe('none');
    expect(terminalColor({ FORCE_COLOR: '3' }, false)).toBe('truecolor');
  });
});

describe('bars', () => {
  it('sum tokens per word and rank by size', () => {
    const { by, bars } = barsOf(textExplanation(ENGLISH, { scores: ENGLISH_SCORES }), { top: 3 });
    expect(by).toBe('word');
    expect(bars.map(({ label }) => label)).toEqual(['free', 'Tuesday', 'prize']);
    expect(bars[1]!.score).toBeCloseTo(-0.73);
  });

  it('add up to the sum of all scores, those not shown included', () => {
    const explanation = textExplanation(ENGLISH, { scores: ENGLISH_SCORES });
    const { bars, others } = barsOf(explanation, { top: 5 });
    const sum = bars.reduce((total, { score }) => total + score, others.score);
    expect(sum).toBeCloseTo(sumOfScores(explanation.attributions));
  });

  it('tell repeated words apart', () => {
    const { bars } = barsOf(textExplanation('free free', { scores: { free: 1 } }));
    expect(bars.map(({ label }) => label)).toContain('free (2)');
  });

  it('name the features of a table by their place', () => {
    const { text: _, tokens: __, ...rest } = textExplanation('x');
    const explanation = { ...rest, attributions: { x: { dims: [1, 2], data: Float32Array.of(0.5, -2) } } };
    expect(barsOf(explanation)).toMatchObject({
      by: 'feature',
      bars: [
        { label: 'x[1]', score: -2 },
        { label: 'x[0]', score: 0.5 },
      ],
    });
  });
});
