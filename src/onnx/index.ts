/**
 * onnx/: a model as data.
 */
export * from './tensor.ts';
