/** What is explained, what it became for the model, and what is said of it in the result. */
import type { TokenText } from '../attention/index.ts';
import type { ImageFileEncoding, ImageSource, Rectangle, TextEncoding } from '../inputs/core.ts';
import type { NamedTensors } from '../onnx/index.ts';
import type { Explanation } from '../explanation/index.ts';
import type { DetectionAim, Modality } from '../programs/index.ts';

/** What is to be explained. */
export type Subject =
  | { readonly text: string; readonly pair?: string }
  | { readonly image: ImageSource }
  /** For a model that compares the two: how alike they are. */
  | { readonly image: ImageSource; readonly text: string }
  | { readonly tensors: NamedTensors };

/** What a subject became on its way to the model. */
export type Encoded =
  | { readonly kind: 'text'; readonly encoding: TextEncoding; readonly tensors: NamedTensors }
  | { readonly kind: 'image'; readonly encoding: ImageFileEncoding; readonly tensors: NamedTensors }
  | {
      readonly kind: 'image-text';
      readonly image: ImageFileEncoding;
      readonly text: TextEncoding;
      readonly tensors: NamedTensors;
    }
  | { readonly kind: 'tensors'; readonly tensors: NamedTensors };

/** The text, and the picture, of what has one. */
export const textOf = (encoded: Encoded): TextEncoding | undefined =>
  encoded.kind === 'text' ? encoded.encoding : encoded.kind === 'image-text' ? encoded.text : undefined;
export const pictureOf = (encoded: Encoded): ImageFileEncoding | undefined =>
  encoded.kind === 'image' ? encoded.encoding : encoded.kind === 'image-text' ? encoded.image : undefined;

/** A text as the measures of attention take it. */
export function tokenText(encoded: Encoded): TokenText | undefined {
  const text = textOf(encoded);
  if (text === undefined) return undefined;
  const { tokens, offsets, ids } = text;
  return { tokens, ids, special: offsets.map((range) => range === null) };
}

/** What the input is, for methods that group its elements. */
export function modalityOf(encoded: Encoded): Modality {
  if (encoded.kind === 'text') {
    const { input, words, segments } = encoded.encoding;
    return { kind: 'text', input, context: { words, segments } };
  }
  if (encoded.kind === 'image') {
    const { input, layout } = encoded.encoding;
    return { kind: 'image', input, layout };
  }
  if (encoded.kind === 'image-text') {
    const { image, text } = encoded;
    const context = { words: text.words, segments: text.segments };
    return { kind: 'image', input: image.input, layout: image.layout, text: { input: text.input, context } };
  }
  return { kind: 'tensors' };
}

/** What the result says of the subject: tokens and text, the picture, the box. */
export function describeSubject(encoded: Encoded, detection: DetectionAim | undefined): Partial<Explanation> {
  const [text, picture] = [textOf(encoded), pictureOf(encoded)];
  return { ...(text === undefined ? {} : describeText(text)), ...(picture && describePicture(picture, detection)) };
}

function describeText(encoding: TextEncoding): Pick<Explanation, 'tokens' | 'text'> {
  const { input, texts, tokens, offsets, segments, words, truncated } = encoding;
  return { tokens, text: { input, texts, offsets, segments, words, truncated } };
}

function describePicture(encoding: ImageFileEncoding, detection: DetectionAim | undefined): Pick<Explanation, 'image'> {
  const { input, width, height, crop, layout, path } = encoding;
  const box = detection === undefined ? {} : { box: boxInPicture(detection, crop) };
  return { image: { input, width, height, crop, layout, ...(path === undefined ? {} : { path }), ...box } };
}

/** A box in pixels of the model's input, in pixels of the picture. */
function boxInPicture({ found, width, height }: DetectionAim, crop: Rectangle): Rectangle {
  const [perX, perY] = [crop.width / width, crop.height / height];
  return {
    x: crop.x + found.x0 * perX,
    y: crop.y + found.y0 * perY,
    width: (found.x1 - found.x0) * perX,
    height: (found.y1 - found.y0) * perY,
  };
}

/** What of the subject the model does not see as it is. */
export function subjectWarnings(encoded: Encoded): readonly string[] {
  const truncated = textOf(encoded)?.truncated ?? 0;
  const cut = `the model does not read the last ${truncated} tokens: the text is longer than it takes`;
  return [...(pictureOf(encoded)?.warnings ?? []), ...(truncated === 0 ? [] : [cut])];
}
