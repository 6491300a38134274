/** The good files: small ones that the tests come with, of every kind there is, and two larger ones of the zoo. */
export const FUZZ_FILES: readonly string[] = [
  ...['bfloat16', 'external', 'float16', 'functions', 'ir3', 'merged', 'sparse'].map(
    (name) => `test/onnx/fixtures/${name}.onnx`,
  ),
  ...['mlp', 'cnn', 'resnet', 'bert', 'vit', 'gpt'].map((name) => `test/attribution/fixtures/${name}.onnx`),
  ...['image-selfie', 'vit-emoji'].map((name) => `zoo/${name}/onnx/model.onnx`),
  ...['llama-eager', 't5-eager', 'deit-sdpa'].map((name) => `test/attention/fixtures/${name}.onnx`),
];
