import type { DataType, DenseTensor, Model, NamedTensors } from '../onnx/index.ts';
import type { Scores, TextContext } from '../explanation/index.ts';
import type { Detection, DetectorForm } from '../tasks/index.ts';
import type { Feature } from './features.ts';
import type { OptionSpecs, OptionsOf } from './options.ts';
import type { BackwardRequest, ProgramRequest } from './request.ts';
import type { Numbers } from './numbers.ts';
import type { ProgramRunner } from './runner.ts';

interface TextModality {
  readonly input: string;
  readonly context: Pick<TextContext, 'words' | 'segments'>;
}

/** What the input is, for methods that group its elements: words of a text, regions of a picture. */
export type Modality =
  | ({ readonly kind: 'text' } & TextModality)
  | {
      readonly kind: 'image';
      readonly input: string;
      readonly layout: 'NCHW' | 'NHWC';
      /** The text a picture is compared with. */
      readonly text?: TextModality;
    }
  | { readonly kind: 'tensors' };

/** The parts of a program's request that a method decides; the rest is what is explained. */
export type ProgramPlan = Pick<ProgramRequest, 'rows'> &
  Partial<
    Pick<
      ProgramRequest,
      'backward' | 'noise' | 'binary' | 'map' | 'fullGradient' | 'attention' | 'capture' | 'planes' | 'channels'
    >
  > & {
    /** Where rows vary, where that is not what is scored. */
    readonly features?: readonly Feature[];
    /** Several baselines, one for each row. */
    readonly manyBaselines?: boolean;
    /** Group of each element by input, for rows that are masks. */
    readonly groups?: NamedTensors;
    /** For rows that are points of an embedding: the input as such a row. */
    readonly inputPoint?: (input: string) => Numbers;
    /** Another value to answer with than the explained one. */
    readonly output?: string;
    /** Rows in the model's inputs even when a layer is attributed to. */
    readonly onInputs?: boolean;
    /** False where a method that compares with baselines runs one that does not. */
    readonly comparesWithBaseline?: boolean;
  };

/** A box of a detector's answer, and how to find others in answers to other pictures of the same size. */
export interface DetectionAim {
  readonly form: DetectorForm;
  readonly found: Detection;
  /** Dims of the outputs the boxes are read from, for this picture. */
  readonly dims: Readonly<Record<string, readonly number[]>>;
  readonly types: Readonly<Record<string, DataType>>;
  readonly height: number;
  readonly width: number;
}

/** What a method works on. */
export interface AttributionContext {
  /** Compiles and loads a program for this input, baseline and output; the first one is checked against the model. */
  open(plan: ProgramPlan): Promise<ProgramRunner>;
  /** Weight of each element of the output, [1, ...]: what is explained. */
  target(runner: ProgramRunner): Promise<DenseTensor>;
  /** Whether the target is what it is whatever the model answers. */
  readonly targetIsKnown: boolean;
  /** The table [words, hidden] that token ids pick rows from, where it stands in the file as float32. */
  embeddingTable(feature: Feature): DenseTensor | undefined;
  /** The model, in the form passes work on, with its inputs in the dims they have here. */
  model(): Model;
  /** The output that is explained. */
  readonly output: string;
  /** The explained output's answer for the input, [1, ...], once a program was opened. */
  answer(): Promise<DenseTensor>;
  /** What is scored: the model's inputs, or a layer. */
  readonly features: readonly Feature[];
  /** The model's inputs, with a batch of 1. */
  readonly inputs: NamedTensors;
  /** The baselines: their rows are the samples of methods that compare with many. */
  readonly baseline: NamedTensors | 'zero';
  readonly modality: Modality;
  /** Groups of elements that are treated as one, by input: given by the caller. */
  readonly groups: NamedTensors | undefined;
  /** The layer asked for, where the method works at one. */
  readonly layer: Feature | undefined;
  /** The place in the layer asked for. */
  readonly neuron: readonly number[] | undefined;
  /** The box asked for. */
  readonly detection: DetectionAim | undefined;
  readonly seed: number;
}

export interface Attribution {
  readonly scores: Readonly<Record<string, Scores>>;
  /** The target's value for the input. */
  readonly value: number;
  /** The target's value for the baseline; null for a method without one. */
  readonly baselineValue: number | null;
  /** What the scores are meant to sum to: value - baselineValue, the value itself, or nothing in particular. */
  readonly sumsTo: 'difference' | 'value' | null;
  /** Options as they were found to be, beside those given, such as the number of steps used. */
  readonly found?: Readonly<Record<string, string | number | boolean | null>>;
  readonly warnings?: readonly string[];
  /** `false` where a method that can compare with a baseline did not, so that none is named. */
  readonly comparesWithBaseline?: boolean;
}

/** A method that is one backward pass by some set of rules: noise can be put on it, rows of it can be batched. */
export interface SinglePass<S extends OptionSpecs> {
  backward(options: OptionsOf<S>): BackwardRequest;
}

/** One attribution method: its name on the command line, its options, and how it runs. */
export interface Method<S extends OptionSpecs = OptionSpecs> {
  readonly name: string;
  /** One line for --help. */
  readonly summary: string;
  readonly options: S;
  /** Whether the method compares the input with a baseline: one, or as many as there are. */
  readonly usesBaseline: boolean | 'many';
  /** Whether it can score a layer: as its inputs, by itself (`own-layer`: one it finds where none is named), or not. */
  readonly layers: 'as-inputs' | 'needs-layer' | 'needs-neuron' | 'own-layer' | 'none';
  /** Whether it treats the groups of a feature mask as one. */
  readonly usesGroups?: boolean;
  /** For methods of one backward pass. */
  readonly singlePass?: SinglePass<S>;
  attribute(context: AttributionContext, options: OptionsOf<S>): Promise<Attribution>;
}

/** Keeps a method's option types for its own code; the table of methods sees the general type. */
export function defineMethod<const S extends OptionSpecs>(method: Method<S>): Method {
  return method as unknown as Method;
}

/** Rows of the baseline; 1 for zeros. */
export function baselineCount({ baseline }: AttributionContext): number {
  if (baseline === 'zero') return 1;
  return Math.max(...Object.values(baseline).map(({ dims }) => dims[0] ?? 1));
}
