import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
const version = (file: string): string => (require(file) as { version: string }).version;

/** Versions of what computes the numbers. */
export const VERSIONS: Readonly<Record<string, string>> = {
  onnxray: version('../../package.json'),
  onnxruntime: version('onnxruntime-node/package.json'),
};
