import type { DenseTensor } from '../onnx/index.ts';
import type { Scores } from '../explanation/index.ts';
import type { OptionSpecs, OptionsOf } from './options.ts';
import type { PathRunner } from './path.ts';
import type { Reduction } from './program.ts';

/** What a method works on. */
export interface AttributionContext {
  /** The compiled gradient program, loaded, for this input and baseline. */
  readonly runner: PathRunner;
  /** Weight of each element of the output, [1, ...]: what is explained. */
  readonly target: DenseTensor;
}

export interface Attribution {
  readonly scores: Readonly<Record<string, Scores>>;
  /** The target's value for the input. */
  readonly value: number;
  /** The target's value for the baseline; null for a method without one. */
  readonly baselineValue: number | null;
  /** Whether the scores are meant to sum to value - baselineValue. */
  readonly complete: boolean;
  /** Options as they were found to be, beside those given, such as the number of steps used. */
  readonly found?: Readonly<Record<string, number>>;
  readonly warnings?: readonly string[];
}

/** One attribution method: its name on the command line, its options, and how it runs. */
export interface Method<S extends OptionSpecs = OptionSpecs> {
  readonly name: string;
  /** One line for --help. */
  readonly summary: string;
  readonly options: S;
  /** Whether the method compares the input with a baseline. */
  readonly usesBaseline: boolean;
  /** How its gradients become scores, which the program does. */
  reduction(options: OptionsOf<S>): Reduction;
  attribute(context: AttributionContext, options: OptionsOf<S>): Promise<Attribution>;
}

/** Keeps a method's option types for its own code; the table of methods sees the general type. */
export function defineMethod<const S extends OptionSpecs>(method: Method<S>): Method {
  return method as unknown as Method;
}
