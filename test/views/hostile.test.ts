import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Explanation } from '../../src/explanation/index.ts';
import {
  barsOf,
  barsSvg,
  escapeMarkup,
  explanationAnsi,
  renderExplanation,
  renderReport,
  showControls,
  svgDocument,
  terminalSafe,
} from '../../src/views/index.ts';
import { imageExplanation, picture, textExplanation } from './fabricated.ts';

const HOSTILE = [
  '<script>alert(1)</script>',
  '"><img src=x onerror=alert(1)>',
  "' onmouseover='alert(1)",
  ']]><svg onload=alert(1)>',
  '&lt;b&gt; &amp;',
  '</title></style></script>',
  '<!-- `${x}`',
];

/** Hostile in every place a model, a file or a person can write to. */
function poisoned(text: string): Explanation {
  const base = textExplanation(text, { target: text, warnings: [text] });
  return {
    ...base,
    method: text,
    output: text,
    options: { baseline: text },
    model: { path: text, sha256: text },
    tokens: base.tokens!.map((token) => (token === '[CLS]' ? text : token)),
    predictions: [{ label: text, index: 0, value: 0.5 }],
    runtime: { ...base.runtime, provider: text, versions: { [text]: text } },
  };
}

/** The tags of a page, without the style and script it came with. */
function tags(markup: string): string[] {
  return markup.replace(/<style>[\s\S]*?<\/style>|<script>\(\(\) =>[\s\S]*?<\/script>/g, '').match(/<[^>]*>/g) ?? [];
}

describe('hostile text', () => {
  it.each(HOSTILE)('adds no tag and no attribute to a report or an SVG: %s', async (text) => {
    const harmless = 'x'.repeat(4);
    for (const format of ['html', 'svg'] as const) {
      const page = await renderExplanation(poisoned(text), { format });
      const allowed = new Set(
        tags(await renderExplanation(poisoned(harmless), { format })).map((tag) => tag.match(/^<[!/]?[\w-]*/)![0]),
      );
      for (const tag of tags(page)) {
        expect(allowed).toContain(tag.match(/^<[!/]?[\w-]*/)![0]);
        expect(tag.replace(/"[^"]*"/g, '""')).not.toMatch(/\son\w+=/);
      }
      expect(page).not.toContain('alert(1)</script>');
      expect(page).not.toContain('onerror=alert(1)>');
    }
  });

  it('in file names, titles, notes and commands is escaped', async () => {
    const text = HOSTILE.join(' ');
    const explanation = { ...imageExplanation(), model: { path: text, sha256: text } };
    const page = await renderReport({
      title: { en: text, zh: text },
      lede: { en: text, zh: text },
      models: [{ ...explanation.model, name: text, licence: text }],
      sections: [{ title: text, note: { en: text, zh: text }, explanations: [explanation], picture: picture() }],
      command: text,
      date: text,
    });
    for (const raw of HOSTILE.slice(0, 6)) expect(page).not.toContain(raw);
    expect(tags(page).filter((tag) => tag.startsWith('<script'))).toEqual([]);
  });

  it('in a bar chart is escaped', () => {
    const explanation = poisoned(HOSTILE[1]!);
    const drawing = barsSvg(explanation, barsOf(explanation), { width: 360, theme: 'light', language: 'en' });
    expect(svgDocument(drawing, { theme: 'light', title: HOSTILE[0]! })).not.toMatch(/<script|<img/);
  });

  it('never leaves a character that ends text or an attribute', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => !/[<>"'`]|&(?!#\d+;)/.test(escapeMarkup(text))));
  });
});

describe('controls', () => {
  it('that turn the reading direction become visible', () => {
    expect(showControls('user\u202Egnp.exe')).toBe('user⟨U+202E⟩gnp.exe');
    expect(escapeMarkup('\u2066a\u2069')).toBe('⟨U+2066⟩a⟨U+2069⟩');
  });

  it('of the C0 and C1 sets become visible, tab and line feed stay', () => {
    expect(showControls('a\u0000b\u001bc\u009bd\te\nf\r\ng')).toBe('a␀b␛c⟨U+009B⟩d\te\nf\ng');
  });

  it('leave emoji, Arabic, Hebrew and combining marks alone', () => {
    for (const text of ['👩🏽‍🚒 🇨🇳 ❤️', 'مرحبا', 'שלום', 'e\u0301', 'क्\u200dष']) expect(showControls(text)).toBe(text);
  });

  it('and other characters that XML forbids do not break an SVG', async () => {
    const text = 'a\u0000\u0008\ufffe\uffff\ud83d b';
    const png = await renderExplanation(poisoned(text), { format: 'png', density: 1 });
    expect(png.length).toBeGreaterThan(1000);
  });

  it('that are half an emoji become the replacement character', () => {
    expect(showControls('\ud83d!')).toBe('\ufffd!');
  });
});

describe('escape sequences of a terminal', () => {
  it('are removed whole: colours, cursor, titles, links', () => {
    expect(terminalSafe('a\u001b[31mred\u001b[0m b')).toBe('ared b');
    expect(terminalSafe('\u001b]0;title\u0007x\u001b]8;;http://h\u001b\\link')).toBe('xlink');
    expect(terminalSafe('\u001b[2J\u001b[1;1H\u009b31mgone')).toBe('gone');
    expect(terminalSafe('\u001bcreset')).toBe('reset');
  });

  it('cannot be put together from what removing one leaves', () => {
    const once = terminalSafe('\u001b\u001b[0m[31mx');
    expect(once).not.toContain('\u001b');
  });

  it('never reach the terminal, whatever the text', () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom('\u001b', '[', ']', '31', 'm', ';', '\u0007', '\u009b', 'x', '\n', '\u202e', '\\')),
        (parts) => {
          const text = parts.join('');
          // eslint-disable-next-line no-control-regex
          return !/[\u0000-\u001f\u007f-\u009f\u202e]/.test(terminalSafe(text));
        },
      ),
    );
  });

  it('in a text, a label or a file name are not in the terminal view', () => {
    const text = 'evil \u001b[2J\u001b]0;owned\u0007 text';
    for (const color of ['none', '256', 'truecolor'] as const) {
      const view = explanationAnsi(poisoned(text), { color });
      // eslint-disable-next-line no-control-regex
      expect(view.replace(/\u001b\[(?:0|9|38;[\d;]+)m/g, '')).not.toMatch(/\u001b|\u0007/);
    }
  });
});
