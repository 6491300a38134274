/** A model as the chain of its segments, run on rows that are changed somewhere. */
import { UserError, sizeOf } from '../../onnx/index.ts';
import type { DenseTensor, NamedTensors, ValueName } from '../../onnx/index.ts';
import { answersAlike, numbers, originalAnswer, sameNumbers } from '../../programs/index.ts';
import type { Numbers } from '../../programs/index.ts';
import { DEFAULT_MEMORY_BUDGET, rowsTogether } from '../../runtime/core.ts';
import type { ModelHost } from '../../runtime/core.ts';
import { locateAttention } from '../locate.ts';
import type { AttentionBlock } from '../locate.ts';
import { traceModel } from '../trace.ts';
import type { Tracer } from '../trace.ts';
import { EDIT } from './edits.ts';
import { blank, copyElements, editsOf, sliceAt, stacked } from './rows.ts';
import type { Donor, Edited, Row } from './rows.ts';
import { SegmentRunner, UNEDITED } from './runner.ts';
import type { Surroundings } from './runner.ts';
import { SEGMENT } from './segments.ts';
import type { Captured } from './segments.ts';
import { findStreams, noStream } from './stream.ts';
import type { Stream } from './stream.ts';

export interface ChainOptions {
  /** The answer; an output of the model. */
  readonly output: string;
  /** Which stream is worked on: that of an encoder or of a decoder. Default: the first, which attention meets first. */
  readonly stream?: 'encoder' | 'decoder' | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
  /** Bytes that the activations of one run may take. Default 1 GiB. */
  readonly memoryBudget?: number | undefined;
}

/** What one input went through. */
export interface Run extends Surroundings {
  /** The stream before each segment and after the last: [1, positions, hidden] each. */
  readonly hidden: readonly DenseTensor[];
  readonly answer: DenseTensor;
  readonly captured: ReadonlyMap<ValueName, DenseTensor>;
}

/** The weights of the answer's elements whose sum is asked about. */
export interface ScoredTarget {
  /** [1, ...] as the answer. */
  readonly weights: DenseTensor;
  /** The one position of the answer that it lies at, where the answer is known to be made position by position. */
  readonly position: number | undefined;
}

/** Larger batches are no faster on a CPU, and progress and aborting wait for a whole batch. */
const MAX_ROWS = 16;

/** A model open for interventions on one of its streams. */
export class Chain {
  readonly host: ModelHost;
  readonly tracer: Tracer;
  readonly blocks: readonly AttentionBlock[];
  readonly stream: Stream;
  readonly options: ChainOptions;
  readonly runner: SegmentRunner;
  #rowsApart = false;

  private constructor(
    host: ModelHost,
    tracer: Tracer,
    blocks: readonly AttentionBlock[],
    stream: Stream,
    options: ChainOptions,
  ) {
    this.host = host;
    this.tracer = tracer;
    this.blocks = blocks;
    this.stream = stream;
    this.options = options;
    this.runner = new SegmentRunner(host, tracer, stream, options);
  }

  /**
   * Finds attention and streams and, the first time, compares what the chain answers to `inputs` with the unmodified model.
   * Throws a UserError for a model without attention, or without a stream that leads to the answer.
   */
  static async open(
    host: ModelHost,
    inputs: NamedTensors,
    options: ChainOptions,
  ): Promise<{ readonly chain: Chain; readonly run: Run }> {
    const tracer = traceModel(host.model);
    const blocks = locateAttention(host.model);
    if (blocks.length === 0)
      throw new UserError('the model has no attention: no softmax between two products of values');
    const streams = findStreams(tracer, blocks, options.output);
    if (streams.length === 0) throw noStream(options.output);
    const stream = chooseStream(streams, blocks, options.stream);
    const chain = new Chain(host, tracer, blocks, stream, options);
    const run = await chain.read(inputs);
    await chain.#check(run);
    return { chain, run };
  }

  /** Number of segments. */
  get depth(): number {
    return this.stream.segments.length;
  }

  /** Whether the model mixes the rows of a batch, so that they run one at a time. */
  get mixesRows(): boolean {
    return this.#rowsApart;
  }

  /** The segment a block is in. */
  segmentOf(block: number): number {
    return this.stream.segments.findIndex(({ blocks }) => blocks.some((sites) => sites.block === block));
  }

  /** Blocks of this stream, in the order of its segments. */
  get streamBlocks(): readonly AttentionBlock[] {
    return this.stream.segments.flatMap(({ blocks }) => blocks.map(({ block }) => this.blocks[block]!));
  }

