import type { Target } from '../tasks/core.ts';

/** A tensor of scores in row-major order; `data.length` is the product of `dims`. */
export interface Scores {
  readonly dims: readonly number[];
  readonly data: Float32Array | Float64Array;
}

/** Where the tokens of a text explanation came from. All arrays have one entry per token. */
export interface TextContext {
  /** The model input the tokens were fed to; the key of their scores in `attributions`. */
  readonly input: string;
  /** The texts given: one, or two for a sentence pair. */
  readonly texts: readonly string[];
  /** Half-open [start, end) offsets in UTF-16 code units into `texts[segment]`; null for special tokens. */
  readonly offsets: readonly (readonly [number, number] | null)[];
  /** Index of the text a token belongs to; null for special tokens. */
  readonly segments: readonly (number | null)[];
  /** Index of the whitespace- and punctuation-delimited word within its text; null for special tokens. */
  readonly words: readonly (number | null)[];
  /** Tokens cut off because the text was longer than the model reads. 0 when everything fitted. */
  readonly truncated: number;
}

/** How the picture a person gave became the tensor the model saw. */
export interface ImageContext {
  /** The model input the pixels were fed to. */
  readonly input: string;
  /** Size of the given picture, in pixels, after EXIF rotation. */
  readonly width: number;
  readonly height: number;
  /** The rectangle of the given picture (in its pixels) that the model's input covers. */
  readonly crop: { readonly x: number; readonly y: number; readonly width: number; readonly height: number };
  /** `NCHW` or `NHWC`. */
  readonly layout: 'NCHW' | 'NHWC';
  /** The file, when the picture was one. */
  readonly path?: string;
  /** The box that is explained, in pixels of the given picture. */
  readonly box?: { readonly x: number; readonly y: number; readonly width: number; readonly height: number };
}

export interface ModelRef {
  readonly path: string;
  /** SHA-256 of the model file's bytes, in hexadecimal. */
  readonly sha256: string;
}

export interface RuntimeInfo {
  readonly provider: string;
  readonly threads: number;
  /** Wall time of the method, in milliseconds, without loading the model. */
  readonly ms: number;
  /** Rows that went through the model: one forward (and, for gradient methods, backward) pass each. */
  readonly passes: number;
  /** Versions of what computed the numbers, such as `{ onnxray: '0.1.0', onnxruntime: '1.30.0' }`. */
  readonly versions: Readonly<Record<string, string>>;
}

/** Why a model answered as it did, by one method, for one input and one target. */
export interface Explanation {
  /** The method's name as on the command line, for example `integrated-gradients`. */
  readonly method: string;
  /** Every option the method used, defaults included; `seed` where there is chance. */
  readonly options: Readonly<Record<string, string | number | boolean | null>>;
  readonly model: ModelRef;
  /** The model output that was explained. */
  readonly output: string;
  /** What about the output was explained, for example label `spam`, indices `[1]`. */
  readonly target: TargetRef;
  /** The target's value for this input. */
  readonly value: number;
  /** The target's value for the baseline, when the method has one. */
  readonly baselineValue: number | null;
  /**
   * (sum of attributions) - (value - baselineValue), or - value for methods whose scores sum to the answer itself
   * (baselineValue is null then); null for methods that promise no such sum.
   */
  readonly convergenceDelta: number | null;
  /** Scores per model input, or per layer path where a method scores a layer. */
  readonly attributions: Readonly<Record<string, Scores>>;
  /** The tokens as the model saw them, for text. */
  readonly tokens?: readonly string[];
  readonly text?: TextContext;
  readonly image?: ImageContext;
  /** The model's best answers for this input, best first. */
  readonly predictions?: readonly { readonly label: string; readonly index: number; readonly value: number }[];
  /** What a reader must know before trusting the picture; one sentence each. */
  readonly warnings: readonly string[];
  readonly runtime: RuntimeInfo;
}

/** What about the output was explained. */
export type TargetRef = Target;

/** Sum of all scores of all inputs, in float64. */
export function sumOfScores(attributions: Explanation['attributions']): number {
  let sum = 0;
  for (const { data } of Object.values(attributions)) for (let at = 0; at < data.length; at++) sum += data[at]!;
  return sum;
}
