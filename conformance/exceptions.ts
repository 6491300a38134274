/** What is not verified, and why. Every failure has to stand here: the run ends with an error for any other. */

/** Operators without a verified gradient; none of them is marked differentiable by its schema. */
export const OPERATOR_EXCEPTIONS: Readonly<Record<string, string>> = {
  DynamicQuantizeLinear: 'straight-through by design: its scale and zero point count as constants',
  Unique: 'has a rule, but how many elements it gives changes with the ties in its input: differences say nothing',
  QuantizeLinear:
    'gives integers, straight-through by design: held to float twins in test/conformance/quantized.test.ts',
  QLinearConv: 'gives integers, straight-through by design: held to float twins in test/conformance/quantized.test.ts',
  QLinearMatMul:
    'gives integers, straight-through by design: held to float twins in test/conformance/quantized.test.ts',
  Range: 'has a rule, but its inputs decide the length of its output: differences say nothing',
  OptionalHasElement: 'gives a flag',
  SequenceMap: 'takes a sequence, and there is no way to give one to onnxruntime from JavaScript',
  'ai.onnx.ml::CastMap': 'takes a map, and there is no way to give one to onnxruntime from JavaScript',
  'ai.onnx.ml::DictVectorizer': 'takes a map, and there is no way to give one to onnxruntime from JavaScript',
  'ai.onnx.ml::ZipMap': 'gives a map, which says again what its input says',
  ImageDecoder: 'gives integers from bytes',
};

/** Single cases that fail, and why; their operators may be verified by others. */
export const CASE_EXCEPTIONS: Readonly<Record<string, string>> = {
  test_not_2d: 'a file of opset 1: opsets before 7 are refused',
  test_not_3d: 'a file of opset 1: opsets before 7 are refused',
  test_not_4d: 'a file of opset 1: opsets before 7 are refused',
  test_range_float_type_positive_delta_expanded: 'its inputs decide the length of the output',
};
