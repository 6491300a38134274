import { UserError, firstNotFinite, sizeOf } from '../onnx/index.ts';
import type { DenseTensor, Model, NamedTensors } from '../onnx/index.ts';
import type { ModelHost, Session } from '../runtime/core.ts';
import type { Scores } from '../explanation/index.ts';
import { concreteDims, rowsWithin } from './batch.ts';
import { attentionMap } from './attention-maps.ts';
import { whereNotFinite } from './not-finite.ts';
import { floats, numbers, oneRow, sameNumbers, splitRows, stackRows, zeros } from './numbers.ts';
import type { Numbers } from './numbers.ts';
import { compileProgram } from './program.ts';
import type { BuildTarget } from './program.ts';
import type { ProgramRequest } from './request.ts';
import { PROGRAM } from './names.ts';
import { SCORES, addSpread, addSums, toScores, toVariances } from './sums.ts';
import type { Spread, Sums } from './sums.ts';

export interface RunOptions {
  /** Without a word of progress, and whether or not its numbers are finite: a look at the side. */
  readonly quietly?: boolean;
  /** Which part of a longer walk this run is, in rows, for whoever watches its progress. */
  readonly part?: { readonly done: number; readonly total: number };
}

/** What every run of an explanation shares. */
export interface RunContext {
  /** Makes the target of the output, where the request's `expression` is a name of the caller's own. */
  readonly build?: BuildTarget | undefined;
  readonly host: ModelHost;
  /** The model's inputs, with a batch of 1. */
  readonly feeds: NamedTensors;
  /** Baselines by input, one row or several; `zero` for zeros (of the embedding, for tokens). */
  readonly baseline: NamedTensors | 'zero';
  /** Group of each element, by input, for programs whose rows are masks. */
  readonly groups?: NamedTensors | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Called after each run with the rows done and to do. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
  /** Bytes the activations of one run may take. */
  readonly memoryBudget?: number | undefined;
}

/** What the rows of a run are. What a program does not take is left out. */
export interface Rows {
  /** Weight of each row in the sums; their number is the number of rows. */
  readonly weights: readonly number[];
  readonly alphas?: readonly number[];
  readonly nextAlphas?: readonly number[];
  /** One mask per row. */
  readonly masks?: (row: number) => Numbers;
  /** Which of the baseline's rows each row is compared with. */
  readonly baselines?: readonly number[];
  /** Standard normal numbers for an input in a row. */
  readonly noise?: (row: number, input: string, size: number) => Numbers;
  readonly deviation?: number;
  readonly points?: (row: number, input: string) => Numbers;
  readonly differences?: (row: number, input: string) => Numbers;
  readonly direction?: (row: number, input: string) => Numbers;
  /** Elements of a layer that conductance is taken through. */
  readonly neuron?: DenseTensor;
  /** Which row is the input itself, where its position does not say so: then no other run is needed for the answer. */
  readonly inputRow?: number;
}

export interface RunResult {
  /** Weighted sum over the rows, by input. */
  readonly scores: Readonly<Record<string, Scores>>;
  /** Weighted variance over the rows, by input, where the program gives it. */
  readonly variances: Readonly<Record<string, Scores>>;
  /** The target's value for each row. */
  readonly values: readonly number[];
  /** The target's value for what each row is compared with, where the program gives it. */
  readonly baselineValues: readonly number[];
  /** Gradient of each row's value in its mask, where the program gives it. */
  readonly maskGradients: readonly Numbers[];
  /** The layer's map of each row, where the program gives it. */
  readonly maps: readonly Numbers[];
  /** What the program captures: the value in each row, by its name. */
  readonly captured: ReadonlyMap<string, readonly Numbers[]>;
  /** The model's output for the last row, [1, ...]. */
  readonly output: DenseTensor;
}

/** A compiled program, loaded, for one input. */
export class ProgramRunner {
  readonly #context: RunContext;
  readonly #request: ProgramRequest;
  readonly #session: Session;
  readonly #dims: ReadonlyMap<string, readonly number[]>;
  /** The compiled program. */
  readonly program: Model;
  #rowsPerRun: number;
  /** Rows that went through the model so far. */
  passes = 0;
  /** The model's output for the input itself, [1, ...], once it was among the rows of a run. */
  answered: DenseTensor | undefined;
  /** What the last run captured: a run for the answer alone may have all that is wanted. */
  captured: RunResult['captured'] = new Map();

