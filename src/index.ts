/**
 * onnxray: X-ray vision for ONNX models.
 *
 *     const model = await ExplainableModel.open('zoo/text-spam');
 *     const { explanation } = await model.explain({ text: 'Claim your free prize' });
 */
export * from './onnx/index.ts';
export * from './autodiff/index.ts';
export * from './runtime/index.ts';
export * from './inputs/index.ts';
export * from './tasks/index.ts';
export * from './explanation/index.ts';
export * from './programs/index.ts';
export * from './attribution/index.ts';
export * from './surrogates/index.ts';
export * from './attention/index.ts';
export * from './evaluation/index.ts';
export * from './visualisation/index.ts';
export * from './inspection/index.ts';
