/** The programs of a stream's segments, loaded and run. */
import { sizeOf } from '../../onnx/index.ts';
import type { DenseTensor, NamedTensors, ValueName } from '../../onnx/index.ts';
import type { ModelHost } from '../../runtime/core.ts';
import { activationBytes } from '../../runtime/core.ts';
import type { Tracer } from '../trace.ts';
import type { Edited } from './rows.ts';
import { sliceAt } from './rows.ts';
import { SEGMENT, compileSegment } from './segments.ts';
import type { Captured, SegmentRequest } from './segments.ts';
import type { Stream } from './stream.ts';

/** What a segment needs of an input beside the stream. */
export interface Surroundings {
  readonly inputs: NamedTensors;
  readonly sides: Readonly<Record<ValueName, DenseTensor>>;
}

export const UNEDITED: Edited = { edits: [], feeds: {} };

/** Runs the segments of one stream of one model. */
export class SegmentRunner {
  readonly host: ModelHost;
  readonly stream: Stream;
  readonly output: string;
  readonly signal: AbortSignal | undefined;
  readonly #tracer: Tracer;
  /** Rows that went through segments, one each; divided by the number of segments it is passes through the model. */
  #segmentRows = 0;

  constructor(
    host: ModelHost,
    tracer: Tracer,
    stream: Stream,
    { output, signal }: { readonly output: string; readonly signal?: AbortSignal | undefined },
  ) {
    this.host = host;
    this.stream = stream;
    this.output = output;
    this.signal = signal;
    this.#tracer = tracer;
  }

  get passes(): number {
    return this.#segmentRows / (this.stream.segments.length + 1);
  }

  /** Counts passes through the model that went another way. */
  countPasses(passes: number): void {
    this.#segmentRows += passes * (this.stream.segments.length + 1);
  }

  /** The stream's first value, and what it reads of other streams, from the model's inputs. */
  async start(inputs: NamedTensors): Promise<{ readonly first: DenseTensor; readonly sides: Surroundings['sides'] }> {
    const found = await this.#run(this.#prelude, inputs);
    const sides = this.stream.sides.map((side) => [side, found[SEGMENT.captured(side)]!]);
    return { first: found[SEGMENT.to]!, sides: Object.fromEntries(sides) };
  }

  /** The stream after a segment, with values asked for. */
  segment(
    run: Surroundings,
    index: number,
    hidden: DenseTensor,
    { edits, feeds }: Edited = UNEDITED,
    capture: readonly Captured[] = [],
  ): Promise<NamedTensors> {
    const { from, to } = this.stream.segments[index]!;
    return this.#run(this.#request(from, to, { edits, capture }), {
      ...run.inputs,
      ...this.sideFeeds(run),
      ...feeds,
      [SEGMENT.from]: hidden,
    });
  }

  /** The answer for a stream that ends like this, or with `weights` their sum over it; one position of it may do. */
  head(run: Surroundings, last: DenseTensor, weights?: DenseTensor): Promise<NamedTensors> {
    const feeds = { ...this.#inputsFor(run, last), ...this.sideFeeds(run), [SEGMENT.from]: last };
    return weights === undefined
      ? this.#run(this.headRequest, { ...feeds, [SEGMENT.target]: this.#anyTarget }, [SEGMENT.to])
      : this.#run(this.headRequest, { ...feeds, [SEGMENT.target]: weights }, [SEGMENT.values]);
  }

  /** An input's values of other streams, as a segment is fed them. */
  sideFeeds({ sides }: Pick<Surroundings, 'sides'>): NamedTensors {
    return Object.fromEntries(Object.entries(sides).map(([side, tensor]) => [SEGMENT.side(side), tensor]));
  }

  get headRequest(): SegmentRequest {
    return this.#request(this.stream.segments.at(-1)!.to, this.output, { answer: true });
  }

  /** All programs of the model as it is, in order. */
  get requests(): readonly SegmentRequest[] {
    const segments = this.stream.segments.map(({ from, to }) => this.#request(from, to, {}));
    return [this.#prelude, ...segments, this.headRequest];
  }

  /** Bytes that one row takes in the segment that takes most. */
  bytesOfRow(run: Surroundings & { readonly hidden: readonly DenseTensor[]; readonly answer: DenseTensor }): number {
    let most = 1;
    for (const [index, request] of this.requests.slice(1).entries()) {
      const program = this.host.compiled(request);
      if (program === undefined) continue;
      const known: NamedTensors = {
        ...run.inputs,
        ...this.sideFeeds(run),
        [SEGMENT.from]: run.hidden[index]!,
        [SEGMENT.target]: run.answer,
      };
      const dims = program.graph.inputs.map(({ name }) => [name, known[name]?.dims ?? []]);
      most = Math.max(most, activationBytes(program, Object.fromEntries(dims)));
    }
    return most;
  }

  get #prelude(): SegmentRequest {
    const capture = this.stream.sides.map((value) => ({ value, heads: null }));
    return { ...this.#request(undefined, this.stream.segments[0]!.from, { capture }), sides: [] };
  }

  #request(
    from: ValueName | undefined,
    to: ValueName,
    options: Partial<Pick<SegmentRequest, 'edits' | 'capture' | 'answer'>>,
  ): SegmentRequest {
    return { kind: 'segment', from, to, sides: this.stream.sides, edits: [], capture: [], answer: false, ...options };
  }

  async #run(request: SegmentRequest, feeds: NamedTensors, outputs?: readonly string[]): Promise<NamedTensors> {
    const session = await this.host.program(request, (model) => compileSegment(model, request));
    const known = Object.fromEntries(session.inputNames.map((name) => [name, feeds[name]!]));
    this.#segmentRows += feeds[SEGMENT.from]?.dims[0] ?? 0;
    return session.run(known, { ...(outputs && { outputs }), ...(this.signal && { signal: this.signal }) });
  }

  /** Inputs the head reads lengths off are cut to the one position that the stream was cut to. */
  #inputsFor({ inputs }: Surroundings, last: DenseTensor): NamedTensors {
    const positions = inputs[this.stream.input]?.dims[1];
    if (last.dims[1] !== 1 || positions === undefined || positions === 1) return inputs;
    return Object.fromEntries(
      Object.entries(inputs).map(([name, tensor]) => [
        name,
        tensor.dims.length === 2 && tensor.dims[1] === positions ? sliceAt(tensor, 1, 0) : tensor,
      ]),
    );
  }

  /** Where only the answer is wanted its weights do not matter: one number goes with every shape. */
  get #anyTarget(): DenseTensor {
    const dims = this.#tracer.facts.get(this.output)?.dims ?? [1];
    const shape = dims.map((dim, axis) => (axis > 0 && typeof dim === 'number' ? dim : 1));
    return { type: 'float32', dims: shape, data: new Float32Array(sizeOf(shape)) };
  }
}
