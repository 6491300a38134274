/**
 * onnxray in a browser: the same rooms, with onnxruntime-web in Workers and the browser's own decoders.
 *
 *     const model = await ExplainableModel.open('models/text-spam/');
 *     const { explanation } = await model.explain({ text: 'Claim your free prize' });
 *     document.body.innerHTML = tokensHtml(explanation);
 */
export * from './onnx/index.ts';
export * from './autodiff/index.ts';
export * from './runtime/browser.ts';
export * from './inputs/browser.ts';
export * from './tasks/browser.ts';
export * from './explanation/index.ts';
export * from './programs/index.ts';
export * from './attribution/browser.ts';
export * from './surrogates/index.ts';
export * from './attention/index.ts';
export * from './evaluation/index.ts';
export * from './visualisation/index.ts';
export * from './inspection/index.ts';
export * from './jobs/index.ts';
export * from './views/browser.ts';
