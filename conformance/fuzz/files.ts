/** The good files: small ones that the tests come with, of every kind there is. */
export const FUZZ_FILES: readonly string[] = [
  ...['bfloat16', 'external', 'float16', 'functions', 'ir3', 'merged', 'sparse'].map(
    (name) => `test/onnx/fixtures/${name}.onnx`,
  ),
  ...['mlp', 'cnn', 'resnet', 'bert', 'vit', 'gpt'].map((name) => `test/attribution/fixtures/${name}.onnx`),
  ...['llama-eager', 't5-eager', 'deit-sdpa'].map((name) => `test/attention/fixtures/${name}.onnx`),
];
