import { CapturedAttention, analyseAttention, patch } from '../attention/index.ts';
import type {
  AttentionOverview,
  AttentionResult,
  Intervention,
  InterventionSubject,
  Patch,
} from '../attention/index.ts';
import { tokenText } from '../attribution/core.ts';
import type { ExplainableModel, Subject } from '../attribution/core.ts';
import { drawableGraph, inspectModel } from '../inspection/index.ts';
import type { DenseTensor } from '../onnx/index.ts';
import type { OptionValue } from '../programs/index.ts';
import { parseTarget } from '../tasks/core.ts';
import type { Inspected } from './summary.ts';

/** How a long job is watched and stopped. */
export interface Control {
  readonly signal: AbortSignal;
  readonly onProgress: (done: number, total: number) => void;
}

/** What a model is; `bytes`: size of its file. */
export function inspect({ host }: ExplainableModel, bytes: number): Inspected {
  return { inspection: inspectModel(host.original, host.model, bytes), graph: drawableGraph(host.model) };
}

/** Where a model attends for a subject: what a page shows first, and what the rest is read from when asked for. */
export async function captureSubject(
  model: ExplainableModel,
  subject: Subject,
  { signal, onProgress }: Control,
): Promise<{
  readonly captured: CapturedAttention;
  readonly overview: AttentionOverview & { readonly pixels: Uint8Array };
}> {
  const encoded = await model.encode(subject);
  const captured = new CapturedAttention(model.host, encoded.tensors, tokenText(encoded)?.tokens);
  return { captured, overview: await captured.overview(signal, onProgress) };
}

export interface AnalysisRequest {
  readonly subject: Subject;
  /** A name that `findAnalysis` knows. */
  readonly analysis: string;
  readonly layer?: string | undefined;
  readonly head?: number | undefined;
  readonly target?: string | undefined;
  readonly options?: Readonly<Record<string, OptionValue>> | undefined;
}

/** One analysis of a model's attention, as `onnxray attention` makes it. Throws as `analyseAttention` does. */
export async function analyse(
  model: ExplainableModel,
  { subject, analysis, layer, head, target, options = {} }: AnalysisRequest,
  control: Control,
): Promise<AttentionResult> {
  const encoded = await model.encode(subject);
  const text = tokenText(encoded);
  return analyseAttention(model.host, {
    analysis,
    options,
    inputs: encoded.tensors,
    target: (answer) => parseTarget(target, answer, model.folder.labels),
    ...control,
    ...(text === undefined ? {} : { text }),
    ...(layer === undefined ? {} : { layer }),
    ...(head === undefined ? {} : { head }),
  });
}

export interface PatchingRequest {
  readonly clean: Subject;
  readonly corrupted: Subject;
  readonly what: Patch;
  readonly target?: string | undefined;
}

/** Activation patching from one subject to another, as `onnxray patch` makes it. Throws as `patch` does. */
export async function patchSubjects(
  model: ExplainableModel,
  { clean, corrupted, what, target }: PatchingRequest,
  control: Control,
): Promise<Intervention> {
  const prepare = async (subject: Subject): Promise<InterventionSubject> => {
    const encoded = await model.encode(subject);
    return { inputs: encoded.tensors, tokens: tokenText(encoded)?.tokens };
  };
  return patch(model.host, {
    clean: await prepare(clean),
    corrupted: await prepare(corrupted),
    what,
    target: (answer: DenseTensor) => parseTarget(target, answer, model.folder.labels),
    ...control,
  });
}
