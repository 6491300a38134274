import type { RuleSetSpec } from '../autodiff/index.ts';
import type { ValueName } from '../onnx/index.ts';
import type { AttentionMapRequest } from './attention-maps.ts';
import type { Feature } from './features.ts';
import type { Reading } from './reading.ts';
import type { FullGradientRequest } from './full-gradient.ts';
import type { MapRequest } from './maps.ts';
import type { PlanesRequest } from './planes.ts';

/** How the gradients of a row become its scores. */
export type Reduction =
  /** times (input - baseline); summed over an embedding's axis. */
  | 'times-difference'
  /** absolute value; the Euclidean norm over an embedding's axis. */
  | 'magnitude'
  /** as it is; summed over an embedding's axis. */
  | 'signed'
  /** its square's share of the sum of squares over all features; summed over an embedding's axis. */
  | 'square-share'
  /** as it is, with the embedding's axis. */
  | 'raw';

export interface BackwardRequest {
  /** How the backward pass goes through each operator; the gradient unless said. */
  readonly rules?: RuleSetSpec;
  readonly reduction: Reduction;
  /** Also give how far the rows' scores are from their mean. */
  readonly spread?: boolean;
  /**
   * Second derivatives: the gradient of the scores that a direction picks out, times the difference again.
   * By input the direction has one number for each score.
   */
  readonly pairs?: boolean;
  /**
   * Take the gradient at this layer while rows vary in the inputs. `influence`: its weighted sum; `conductance`: times
   * the layer's change to the row's successor; `neuron`: of the target through chosen elements of the layer, carried
   * on to the inputs.
   */
  readonly at?: { readonly layer: Feature; readonly form: 'influence' | 'conductance' | 'neuron' };
}

/** Everything a program depends on beside the model; plain data, since programs are cached by it. */
export interface ProgramRequest {
  /** The output to explain, or the value of a layer. */
  readonly output: ValueName;
  /**
   * What is made of the output before its elements are weighted: (log-)probabilities over its last axis, or what a
   * function of this name in the run's context appends.
   */
  readonly expression?: string | undefined;
  /** Further outputs that go into that function. */
  readonly alongside?: readonly ValueName[] | undefined;
  /** The model's own features: what baselines are given for. */
  readonly inputs: readonly Feature[];
  /** Where rows vary: those inputs, or a layer. */
  readonly features: readonly Feature[];
  /**
   * What makes the rows: positions between baseline and input; masks of groups; the points themselves; soft masks over a
   * picture (`planes`); or one point of a layer with channels of it kept (1) or made zero (`channels`).
   */
  readonly rows: 'alphas' | 'masks' | 'points' | 'planes' | 'channels';
  /** Of rows that are soft masks. */
  readonly planes?: PlanesRequest | undefined;
  /** Of rows that keep channels of a layer: their axis and number. */
  readonly channels?: { readonly axis: number; readonly count: number } | undefined;
  /** Masks are of 0 and 1 only, and no gradient is taken in them. */
  readonly binary?: boolean;
  /**
   * `none`: the features are compared with nothing, a layer neither; `zero`: with zeros, a layer with what it gives for
   * zeros; `given`: in the shape and type of the model's inputs; or `rows`: one for each row.
   */
  readonly baseline: 'none' | 'zero' | 'given' | 'rows';
  /** Noise on the input, `absolute` or `relative` to the input's range. */
  readonly noise?: 'absolute' | 'relative' | undefined;
  /** The reverse pass; without it a program only answers. */
  readonly backward?: BackwardRequest | undefined;
  /** The map of each row at the one layer that rows vary in. */
  readonly map?: MapRequest | undefined;
  /** What attention says of each token. */
  readonly attention?: AttentionMapRequest | undefined;
  /** FullGrad's map of each row. */
  readonly fullGradient?: FullGradientRequest | undefined;
  /** The output has no batch axis, as that of a torchvision detector: it is given one, of 1. */
  readonly unbatched?: boolean | undefined;
  /** What is read off the output, where not the output itself is explained. */
  readonly reading?: Reading | undefined;
  /** Values of the model that are given too, for each row. */
  readonly capture?: readonly ValueName[] | undefined;
  /**
   * Which operators the program is made of: `blocked` suits onnxruntime's CPU provider, `webgpu` that one, which has not
   * all of them; `plain` (the default) any other.
   */
  readonly layout?: 'plain' | 'blocked' | 'webgpu';
  /** Dims of inputs known to stay as they are, with their batch of 1; the program is then compiled for them. */
  readonly dims?: Readonly<Record<ValueName, readonly (number | string)[]>>;
}
