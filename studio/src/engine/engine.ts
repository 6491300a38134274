/**
 * What runs models for the page: the local server with its native runtime, or this browser. Rooms know only this interface.
 */
import type {
  AttentionOverview,
  Explanation,
  Inspection,
  DrawableGraph,
  ListedBlock,
  Method,
  PackedBlock,
  Task,
} from 'onnxray/browser';

export type { Explanation, Inspection, DrawableGraph, ListedBlock, PackedBlock, Task };

export interface ModelSummary {
  readonly id: string;
  /** For people; may hold anything. */
  readonly name: string;
  readonly origin: 'embedded' | 'given' | 'dropped';
  readonly task: Task;
  readonly bytes: number;
  readonly labels: readonly string[];
  /** Texts to start with. */
  readonly texts: readonly string[];
  /** Addresses of pictures to start with. */
  readonly pictures: readonly string[];
}

export type MethodSummary = Pick<Method, 'name' | 'summary' | 'layers' | 'usesBaseline'>;

export interface Studio {
  readonly version: string;
  readonly models: readonly ModelSummary[];
  readonly methods: readonly MethodSummary[];
}

export type Subject =
  | { readonly kind: 'text'; readonly text: string; readonly pair?: string }
  | { readonly kind: 'picture'; readonly data: Blob };

export interface ExplainRequest {
  readonly model: string;
  readonly subject: Subject;
  readonly method: string;
  readonly target?: string | undefined;
  readonly layer?: string | undefined;
  readonly baseline?: string | undefined;
}

/** How a long job is watched and stopped. */
export interface Control {
  readonly signal: AbortSignal;
  readonly onProgress: (done: number, total: number) => void;
}

/** Attention of one input: small pictures of all heads at once, whole blocks when asked for. */
export interface AttentionView extends AttentionOverview {
  /** Per block, per head, `small` rows x columns: one byte each, 255 for 1. */
  readonly pixels: Uint8Array;
  block(index: number, signal: AbortSignal): Promise<PackedBlock>;
  rollout(signal: AbortSignal): Promise<PackedBlock>;
}

export interface Inspected {
  readonly inspection: Inspection;
  readonly graph: DrawableGraph;
}

export interface Engine {
  readonly kind: 'server' | 'browser';
  start(): Promise<Studio>;
  /** Takes an .onnx file with what lies beside it. Rejects with a sentence for people. */
  drop(files: readonly File[], control: Control): Promise<ModelSummary>;
  inspect(model: string, control: Control): Promise<Inspected>;
  explain(request: ExplainRequest, control: Control): Promise<Explanation>;
  attention(request: { readonly model: string; readonly subject: Subject }, control: Control): Promise<AttentionView>;
}
