/**
 * inputs/: from what people have (a sentence, a picture, a JSON file) to tensors, and back to characters and pixels.
 *
 * `core.ts` is plain data and pure functions; this door adds picture files through sharp, in Node, and `browser.ts`
 * pictures through the browser's own decoders.
 */
export * from './core.ts';
export { encodeImage, readImage } from './image.ts';
