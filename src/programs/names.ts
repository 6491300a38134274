/** Names of what a compiled program takes and gives, beside the model's own inputs. */
export const PROGRAM = {
  /** Position of each row on the path from baseline (0) to input (1): float32 [rows]. */
  alphas: 'onnxray/alphas',
  /** Position of each row's successor, for differences of a layer along the path: float32 [rows]. */
  nextAlphas: 'onnxray/next-alphas',
  /** Weight of each row in the sums over rows: float32 [rows]. */
  weights: 'onnxray/weights',
  /** What of each group each row keeps (1) or replaces by the baseline (0): float32 [rows, groups]. */
  masks: 'onnxray/masks',
  /** Soft masks over a picture, on a grid of their own that is enlarged to the picture's: float32 [rows, height, width]. */
  planes: 'onnxray/planes',
  /** Size of the noise: float32, one number. */
  deviation: 'onnxray/deviation',
  /** Weight of each element of the explained output, [1, ...] as the output without its batch: the target. */
  target: 'onnxray/target',
  /** Weight of each element of a layer that conductance is taken through: [1, ...] as the layer. */
  neuron: 'onnxray/neuron',
  /** The explained output for each row: [rows, ...]. */
  output: 'onnxray/output',
  /** The target's value for each row: [rows]. */
  values: 'onnxray/values',
  /** The target's value for what each row is compared with, where the backward pass runs the model on it: [rows]. */
  baselineValues: 'onnxray/baseline-values',
  /** The gradient of each row's value with respect to its masks: [rows, groups]. */
  maskGradients: 'onnxray/mask-gradients',
  baseline: (input: string) => `onnxray/baseline/${input}`,
  /** Group of each element: int64, shaped as the scores. */
  groups: (input: string) => `onnxray/groups/${input}`,
  /** Standard normal numbers to be added to each row: [rows, ...] as the feature. */
  noise: (input: string) => `onnxray/noise/${input}`,
  /** The rows themselves, and what their gradients are multiplied with: [rows, ...] as the feature. */
  points: (input: string) => `onnxray/points/${input}`,
  differences: (input: string) => `onnxray/differences/${input}`,
  /** Which scores second derivatives are taken of: [rows, ...] as the scores. */
  direction: (input: string) => `onnxray/direction/${input}`,
  /** Weighted sum over rows of the scores, and of their squared distances from the rows' mean. */
  scores: (input: string) => `onnxray/scores/${input}`,
  spread: (input: string) => `onnxray/spread/${input}`,
  /** A layer's map of each row: [rows, height, width]. */
  map: (layer: string) => `onnxray/map/${layer}`,
  /** A value of the model as it is in each row. */
  captured: (value: string) => `onnxray/captured/${value}`,
} as const;
