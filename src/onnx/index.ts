/**
 * onnx/: a model as data.
 *
 * `readModel` and `writeModel` turn an .onnx file's bytes into plain data and back. Passes take a Model and give a
 * Model; weights are shared between them, never copied. `GraphBuilder` appends nodes and knows types and shapes as
 * it goes. `normalizeModel` brings every file to one canonical form, so that no later room sees old opsets.
 */
export * from './tensor.ts';
export * from './model.ts';
export { UsageError, UserError, fileProblem, unwritable } from './errors.ts';
export { TYPE_NUMBERS, readModel, readTensor } from './read.ts';
export { writeModel } from './write.ts';
export type { WriteOptions } from './write.ts';
export { GraphBuilder } from './builder.ts';
export { multiplyAlong, resizedAxes } from './resize-matrix.ts';
export type { ConvAttributes } from './builder.ts';
export { UnknownRankError } from './node-builder.ts';
export type { NodeOptions } from './node-builder.ts';
export type { EmittedOperator } from './operators.ts';
export { EMITTED_OPERATORS } from './operators.ts';
export type { Facts } from './facts.ts';
export { inferGraph } from './infer/index.ts';
export { isStatic, positiveAxis } from './dims.ts';
export { layerPath, listLayers } from './layers.ts';
export type { Layer } from './layers.ts';
export { remembered } from './remembered.ts';
export { pruneModel, valuesCaptured, valuesRead } from './prune.ts';
export { externalWeights } from './external.ts';
export type { ExternalStorage } from './external.ts';
export { inlineFunctions } from './inline.ts';
export { keptApart } from './rename.ts';
export { joinModels, weightsOf } from './join.ts';
export type { ModelPart } from './join.ts';
export { NEWEST_IR_VERSION, NEWEST_OPSETS } from './upgrade.ts';
export { COMPOSITE_OPERATORS } from './decompose/index.ts';
export { normalizeModel } from './normalize.ts';
export { unpackIntegers } from './packed.ts';
export { narrowToRead } from './narrow.ts';
export { foldPadding } from './padding.ts';
export { lowerForWebGpu } from './webgpu.ts';
export type { NormalizeOptions } from './normalize.ts';
export {
  byteLength,
  isFloat,
  numbersToData,
  numbersWeight,
  tensorWeight,
  weightNumbers,
  weightTensor,
} from './weight.ts';
export { fromBfloat16, fromFloat16, toBfloat16, toFloat16 } from './float16.ts';
