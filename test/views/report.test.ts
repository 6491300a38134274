import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import {
  MESSAGES,
  completenessSentence,
  factsOf,
  relativeGap,
  renderExplanation,
  renderReport,
} from '../../src/views/index.ts';
import {
  formatDuration,
  formatNumber,
  formatPercent,
  formatPercentBound,
  formatSigned,
  ticks,
} from '../../src/views/format.ts';
import { LANGUAGES } from '../../src/views/messages.ts';
import { CHINESE, ENGLISH, ENGLISH_SCORES, imageExplanation, picture, textExplanation } from './fabricated.ts';

const METHODS = ['saliency', 'input-x-gradient', 'integrated-gradients'];
const report = (language?: 'en' | 'zh') =>
  renderReport({
    ...(language && { language }),
    models: [{ path: 'zoo/made-up/model.onnx', sha256: 'ab'.repeat(32), licence: 'Apache-2.0' }],
    sections: [
      {
        title: 'A letter',
        explanations: METHODS.map((method) => textExplanation(ENGLISH, { method, scores: ENGLISH_SCORES })),
      },
      { title: '短评', explanations: [textExplanation(CHINESE)] },
      { title: 'meadow.jpg', explanations: METHODS.map((method) => imageExplanation(method)), picture: picture() },
    ],
  });

describe('the report', () => {
  it('asks the network for nothing', async () => {
    const page = await report();
    expect(page).not.toMatch(/(?:src|href)="(?!data:|#)/);
    expect(page.replaceAll('http://www.w3.org/2000/svg', '')).not.toMatch(/https?:|\/\/[\w-]+\.|@import|url\(/);
  });

  it('allows by its policy exactly the style and the script it holds, and no inline styles or handlers', async () => {
    const page = await report();
    const policy = page.match(/Content-Security-Policy" content="([^"]*)"/)![1]!;
    expect(policy).toContain("default-src 'none'");
    for (const element of ['style', 'script']) {
      const [, body] = page.match(new RegExp(`<${element}>([\\s\\S]*?)</${element}>`))!;
      const hash = createHash('sha256').update(body!).digest('base64');
      expect(policy).toContain(`${element}-src 'sha256-${hash}'`);
    }
    expect(page.replace(/<script>[\s\S]*?<\/script>/, '')).not.toMatch(/<[^>]*\s(?:style|on\w+)=/);
  });

  it('holds both languages, each with its lang, and starts in the one asked for', async () => {
    const page = await report('zh');
    expect(page).toContain('<html lang="zh-CN"');
    expect(page).toContain(`<span class="t-zh" lang="zh-CN">${MESSAGES.zh.howToRead}</span>`);
    expect(page).toContain(`<span class="t-en" lang="en">${MESSAGES.en.howToRead}</span>`);
    expect((await report()).match(/<html lang="en"[^>]*data-auto/)).not.toBeNull();
  });

  it('describes every image in words, in both languages', async () => {
    const images = (await report()).match(/<img [^>]*>/g)!;
    expect(images).toHaveLength(1 + 2 * METHODS.length);
    for (const image of images) {
      expect(image).toMatch(/ alt="[^"]{5,}"/);
      expect(image).toMatch(/ data-alt-zh="[^"]*\p{Script=Han}/u);
    }
  });

  it('links every entry of its contents to a section', async () => {
    const page = await report();
    for (const [, id] of page.matchAll(/href="#([\w-]+)"/g)) expect(page).toContain(`id="${id}"`);
  });

  it('is the same for the same explanations', async () => {
    expect(await report()).toBe(await report());
  });

  it('states gap, baseline and warnings beside the picture', async () => {
    const explanation = textExplanation(ENGLISH, { scores: ENGLISH_SCORES, warnings: ['Take care.'] });
    const page = await renderExplanation(explanation, { format: 'html' });
    expect(page).toContain('The scores add up to the change of the answer within 0.42%.');
    expect(page).toContain('Attribution is relative to the baseline “pad”');
    expect(page).toContain('<li lang="en">Take care.</li>');
  });
});

describe('the verdict on completeness', () => {
  const explanation = textExplanation(ENGLISH);

  it('is the gap relative to the change of the answer', () => {
    const made = { ...explanation, value: 3, baselineValue: 1, convergenceDelta: -0.05 };
    expect(relativeGap(made)).toBeCloseTo(0.025);
    expect(completenessSentence(made, 'en')).toContain('within 2.5%');
    const relevance = { ...made, baselineValue: null, value: 2, convergenceDelta: -1.5 };
    expect(completenessSentence(relevance, 'en')).toMatch(/^The scores add up to \S+, not to the answer, 2/);
  });

  it('says so when the answer did not change or the method promises nothing', () => {
    const same = { ...explanation, value: 1, baselineValue: 1, convergenceDelta: 0 };
    expect(completenessSentence(same, 'en')).toBe(MESSAGES.en.completenessNoChange);
    expect(completenessSentence(textExplanation('x', { method: 'saliency' }), 'zh')).toBe(MESSAGES.zh.noPromise);
  });

  it('warns when the gap is large', async () => {
    const made = { ...explanation, value: 3, baselineValue: 1, convergenceDelta: 0.4 };
    expect(await renderExplanation(made, { format: 'ansi' })).toContain('The gap is large');
  });

  it('leaves out numbers the method does not have', () => {
    const names = factsOf(textExplanation('x', { method: 'saliency' }), 'en').map(({ name }) => name);
    expect(names).not.toContain(MESSAGES.en.gap);
  });
});

describe('numbers', () => {
  it('have three digits and a true minus sign', () => {
    expect([0.94, -0.5, 1234.5, 0.00001234, 0, 2e7].map((x) => formatNumber(x))).toEqual([
      '0.940',
      '−0.500',
      '1235',
      '1.23×10⁻⁵',
      '0',
      '2.00×10⁷',
    ]);
    expect([1, -1, 0, Number.NaN].map((x) => formatSigned(x))).toEqual(['+1.00', '−1.00', '0', 'NaN']);
  });

  it('that bound a gap are rounded up', () => {
    expect([0.025, 0.0251, 0.000148, 1e-9, 0, 0.9999].map(formatPercentBound)).toEqual([
      '2.5%',
      '2.6%',
      '0.02%',
      '0.01%',
      '0.01%',
      '100%',
    ]);
  });

  it('never round a probability to certainty', () => {
    expect([1, 0.99999, 0.973, 0.0042, 0.00001, 0].map(formatPercent)).toEqual([
      '100%',
      '> 99.9%',
      '97.3%',
      '0.42%',
      '< 0.01%',
      '0%',
    ]);
  });

  it('of time are in ms or s', () => {
    expect([4.21, 84.2, 3210].map(formatDuration)).toEqual(['4.2 ms', '84 ms', '3.2 s']);
  });

  it('on an axis are round and lie within it', () => {
    expect(ticks(-0.73, 0.94, 4)).toEqual([-0.5, 0, 0.5]);
    expect(ticks(0, 0)).toEqual([0]);
    expect(ticks(0, 3e-7, 3)).toEqual([0, 1e-7, 2e-7, 3e-7]);
  });
});

it('every message is there in both languages and Chinese ones are Chinese', () => {
  for (const key of Object.keys(MESSAGES.en) as (keyof typeof MESSAGES.en)[]) {
    const chinese = MESSAGES.zh[key];
    expect(typeof chinese).toBe(typeof MESSAGES.en[key]);
    if (typeof chinese === 'string' && key !== 'sha256') expect(chinese).toMatch(/\p{Script=Han}/u);
  }
  expect(LANGUAGES).toEqual(Object.keys(MESSAGES));
});
