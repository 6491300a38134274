/** Versions of what computes the numbers in a browser, where no package.json can be read; a test holds them to it. */
export const WEB_VERSIONS: Readonly<Record<string, string>> = { onnxray: '0.1.0', onnxruntime: '1.30.0' };
