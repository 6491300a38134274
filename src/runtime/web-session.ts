/** onnxruntime-web in this thread: WASM, with threads where the page may have them, and WebGPU. */
import { UserError } from '../onnx/index.ts';
import { ortSession } from './ort-session.ts';
import { firstLine } from './ort-tensor.ts';
import type { Session, SessionOptions } from './session.ts';

/** A file that weights are in, under the name by which the model refers to it. A `Blob` is only read when it is needed. */
export interface WeightsFile {
  readonly path: string;
  readonly data: Blob | Uint8Array;
}

export interface WebSessionOptions extends Omit<SessionOptions, 'weightsFolder'> {
  readonly files?: readonly WeightsFile[];
  /** Absolute URL of the folder that onnxruntime-web's .wasm and .mjs files are in; unless given, the bundler knows. */
  readonly wasmPaths?: string;
}

/** Threads of WASM where nothing is said: 1 unless the page is cross-origin isolated, since they share memory. */
export function defaultWebThreads(): number {
  return globalThis.crossOriginIsolated ? Math.min(8, navigator.hardwareConcurrency || 1) : 1;
}

/** Loads a model into this thread, which its `run` blocks while it computes. See `openWorkerSession` for a Worker. */
export async function openWebSession(bytes: Uint8Array, options: WebSessionOptions = {}): Promise<Session> {
  if (options.provider !== 'webgpu') return open(bytes, options, 'wasm');
  const missing = await whyNoWebGpu();
  if (missing !== undefined) return open(bytes, options, 'wasm', `${missing}; the model runs on WASM instead`);
  try {
    return await open(bytes, options, 'webgpu');
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return open(bytes, options, 'wasm', `WebGPU does not run this model (${reason}); it runs on WASM instead`);
  }
}

async function whyNoWebGpu(): Promise<string | undefined> {
  const gpu = (navigator as { readonly gpu?: { requestAdapter(): Promise<object | null> } }).gpu;
  if (gpu === undefined) return 'this browser has no WebGPU here (it needs a secure page)';
  const adapter = await gpu.requestAdapter().catch(() => null);
  return adapter === null ? 'this browser has no adapter for WebGPU' : undefined;
}

async function open(
  bytes: Uint8Array,
  { threads = defaultWebThreads(), optimization = 'all', files = [], wasmPaths }: WebSessionOptions,
  provider: 'wasm' | 'webgpu',
  fallback?: string,
): Promise<Session> {
  // Two builds of the library: the one with WebGPU is twice as large.
  const ort = await (provider === 'webgpu' ? import('onnxruntime-web/webgpu') : import('onnxruntime-web/wasm'));
  // Read once, when the library starts; a Worker has one session.
  ort.env.wasm.numThreads = globalThis.crossOriginIsolated ? threads : 1;
  ort.env.logLevel = 'fatal';
  if (wasmPaths !== undefined) ort.env.wasm.wasmPaths = wasmPaths;
  const session = await ort.InferenceSession.create(bytes, {
    executionProviders: [provider],
    graphOptimizationLevel: optimization,
    enableMemPattern: false,
    logSeverityLevel: 4,
    externalData: await Promise.all(files.map(readFile)),
  }).catch((error: unknown) => {
    throw new UserError(`onnxruntime cannot load the model: ${firstLine(error)}`);
  });
  return ortSession(session, ort.Tensor, provider, fallback);
}

/** The bytes of a file, for the time until onnxruntime has copied what it needs. */
async function readFile({ path, data }: WeightsFile): Promise<{ path: string; data: Uint8Array }> {
  return { path, data: data instanceof Blob ? new Uint8Array(await data.arrayBuffer()) : data };
}
