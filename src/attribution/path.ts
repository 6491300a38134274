import { UserError, sizeOf } from '../onnx/index.ts';
import type { DenseTensor, Model, NamedTensors } from '../onnx/index.ts';
import { DEFAULT_MEMORY_BUDGET, activationBytes } from '../runtime/index.ts';
import type { ModelHost, Session } from '../runtime/index.ts';
import type { Scores } from '../explanation/index.ts';
import type { PathRequest } from './program.ts';
import { PROGRAM, compilePath } from './program.ts';
import type { Quadrature } from './quadrature.ts';

/** What every run of an explanation shares. */
export interface RunContext {
  readonly host: ModelHost;
  /** The model's inputs, with a batch of 1. */
  readonly feeds: NamedTensors;
  /** Baselines by input, where the method compares with one; `zero` for zeros (of the embedding, for tokens). */
  readonly baseline: NamedTensors | 'zero';
  readonly signal?: AbortSignal | undefined;
  /** Called after each run with the rows done and to do. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
  /** Bytes the activations of one run may take. */
  readonly memoryBudget?: number | undefined;
}

export interface PathResult {
  /** Weighted sum over the steps, by input. */
  readonly scores: Readonly<Record<string, Scores>>;
  /** The target's value at each alpha. */
  readonly values: readonly number[];
  /** The model's output at the last alpha, [1, ...]. */
  readonly output: DenseTensor;
}

/** A compiled path program, loaded, for one input. */
export class PathRunner {
  readonly #context: RunContext;
  readonly #request: PathRequest;
  readonly #session: Session;
  /** The compiled program. */
  readonly program: Model;
  /** Rows one run takes within the memory budget. */
  readonly rowsPerRun: number;
  /** Rows that went through the model so far. */
  passes = 0;

  private constructor(context: RunContext, request: PathRequest, session: Session, program: Model) {
    this.#context = context;
    this.#request = request;
    this.#session = session;
    this.program = program;
    this.rowsPerRun = rowsWithin(program, context);
  }

  static async open(context: RunContext, request: PathRequest): Promise<PathRunner> {
    const session = await context.host.program(request, (model) => compilePath(model, request));
    return new PathRunner(context, request, session, context.host.compiled(request)!);
  }

  /**
   * Sums gradients over the nodes of a quadrature for a target: the weight of each element of the output.
   * Runs in batches; the sums over steps are made in the graph, those over batches here, in float64.
   */
  async run({ alphas, weights }: Quadrature, target: DenseTensor, { quietly = false } = {}): Promise<PathResult> {
    const sums = new Map<string, { dims: readonly number[]; data: Float64Array }>();
    const values: number[] = [];
    let output: DenseTensor | undefined;
    for (let start = 0; start < alphas.length; start += this.rowsPerRun) {
      const end = Math.min(start + this.rowsPerRun, alphas.length);
      const results = await this.#runRows(alphas.slice(start, end), weights.slice(start, end), target);
      values.push(...Array.from(numbers(results[PROGRAM.values]!)));
      output = lastRow(results[PROGRAM.output]!);
      for (const { input } of this.#request.features) {
        const { dims, data } = results[PROGRAM.scores(input)]!;
        const sum = sums.get(input) ?? { dims, data: new Float64Array(sizeOf(dims)) };
        sums.set(input, sum);
        const part = numbers({ data } as DenseTensor);
        for (let index = 0; index < part.length; index++) sum.data[index]! += part[index]!;
      }
      this.passes += end - start;
      if (!quietly) this.#context.onProgress?.(end, alphas.length);
    }
    const scores = Object.fromEntries(
      Array.from(sums, ([input, { dims, data }]) => [input, { dims, data: Float32Array.from(data) }]),
    );
    return { scores, values, output: output! };
  }

  /** The model's answer for the input, [1, ...]. */
  async answer(): Promise<DenseTensor> {
    const { type, dims } = this.program.graph.inputs.find(({ name }) => name === PROGRAM.target)!;
    // No target is known yet: zeros, of length 1 where the output's length depends on the input.
    const blank = dims!.map((dim) => (typeof dim === 'number' ? dim : 1));
    const data = type === 'float64' ? new Float64Array(sizeOf(blank)) : new Float32Array(sizeOf(blank));
    const { output } = await this.run({ alphas: [1], weights: [1] }, { type, dims: blank, data }, { quietly: true });
    return output;
  }

  #runRows(alphas: readonly number[], weights: readonly number[], target: DenseTensor): Promise<NamedTensors> {
    const { feeds, baseline, signal } = this.#context;
    const vector = (list: readonly number[]): DenseTensor => ({
      type: 'float32',
      dims: [list.length],
      data: Float32Array.from(list),
    });
    const given: Record<string, DenseTensor> = {
      ...feeds,
      [PROGRAM.alphas]: vector(alphas),
      [PROGRAM.weights]: vector(weights),
      [PROGRAM.target]: target,
    };
    if (this.#request.baseline === 'given')
      for (const { input } of this.#request.features) {
        const tensor = baseline === 'zero' ? undefined : baseline[input];
        if (tensor === undefined) throw new Error(`no baseline for input "${input}"`);
        given[PROGRAM.baseline(input)] = tensor;
      }
    const known = new Set(this.#session.inputNames);
    const used = Object.fromEntries(Object.entries(given).filter(([name]) => known.has(name)));
    return this.#session.run(used, signal === undefined ? {} : { signal });
  }
}

function rowsWithin(program: Model, { feeds, memoryBudget = DEFAULT_MEMORY_BUDGET }: RunContext): number {
  // A model whose graph has the batch size written into it takes one row at a time.
  const output = program.graph.outputs.find(({ name }) => name === PROGRAM.output);
  if (output?.dims?.[0] !== 'steps') return 1;
  const dims: Record<string, readonly number[]> = { [PROGRAM.alphas]: [1], [PROGRAM.weights]: [1] };
  for (const [name, tensor] of Object.entries(feeds)) {
    dims[name] = tensor.dims;
    dims[PROGRAM.baseline(name)] = tensor.dims;
  }
  return Math.max(1, Math.min(MAX_ROWS, Math.floor(memoryBudget / Math.max(1, activationBytes(program, dims)))));
}

/** Larger batches are no faster on a CPU, and progress and aborting wait for a whole batch. */
const MAX_ROWS = 16;

function numbers({ data }: Pick<DenseTensor, 'data'>): ArrayLike<number> {
  if (data instanceof Float32Array || data instanceof Float64Array) return data;
  throw new UserError('the model answers in a type other than float32 or float64, which explanations do not read yet');
}

function lastRow({ type, dims, data }: DenseTensor): DenseTensor {
  const size = sizeOf(dims.slice(1));
  const rows = numbers({ data }) as Float32Array;
  return { type, dims: [1, ...dims.slice(1)], data: rows.slice(rows.length - size) };
}