  /** Runs one input, or the rows of one whose batch is one, and keeps the stream and the values asked for. */
  async read(inputs: NamedTensors, capture: readonly Captured[] = []): Promise<Run> {
    const { segments } = this.stream;
    const { first, sides } = await this.runner.start(inputs);
    const hidden = [first];
    const captured = new Map<ValueName, DenseTensor>();
    const run = { inputs, hidden, sides };
    for (const [index, { blocks }] of segments.entries()) {
      const own = new Set(
        blocks.flatMap(({ block, attention, mlp }) => [
          attention,
          mlp,
          this.blocks[block]!.context,
          this.blocks[block]!.probabilities,
        ]),
      );
      const wanted = capture.filter(({ value }) => own.has(value));
      const found = await this.runner.segment(run, index, hidden[index]!, UNEDITED, wanted);
      hidden.push(found[SEGMENT.to]!);
      for (const { value } of wanted) captured.set(value, found[SEGMENT.captured(value)]!);
    }
    const answer = await this.answer(run, hidden.at(-1)!);
    return { ...run, answer, captured };
  }

  /** What the model answers when the stream ends like this: [rows, positions, hidden] to [rows, ...]. */
  async answer(run: Surroundings, last: DenseTensor): Promise<DenseTensor> {
    return (await this.runner.head(run, last))[SEGMENT.to]!;
  }

  /** A target by its weights, with the position it lies at where only that has to be computed. */
  async target(run: Run, weights: DenseTensor): Promise<ScoredTarget> {
    const positions = run.hidden.at(-1)!.dims[1]!;
    const { dims, data } = weights;
    const inner = sizeOf(dims.slice(2));
    const places = Array.from(data as Float32Array).flatMap((weight, at) =>
      weight === 0 ? [] : [Math.floor(at / inner)],
    );
    const [position] = places;
    const alone = dims.length > 2 && dims[1] === positions && places.every((place) => place === position);
    if (!alone || position === undefined) return { weights, position: undefined };
    return (await this.#isPositionwise(run, position))
      ? { weights: sliceAt(weights, 1, position), position }
      : { weights, position: undefined };
  }

  /** The target's value for each row. `base` is what rows are unless changed, `donor` what is put in. */
  async values(base: Run, rows: readonly Row[], target: ScoredTarget, options: RunRows = {}): Promise<Float64Array> {
    const result = new Float64Array(rows.length);
    await this.#each(base, rows, options, async (order, last) => {
      const head = await this.runner.head(base, at(last, target.position), target.weights);
      numbers(head[SEGMENT.values]!).forEach((value, index) => {
        result[order[index]!] = value;
      });
    });
    return result;
  }

  /** The answer for each row, at one position where given: [1, ...] each. */
  async answers(
    base: Run,
    rows: readonly Row[],
    position: number | undefined,
    options: RunRows = {},
  ): Promise<readonly Numbers[]> {
    const result = Array<Numbers>(rows.length);
    await this.#each(base, rows, options, async (order, last) => {
      const answer = await this.answer(base, at(last, position));
      const all = numbers(answer);
      const size = all.length / order.length;
      order.forEach((row, index) => {
        result[row] = all.slice(index * size, (index + 1) * size);
      });
    });
    return result;
  }

  async #each(
    base: Run,
    rows: readonly Row[],
    { donor = () => undefined, stream, renormalize = true }: RunRows,
    done: (order: readonly number[], last: DenseTensor) => Promise<void>,
  ): Promise<void> {
    const { memoryBudget = DEFAULT_MEMORY_BUDGET } = this.options;
    const limit = this.#rowsApart ? 1 : rowsTogether(this.runner.bytesOfRow(base), memoryBudget, MAX_ROWS);
    const order = rows.map((_, index) => index).sort((a, b) => rows[a]!.at - rows[b]!.at || a - b);
    for (let start = 0; start < order.length;) {
      const from = rows[order[start]!]!.at;
      let end = start + 1;
      while (end < order.length && end - start < limit && rows[order[end]!]!.at === from) end++;
      const chunk = order.slice(start, end);
      let hidden = startRows(
        base.hidden[from]!,
        stream?.hidden[from],
        chunk.map((row) => rows[row]!),
      );
      for (let index = from; index < this.depth; index++)
        hidden = await this.#through(
          base,
          index,
          hidden,
          chunk.map((row) => rows[row]!),
          donor,
          renormalize,
        );
      await done(chunk, hidden);
      start = end;
      this.options.onProgress?.(start, rows.length);
    }
  }

  /** One segment on rows of which some may pass over it. */
  async #through(
    base: Run,
    index: number,
    hidden: DenseTensor,
    rows: readonly Row[],
    donor: Donor,
    renormalize: boolean,
  ): Promise<DenseTensor> {
    const skipping = rows.map(({ skip }) => skip?.includes(index) === true);
    if (skipping.every(Boolean)) return hidden;
    const edited = this.#edits(base, index, hidden, rows, donor, renormalize);
    const found = (await this.runner.segment(base, index, hidden, edited))[SEGMENT.to]!;
    if (!skipping.some(Boolean)) return found;
    if (found.dims.join() !== hidden.dims.join())
      throw new UserError(`layer ${index} changes the size of the stream and cannot be passed over`);
    const mixed = blank(found, found.dims);
    const size = sizeOf(found.dims.slice(1));
    skipping.forEach((skip, row) => copyElements(skip ? hidden : found, row * size, size, mixed, row * size));
    return mixed;
  }

  #edits(
    base: Run,
    index: number,
    hidden: DenseTensor,
    rows: readonly Row[],
    donor: Donor,
    renormalize: boolean,
  ): Edited {
    const positions = hidden.dims[1]!;
    const keys = (block: AttentionBlock) => {
      if (block.kind !== 'cross') return positions;
      return Object.values(base.sides)[0]?.dims[1] ?? positions;
    };
    const edited = editsOf(rows, this.stream.segments[index]!.blocks, this.blocks, donor, {
      queries: positions,
      keys,
      positions,
      typeOf: (value) => this.tracer.facts.get(value)?.type ?? 'float32',
    });
    if (!edited.edits.some(({ site }) => site === 'edges')) return edited;
    const flag: DenseTensor = { type: 'float32', dims: [], data: Float32Array.of(renormalize ? 1 : 0) };
    return { ...edited, feeds: { ...edited.feeds, [EDIT.renormalize]: flag } };
  }

  /** Whether the end of the stream, one position of it alone, gives that position of the answer. */
  async #isPositionwise(run: Run, position: number): Promise<boolean> {
    try {
      const alone = await this.answer(run, sliceAt(run.hidden.at(-1)!, 1, position));
      return alone.dims[1] === 1 && sameNumbers(numbers(alone), numbers(sliceAt(run.answer, 1, position)), 1e-4);
    } catch (error) {
      if (error instanceof UserError) return false;
      throw error;
    }
  }

  /** The first time, the chain's answer is compared with the unmodified model's, and rows with a row alone. */
  async #check(run: Run): Promise<void> {
    const { host } = this;
    const { requests } = this.runner;
    const checked = await Promise.all(requests.map((request) => host.isChecked(request)));
    if (checked.every(Boolean)) {
      this.#rowsApart = host.keepsRowsApart(this.runner.headRequest);
      return;
    }
    if (!answersAlike(run.answer, await originalAnswer(host, run.inputs, this.options.output)))
      throw new Error(`the compiled program answers differently from the model: output "${this.options.output}"`);
    this.#rowsApart = !(await this.#rowsAreIndependent(run));
    for (const request of requests) await host.rememberChecked(request, { rowsApart: this.#rowsApart });
  }

  async #rowsAreIndependent(run: Run): Promise<boolean> {
    try {
      let hidden = run.hidden[0]!;
      hidden = stacked([blank(hidden, hidden.dims), hidden]);
      for (let index = 0; index < this.depth; index++)
        hidden = (await this.runner.segment(run, index, hidden))[SEGMENT.to]!;
      const together = numbers(await this.answer(run, hidden));
      return sameNumbers(together.slice(together.length / 2), numbers(run.answer), 1e-3);
    } catch (error) {
      if (error instanceof UserError) return false;
      throw error;
    }
  }
}