  private constructor(context: RunContext, request: ProgramRequest, session: Session, program: Model) {
    this.#context = context;
    this.#request = request;
    this.#session = session;
    this.program = program;
    const { backward, map, fullGradient } = request;
    const reverse = (backward ?? map ?? fullGradient) !== undefined;
    this.#rowsPerRun = rowsWithin(program, { ...context, reverse });
    this.#dims = concreteDims(program, context.feeds);
  }

  static async open(context: RunContext, request: ProgramRequest): Promise<ProgramRunner> {
    const session = await context.host.program(request, (model) => compileProgram(model, request, context.build));
    return new ProgramRunner(context, request, session, context.host.compiled(request)!);
  }

  /**
   * Runs rows for a target: the weight of each element of the output. In batches; sums over the rows of one batch are
   * made in the graph, those over batches here, in float64.
   */
  async run(rows: Rows, target: DenseTensor, { quietly = false, part }: RunOptions = {}): Promise<RunResult> {
    const [sums, spreads]: [Sums, Map<string, Spread>] = [new Map(), new Map()];
    const values: number[] = [];
    const baselineValues: number[] = [];
    const [maskGradients, maps]: [Numbers[], Numbers[]] = [[], []];
    const { capture = [], attention } = this.#request;
    const seen = [...capture, ...(attention?.towers.map(({ input }) => attentionMap(input)) ?? [])];
    const captured = new Map<string, Numbers[]>(seen.map((value) => [value, []]));
    const total = rows.weights.length;
    let output: DenseTensor | undefined;
    for (let start = 0; start < total; start += this.rowsPerRun) {
      const end = Math.min(start + this.rowsPerRun, total);
      const feeds = this.#feeds(rows, start, end, target);
      const results = await this.#run(feeds);
      if (!quietly) await this.#checkFinite(results, feeds);
      for (const value of numbers(results[PROGRAM.values]!)) values.push(value);
      const compared = results[PROGRAM.baselineValues];
      if (compared !== undefined) for (const value of numbers(compared)) baselineValues.push(value);
      output = oneRow(results[PROGRAM.output]!, end - start - 1);
      for (let row = start; row < end && this.answered === undefined; row++)
        if (this.#rowIsInput(rows, row)) this.answered = oneRow(results[PROGRAM.output]!, row - start);
      addSums(sums, results);
      addSpread(spreads, results, rows.weights.slice(start, end));
      const gradients = results[PROGRAM.maskGradients];
      if (gradients !== undefined) maskGradients.push(...splitRows(gradients, end - start));
      const drawnAt = this.#request.map?.layer ?? this.#request.fullGradient?.picture;
      const drawn = drawnAt && results[PROGRAM.map(drawnAt.input)];
      if (drawn !== undefined) maps.push(...splitRows(drawn, end - start));
      for (const [value, seen] of captured) seen.push(...splitRows(results[PROGRAM.captured(value)]!, end - start));
      this.passes += end - start;
      if (!quietly) this.#context.onProgress?.((part?.done ?? 0) + end, part?.total ?? total);
    }
    this.captured = captured;
    return {
      scores: toScores(sums),
      variances: toVariances(spreads),
      values,
      baselineValues,
      maskGradients,
      maps,
      captured,
      output: output!,
    };
  }

  /** Rows one run takes, within the memory budget. */
  get rowsPerRun(): number {
    return this.#rowsPerRun;
  }

  /** From now on one row a run, for models whose answer to a row depends on the rows beside it. */
  runRowsApart(): void {
    this.#rowsPerRun = 1;
  }

  /**
   * Whether the answer to the input stays what it is when another row runs beside it: a model that reduces or
   * normalises over its batch mixes them. Looks at one pair of rows, the second of which is the input.
   */
  async rowsAreIndependent(answer: DenseTensor, inputPoint?: (input: string) => Numbers): Promise<boolean> {
    if (this.#rowsPerRun === 1) return true;
    const rows: Rows = {
      weights: [0, 1],
      alphas: [0, 1],
      masks: (row) => new Float32Array(this.groupCount()).fill(row),
      ...(inputPoint && {
        points: (row: number, input: string) =>
          row === 1 ? inputPoint(input) : new Float32Array(inputPoint(input).length),
        differences: (_row: number, input: string) => inputPoint(input),
      }),
    };
    try {
      const together = await this.run(rows, this.blankTarget(), { quietly: true });
      return sameNumbers(numbers(together.output), numbers(answer), 1e-3);
    } catch (error) {
      this.#context.signal?.throwIfAborted();
      // Somewhere within, a batch of 1 is written into the graph, and the shapes we know did not tell.
      if (error instanceof UserError && !this.#session.closed) return false;
      throw error;
    }
  }

  /** The model's answer for the input, [1, ...]. */
  async answer(inputPoint?: (input: string) => Numbers): Promise<DenseTensor> {
    const points = inputPoint && ((_row: number, input: string) => inputPoint(input));
    const rows: Rows = { weights: [1], ...(points === undefined ? {} : { points, differences: points }) };
    const { output } = await this.run(rows, this.blankTarget(), { quietly: true });
    return output;
  }

  #rowIsInput({ alphas, masks, inputRow }: Rows, row: number): boolean {
    if (inputRow !== undefined) return row === inputRow;
    const { rows, noise } = this.#request;
    if (rows === 'masks' || rows === 'planes') return masks === undefined;
    return rows === 'alphas' && noise === undefined && (alphas?.[row] ?? 1) === 1;
  }

  /** Type and dims of the output, [1, ...], where they are known before the model has run. */
  get answerShape(): Pick<DenseTensor, 'type' | 'dims'> | undefined {
    const dims = this.#dims.get(PROGRAM.target);
    const declared = this.program.graph.inputs.find(({ name }) => name === PROGRAM.target)!;
    const known = declared.dims?.every((dim) => typeof dim === 'number');
    return known && dims !== undefined ? { type: declared.type, dims } : undefined;
  }

  /** While no target is known: zeros, of length 1 where the output's length depends on the input. */
  blankTarget(): DenseTensor {
    const { type, dims } = this.program.graph.inputs.find(({ name }) => name === PROGRAM.target)!;
    return zeros(
      type,
      dims!.map((dim) => (typeof dim === 'number' ? dim : 1)),
    );
  }

  #feeds(rows: Rows, start: number, end: number, target: DenseTensor): NamedTensors {
    const given: Record<string, DenseTensor> = { ...this.#context.feeds, [PROGRAM.target]: target };
    const known = new Set(this.#session.inputNames);
    for (const name of known) given[name] ??= this.#feed(name, rows, start, end);
    return Object.fromEntries(Object.entries(given).filter(([name]) => known.has(name)));
  }

  #run(feeds: NamedTensors): Promise<NamedTensors> {
    const { signal } = this.#context;
    return this.#session.run(feeds, signal === undefined ? {} : { signal });
  }

  /** Throws a UserError that names the node at which scores or values stop being finite. */
  async #checkFinite(results: NamedTensors, feeds: NamedTensors): Promise<void> {
    const checked = Object.keys(results).filter((name) => name === PROGRAM.values || name.startsWith(SCORES));
    const bad = checked.find((name) => firstNotFinite(numbers(results[name]!)) >= 0);
    if (bad === undefined) return;
    const { host } = this.#context;
    const what = bad === PROGRAM.values ? "the model's answer" : `the gradient at input "${bad.slice(SCORES.length)}"`;
    throw new UserError(`${what} is not finite${await whereNotFinite(host, this.program, feeds, bad)}`);
  }

  /** One input of the program for the rows from `start` to `end`; what `rows` leaves out is the input as it is. */
  #feed(name: string, rows: Rows, start: number, end: number): DenseTensor {
    const count = end - start;
    const info = this.program.graph.inputs.find((each) => each.name === name)!;
    const vector = (list: readonly number[] | undefined, fallback: number): DenseTensor =>
      floats(info.type, [count], list === undefined ? Array<number>(count).fill(fallback) : list.slice(start, end));
    if (name === PROGRAM.alphas) return vector(rows.alphas, 1);
    if (name === PROGRAM.nextAlphas) return vector(rows.nextAlphas, 1);
    if (name === PROGRAM.weights) return vector(rows.weights, 1);
    if (name === PROGRAM.deviation) return floats(info.type, [], [rows.deviation ?? 0]);
    const stack = (each: (row: number) => Numbers, dims: readonly number[], type: DenseTensor['type']) =>
      stackRows(
        Array.from({ length: count }, (_, at) => each(start + at)),
        dims,
        type,
      );
    if (name === PROGRAM.masks) {
      const whole = new Float32Array(this.groupCount()).fill(1);
      const masks = Array.from({ length: count }, (_, at) => rows.masks?.(start + at) ?? whole);
      return stackRows(masks, [masks[0]!.length], 'float32');
    }
    if (name === PROGRAM.planes) {
      const { height, width } = this.#request.planes!;
      const whole = new Float32Array(height * width).fill(1);
      return stack((row) => rows.masks?.(row) ?? whole, [height, width], 'float32');
    }
    if (name === PROGRAM.neuron) {
      return (
        rows.neuron ??
        zeros(
          info.type,
          info.dims!.map((dim) => (typeof dim === 'number' ? dim : 1)),
        )
      );
    }
    for (const { input } of this.#request.inputs) {
      if (name === PROGRAM.groups(input)) return this.#context.groups![input]!;
      if (name === PROGRAM.baseline(input)) return this.#baseline(input, rows, start, end);
    }
    const dims = this.#dims.get(name)!;
    const size = sizeOf(dims);
    for (const { input } of this.#request.features) {
      if (name === PROGRAM.noise(input))
        return stack(
          rows.noise ? (row) => rows.noise!(row, input, size) : () => new Float32Array(size),
          dims,
          info.type,
        );
      if (name === PROGRAM.direction(input))
        return stack(
          rows.direction ? (row) => rows.direction!(row, input) : () => new Float32Array(size),
          dims,
          info.type,
        );
      if (name === PROGRAM.points(input) && this.#request.rows === 'channels') {
        const base = zeros(info.type, [1, ...dims.slice(1)]);
        if (rows.points !== undefined) (base.data as Float32Array).set(rows.points(end - 1, input));
        return base;
      }
      const each = name === PROGRAM.points(input) ? rows.points : rows.differences;
      if (name === PROGRAM.points(input) || name === PROGRAM.differences(input))
        return stack(
          each ? (row) => each(row, input) : () => numbers(this.#context.feeds[input]!) as Numbers,
          dims,
          info.type,
        );
    }
    throw new Error(`the program asks for "${name}", which nothing gives`);
  }

  /** Number of groups the masks have. */
  groupCount(): number {
    const { rows, planes, channels } = this.#request;
    if (rows === 'planes') return planes!.height * planes!.width;
    if (rows === 'channels') return channels!.count;
    let most = 0;
    for (const { data } of Object.values(this.#context.groups ?? {}))
      for (const group of data as BigInt64Array) most = Math.max(most, Number(group) + 1);
    return most;
  }

  #baseline(input: string, rows: Rows, start: number, end: number): DenseTensor {
    const { baseline, feeds } = this.#context;
    const tensor = baseline === 'zero' ? undefined : (baseline[input] ?? feeds[input]);
    if (tensor === undefined) throw new Error(`no baseline for input "${input}"`);
    if (this.#request.baseline === 'given') return tensor;
    const size = sizeOf(tensor.dims.slice(1));
    const data = tensor.data as Exclude<DenseTensor['data'], readonly string[]>;
    const result = new (data.constructor as new (length: number) => typeof data)(size * (end - start));
    for (let row = start; row < end; row++) {
      const from = (rows.baselines?.[row] ?? 0) % tensor.dims[0]!;
      (result as Float32Array).set(data.subarray(from * size, (from + 1) * size) as Float32Array, (row - start) * size);
    }
    return { type: tensor.type, dims: [end - start, ...tensor.dims.slice(1)], data: result };
  }
}
