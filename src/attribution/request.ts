/** What `attribute` is asked. */
import type { DenseTensor, NamedTensors } from '../onnx/index.ts';
import type { TargetRef } from '../explanation/index.ts';
import type { BuildTarget, DetectionAim, Method, Modality, OptionValue, Reading } from '../programs/index.ts';

export interface AttributeRequest {
  /** The model's inputs, with a batch of 1. */
  readonly inputs: NamedTensors;
  /** A method, or the name of one of this room's; `integrated-gradients` unless said. */
  readonly method?: string | Method;
  /** Options of the method; what is left out has its default. */
  readonly options?: Readonly<Record<string, OptionValue>>;
  /** The output to explain; the model's first floating-point output unless said. */
  readonly output?: string;
  /** What to explain about the output: given, chosen when the answer is known, weights of its elements, or made of it. */
  readonly target: TargetRef | ((answer: DenseTensor) => TargetRef | WeightedTarget) | WeightedTarget | BuiltTarget;
  /** The scale of a target that is chosen when the answer is known; a given one says it itself. */
  readonly scale?: TargetRef['scale'];
  /** The output has no batch axis: it is read as that of one input. */
  readonly unbatched?: boolean;
  /** What is read off the output, where not the output itself is explained: how alike a pair is, the mask of an instance. */
  readonly reading?: Reading;
  /** The box that the target belongs to, for methods that look for it in other answers. */
  readonly detection?: DetectionAim;
  /**
   * A layer's path as `listLayers` gives it. Alone: the layer is scored, in its own dims. With `neuron`: that element of
   * the layer is what is explained, in place of the output's target.
   */
  readonly layer?: string;
  /** Index into the layer after the batch axis. */
  readonly neuron?: readonly number[];
  /**
   * What the input is compared with, by input; `zero` (the default) for zeros, of the embedding for tokens. Methods that
   * compare with many baselines take as many rows as there are.
   */
  readonly baseline?: NamedTensors | 'zero';
  /** How the baseline is called in the explanation's options. */
  readonly baselineName?: string;
  /** What the input is; `tensors` unless said. */
  readonly modality?: Modality;
  /** Feature mask: group of each element, int64, by input; methods that perturb treat a group as one. */
  readonly groups?: NamedTensors;
  /** Of what has chance in it. Default 0. */
  readonly seed?: number;
  readonly signal?: AbortSignal;
  /** Called as rows go through the model, with the rows done and to do in the present step. */
  readonly onProgress?: (done: number, total: number) => void;
  /** Bytes that the activations of one run may take. Default 1 GiB. */
  readonly memoryBudget?: number;
}

/** Any weighted sum of an output's elements, such as the mean over a mask. */
export interface WeightedTarget {
  readonly label: string;
  /** The element it is around, where there is one. */
  readonly indices?: readonly number[];
  /** [1, ...] as the output. */
  readonly weights: DenseTensor;
}

/** Anything the graph can make of an output. */
export interface BuiltTarget {
  readonly label: string;
  /** Programs are cached by it: another function needs another name. */
  readonly name: string;
  /** Other outputs that it is made of. */
  readonly alongside?: readonly string[];
  /** Appends nodes that make [rows, ...] of the output [rows, ...] and those alongside; all elements of a row are summed up. */
  readonly build: BuildTarget;
}

type TargetRequest = AttributeRequest['target'];
export const isBuilt = (target: TargetRequest): target is BuiltTarget =>
  typeof target === 'object' && 'build' in target;
export const isWeighted = (target: TargetRef | WeightedTarget): target is WeightedTarget => 'weights' in target;