export interface RunRows {
  /** What changed places are replaced by; zeros unless said. */
  readonly donor?: Donor;
  /** The run whose stream is put in at a row's `positions`. */
  readonly stream?: Run;
  /** Whether attention that lost edges is scaled to sum to 1 again. Default true. */
  readonly renormalize?: boolean;
}

function chooseStream(
  streams: readonly Stream[],
  blocks: readonly AttentionBlock[],
  wanted: ChainOptions['stream'],
): Stream {
  const kindOf = ({ segments }: Stream) =>
    blocks[segments[0]!.blocks[0]!.block]!.kind === 'encoder' ? 'encoder' : 'decoder';
  const found = wanted === undefined ? streams[0] : streams.find((stream) => kindOf(stream) === wanted);
  if (found === undefined)
    throw new UserError(`the model has no ${wanted} stream; it has ${streams.map(kindOf).join(' and ')}`);
  return found;
}

/** The stream in the rows of a chunk: the base's, but for positions that are the donor's. */
function startRows(base: DenseTensor, donor: DenseTensor | undefined, rows: readonly Row[]): DenseTensor {
  const size = base.data.length;
  const result = blank(base, [rows.length, ...base.dims.slice(1)]);
  const width = size / base.dims[1]!;
  rows.forEach(({ positions = [] }, row) => {
    copyElements(base, 0, size, result, row * size);
    for (const position of positions)
      copyElements(donor!, position * width, width, result, row * size + position * width);
  });
  return result;
}

const at = (last: DenseTensor, position: number | undefined) =>
  position === undefined ? last : sliceAt(last, 1, position);
