/**
 * onnx/: a model as data.
 */
export * from './tensor.ts';
export * from './errors.ts';
