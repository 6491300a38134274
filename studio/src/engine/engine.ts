/**
 * What runs models for the page: the local server with its native runtime, or this browser. Rooms know only this interface.
 */
import type {
  AnalysisRequest,
  AttentionOverview,
  AttentionResult,
  Control,
  DrawableGraph,
  Explanation,
  HeadVectors,
  Inspected,
  Inspection,
  Intervention,
  ListedBlock,
  MethodSummary,
  ModelSummary,
  PackedBlock,
  PatchingRequest,
} from 'onnxray/browser';

export type {
  AttentionResult,
  Control,
  DrawableGraph,
  Explanation,
  HeadVectors,
  Inspected,
  Inspection,
  Intervention,
  ListedBlock,
  MethodSummary,
  ModelSummary,
  PackedBlock,
};

/** Where models run: on the page's own server, or in this browser on WASM or WebGPU. */
export const ENGINES = ['server', 'wasm', 'webgpu'] as const;
export type EngineKind = (typeof ENGINES)[number];

export interface Studio {
  readonly version: string;
  readonly models: readonly ModelSummary[];
  readonly methods: readonly MethodSummary[];
  /** Where models are fetched from by their names; undefined where the page may not ask. */
  readonly hub?: string | undefined;
  /** The first question, answered by the same model when the site was made; shown until it is answered here. */
  readonly first?: FirstAnswer | undefined;
}

export interface FirstAnswer {
  readonly model: string;
  readonly text: string;
  readonly method: string;
  readonly explanation: Explanation;
}

export type Subject =
  | { readonly kind: 'text'; readonly text: string; readonly pair?: string }
  /** With a text, where the model says how alike the two are. */
  | { readonly kind: 'picture'; readonly data: Blob; readonly text?: string | undefined };

export interface ExplainRequest {
  readonly model: string;
  readonly subject: Subject;
  readonly method: string;
  readonly target?: string | undefined;
  readonly layer?: string | undefined;
  readonly baseline?: string | undefined;
}

export interface AnalyseRequest extends Omit<AnalysisRequest, 'subject'> {
  readonly model: string;
  readonly subject: Subject;
}

export interface PatchRequest extends Omit<PatchingRequest, 'clean' | 'corrupted'> {
  readonly model: string;
  readonly clean: Subject;
  readonly corrupted: Subject;
}

/** Attention of one input: small pictures of all heads at once, whole blocks when asked for. */
export interface AttentionView extends AttentionOverview {
  /** Per block, per head, `small` rows x columns: one byte each, 255 for 1. */
  readonly pixels: Uint8Array;
  block(index: number, signal: AbortSignal): Promise<PackedBlock>;
  /** Queries and keys of one head. */
  vectors(index: number, head: number, signal: AbortSignal): Promise<HeadVectors>;
  rollout(signal: AbortSignal): Promise<PackedBlock>;
}

export interface Engine {
  readonly kind: EngineKind;
  start(): Promise<Studio>;
  /** Takes an .onnx file with what lies beside it. Rejects with a sentence for people. */
  drop(files: readonly File[], control: Control): Promise<ModelSummary>;
  /** Fetches a model by its name on the hub. Rejects with a sentence for people. */
  fetchModel(name: string, control: Control): Promise<ModelSummary>;
  /** Forgets a model that was dropped or fetched, and gives back what it takes. */
  remove(model: string): Promise<void>;
  inspect(model: string, control: Control): Promise<Inspected>;
  explain(request: ExplainRequest, control: Control): Promise<Explanation>;
  attention(request: { readonly model: string; readonly subject: Subject }, control: Control): Promise<AttentionView>;
  /** One analysis of attention by its name. */
  analyse(request: AnalyseRequest, control: Control): Promise<AttentionResult>;
  /** Activation patching between two inputs. */
  patch(request: PatchRequest, control: Control): Promise<Intervention>;
  /** Ends what runs in this browser. */
  close(): Promise<void>;
}
