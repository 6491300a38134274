/** inputs/ in a browser: pictures are decoded by it; everything after that is the same code as in Node. */
export * from './core.ts';
export { encodeImage, readImage } from './image-web.ts';
