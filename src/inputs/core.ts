/** The part of inputs/ that runs anywhere: plain data and pure functions. */
export { checkTensors, readTensors } from './tensors.ts';
export { drawNumbers, normalRandom, seededNoise, seededRandom } from './random.ts';
export type { Random } from './random.ts';
export { loadTokenizer } from './text-tokenizer.ts';
export type { SpecialToken, TextTokenizer, TokenizerFiles } from './text-tokenizer.ts';
export { baselineIds, encodeText, takesText } from './text.ts';
export type { EncodeTextOptions, TextBaseline, TextEncoding } from './text.ts';
export { wordIndices, wordsOf } from './words.ts';
export { planImage, takesImage } from './image-plan.ts';
export type { ImagePlan } from './image-plan.ts';
export { imageBaseline, preprocess } from './preprocess.ts';
export type { ImageBaseline, ImageBaselineOptions, ImageEncoding, Rectangle } from './preprocess.ts';
export { FILTERS, resample } from './resample.ts';
export type { Filter, Pixels } from './resample.ts';
export { PIXEL_LIMIT, encodePixels, pixelsOfRgba } from './picture.ts';
export type { ImageEncoder, ImageFileEncoding, ImageSource, RgbaPixels } from './picture.ts';
