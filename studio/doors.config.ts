import path from 'node:path';

/** The package's doors, as its `exports` name them; built before the studio is. */
const built = (file: string): string => path.resolve(import.meta.dirname, '../dist', file);
export const doors = {
  'onnxray/browser': built('browser.js'),
  'onnxray/pack': built('attention/pack.js'),
  'onnxray/results': built('attention/results.js'),
  'onnxray/views': built('views/browser.js'),
  'onnxray/explanation': built('explanation/index.js'),
};
