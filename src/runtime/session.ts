import { UserError } from '../onnx/index.ts';
import type { NamedTensors } from '../onnx/index.ts';

export interface SessionOptions {
  /** Threads onnxruntime uses within an operator. Default: as many as there are cores. */
  readonly threads?: number;
  /** Execution provider; `cpu` unless said, in a browser `wasm`. */
  readonly provider?: Provider;
  /** Folder of the files that external weights refer to. */
  readonly weightsFolder?: string;
  /** How far onnxruntime rewrites the graph before running it. Default `all`. */
  readonly optimization?: 'disabled' | 'basic' | 'extended' | 'all';
}

/** What runs models in Node. */
export const PROVIDERS = ['cpu', 'webgpu', 'cuda'] as const;
/** What runs models in a browser. */
export const WEB_PROVIDERS = ['wasm', 'webgpu'] as const;
export type Provider = (typeof PROVIDERS)[number] | (typeof WEB_PROVIDERS)[number];

/** What people call them. */
export const PROVIDER_NAMES: Readonly<Record<Provider, string>> = {
  cpu: 'the CPU',
  cuda: 'CUDA',
  wasm: 'WASM',
  webgpu: 'WebGPU',
};

/** onnxruntime could not run a loaded model: for what it was given, or because its provider cannot do a part of it. */
export class RunError extends UserError {}

/** A model loaded and ready to run. Release it when done: its memory is outside JavaScript's reach. */
export interface Session {
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
  /** What it runs on: the provider that was asked for, or what stands in for one that is not there. */
  readonly provider: Provider;
  /** Why it does not run on the provider that was asked for: one sentence. */
  readonly fallback?: string;
  /** Whether it can run no more: it was released, or its process ended, as by an aborted run. */
  readonly closed: boolean;
  /**
   * Runs the model once.
   * `outputs` names what to compute; all outputs unless given. An aborted `signal` rejects with its reason.
   */
  run(feeds: NamedTensors, options?: RunOptions): Promise<NamedTensors>;
  release(): Promise<void>;
}

export interface RunOptions {
  readonly outputs?: readonly string[];
  readonly signal?: AbortSignal;
}
