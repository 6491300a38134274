/** Explanations made up for the tests of views/: no model ran. */
import type { Explanation, Scores } from '../../src/explanation/index.ts';
import type { RgbPicture } from '../../src/views/index.ts';

const BASE = {
  model: { path: 'zoo/made-up/model.onnx', sha256: '3f1c9a40d2'.padEnd(64, '7') },
  output: 'logits',
  warnings: [],
  runtime: { provider: 'cpu', threads: 2, ms: 84.2, passes: 64, versions: { onnxray: '0.1.0', onnxruntime: '1.30.0' } },
} as const;

/** Splits like a tokenizer: runs of letters (cut after five), digits, single other characters; full-width characters alone. */
function tokenize(text: string): { offsets: [number, number][]; words: number[] } {
  const offsets: [number, number][] = [];
  const words: number[] = [];
  let word = -1;
  for (const match of text.matchAll(/[\u4e00-\u9fff]|[\p{L}\p{M}\p{N}]+|[^\s\p{L}\p{N}]/gu)) {
    word++;
    for (let at = 0; at < match[0].length; at += 5) {
      offsets.push([match.index + at, match.index + Math.min(at + 5, match[0].length)]);
      words.push(word);
    }
  }
  return { offsets, words };
}

export interface TextFixture {
  readonly method?: string;
  readonly target?: string;
  /** Score of a token by its text; others get small pseudo-random ones. */
  readonly scores?: Readonly<Record<string, number>>;
  readonly truncated?: number;
  readonly warnings?: readonly string[];
}

export function textExplanation(text: string, fixture: TextFixture = {}): Explanation {
  const { offsets, words } = tokenize(text);
  const tokens = ['[CLS]', ...offsets.map(([start, end]) => text.slice(start, end)), '[SEP]'];
  const method = fixture.method ?? 'integrated-gradients';
  const unsigned = method === 'saliency';
  const data = Float32Array.from(tokens, (token, i) => {
    const small = 0.08 * Math.sin(i * 12.9898 + method.length);
    const score = fixture.scores?.[token.toLowerCase()] ?? small;
    return unsigned ? Math.abs(score) : score;
  });
  const sum = data.reduce((total, score) => total + score, 0);
  const promises = method === 'integrated-gradients';
  return {
    ...BASE,
    method,
    options: { baseline: promises ? 'pad' : null, steps: promises ? 32 : null },
    target: { label: fixture.target ?? 'spam', indices: [1] },
    value: 3.42,
    baselineValue: promises ? 3.42 - sum + 0.012 : null,
    convergenceDelta: promises ? -0.012 : null,
    attributions: { input_ids: { dims: [1, tokens.length], data } },
    tokens,
    text: {
      input: 'input_ids',
      texts: [text],
      offsets: [null, ...offsets, null],
      segments: [null, ...offsets.map(() => 0), null],
      words: [null, ...words, null],
      truncated: fixture.truncated ?? 0,
    },
    predictions: [
      { label: 'spam', index: 1, value: 0.9712 },
      { label: 'ham', index: 0, value: 0.0288 },
    ],
    warnings: fixture.warnings ?? [],
  };
}

export const ENGLISH =
  'Subject: You have WON!\n\nDear friend, claim your free prize today — no risk, guaranteed. Click here to unsubscribe, or meet me at the café on Tuesday.';
export const ENGLISH_SCORES = {
  won: 0.62,
  free: 0.94,
  prize: 0.71,
  click: 0.55,
  claim: 0.41,
  guara: 0.2,
  nteed: 0.24,
  risk: 0.3,
  tuesd: -0.52,
  ay: -0.21,
  café: -0.33,
  meet: -0.44,
  friend: 0.18,
  '[cls]': 0.35,
} as const;
export const CHINESE = '这部电影的画面很美，可是故事无聊，演员也不认真。看完只觉得浪费时间。';
export const CHINESE_SCORES = {
  美: -0.62,
  很: -0.12,
  无: 0.51,
  聊: 0.66,
  浪: 0.72,
  费: 0.58,
  不: 0.31,
  认: 0.11,
  真: 0.14,
} as const;

/** A sky with a sun over a meadow. */
export function picture(width = 160, height = 120): RgbPicture {
  const data = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const sun = Math.hypot(x - width * 0.68, y - height * 0.3) < height * 0.14;
      const meadow = y > height * (0.62 + 0.05 * Math.sin((x / width) * 9));
      data.set(
        sun ? [250, 220, 90] : meadow ? [90, 150 - y / 4, 60] : [110 + y, 170 + y / 2, 235],
        (y * width + x) * 3,
      );
    }
  return { width, height, data };
}

/** Scores around the sun (for) and the meadow (against), with the grain raw gradients have. */
export function imageExplanation(
  method = 'integrated-gradients',
  size = 64,
  dims: readonly number[] = [1, 3, size, size],
): Explanation {
  const unsigned = method === 'saliency';
  const data = new Float32Array(dims.reduce((product, dim) => product * dim, 1));
  const area = size * size;
  for (let i = 0; i < data.length; i++) {
    const [x, y] = [i % size, Math.floor((i % area) / size)];
    const sun = Math.exp(-((x - size * 0.74) ** 2 + (y - size * 0.3) ** 2) / (size * 0.9));
    const meadow = Math.exp(-((y - size * 0.8) ** 2) / (size * 0.6)) * 0.4;
    const grain = Math.sin(i * 78.233) * 43758.5453;
    const score = ((sun - meadow) * (0.4 + (grain - Math.floor(grain))) + 0.1 * (grain - Math.floor(grain) - 0.5)) / 40;
    data[i] = unsigned ? Math.abs(score) : score;
  }
  const scores: Scores = { dims, data };
  const sum = data.reduce((total, score) => total + score, 0);
  const text = textExplanation('', { method });
  const { text: _text, tokens: _tokens, ...rest } = text;
  return {
    ...rest,
    baselineValue: text.baselineValue === null ? null : text.value - sum + 0.012,
    target: { label: 'sundial', indices: [835] },
    attributions: { pixels: scores },
    image: {
      input: 'pixels',
      width: 160,
      height: 120,
      crop: { x: 20, y: 0, width: 120, height: 120 },
      layout: dims[3] === 3 ? 'NHWC' : 'NCHW',
      path: 'meadow.jpg',
    },
    predictions: [
      { label: 'sundial', index: 835, value: 0.612 },
      { label: 'lakeside', index: 975, value: 0.201 },
      { label: 'valley', index: 979, value: 0.0714 },
    ],
  };
}
