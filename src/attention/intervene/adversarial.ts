import { appendGradients } from '../../autodiff/index.ts';
import { normalRandom, seededRandom } from '../../inputs/core.ts';
import { GraphBuilder, UserError, inferGraph, opsetOf, pruneModel } from '../../onnx/index.ts';
import type { DenseTensor, Model, NamedTensors, ValueName } from '../../onnx/index.ts';
import { numbers } from '../../programs/index.ts';
import type { ModelHost } from '../../runtime/core.ts';
import type { AttentionBlock } from '../locate.ts';
import { part } from './edits.ts';
import type { Link } from './distribution.ts';
import { classRow, toDistribution } from './distribution.ts';
import { jensenShannon } from './divergence.ts';
import { attentionFrom, findQuery, meanOf } from './query.ts';
import type { Question, QuestionOptions, Subject } from './question.ts';
import { about, ask, attendsAcross, chosenBlocks, headCount, positionLabels } from './question.ts';
import type { Intervention } from './result.ts';
import { axis, cells } from './result.ts';
import { stacked } from './rows.ts';
import { SEGMENT, compileSegment } from './segments.ts';
import type { SegmentRequest } from './segments.ts';

export interface AdversarialRequest extends QuestionOptions {
  readonly subject: Subject;
  /** The layer whose attention is changed. Default: the last. */
  readonly layer?: number | undefined;
  readonly query?: number | undefined;
  /** How far the answer may move, in total variation distance. Default 0.01. */
  readonly epsilon?: number;
  /** Steps of Adam. Default 300. */
  readonly steps?: number;
  /** Starts, run as rows of one batch. Default 4. */
  readonly starts?: number;
  readonly seed?: number;
}

interface AdversarialProgram {
  readonly kind: 'adversarial';
  readonly segment: SegmentRequest;
  readonly probabilities: ValueName;
  readonly heads: number;
  readonly link: Link;
}

const NAMES = {
  /** Free attention logits of the query's row: [rows, heads, keys]. */
  logits: 'onnxray/logits',
  /** 0, or a large negative number at keys that are masked: [1, heads, 1, keys]. */
  mask: 'onnxray/mask',
  /** 1 at the queries that are changed: [1, 1, queries, 1]. */
  queries: 'onnxray/queries',
  original: 'onnxray/original',
  /** What the answer was: [1, classes]. */
  answer: 'onnxray/distribution',
  /** 1 at the elements of the answer that make the row of classes, as indices: int64 [classes]. */
  classes: 'onnxray/classes',
  epsilon: 'onnxray/epsilon',
  attention: 'onnxray/attention',
  divergence: 'onnxray/divergence',
  variation: 'onnxray/variation',
  gradient: 'onnxray/gradient',
} as const;

/** Jain & Wallace's weight of the answer's movement beyond epsilon. */
const PENALTY = 500;
const MASKED = -1e4;

/**
 * The part of the model behind one block's input, with its attention from some queries free:
 * loss = -JS(attention, original) + 500 max(0, TV(answer, original answer) - epsilon), and its gradient in the logits.
 */
export function compileAdversarial(model: Model, { segment, probabilities, heads, link }: AdversarialProgram): Model {
  const behind = compileSegment(model, segment);
  const { graph } = behind;
  const facts = inferGraph(graph, opsetOf(behind));
  const b = new GraphBuilder({ ...behind, graph: { ...graph, nodes: [], outputs: [], valueInfos: new Map() } });
  b.reserve(graph.nodes);
  const known = facts.get(probabilities)?.dims;
  const keys = known?.at(-1);
  const logits = b.addInput({ name: NAMES.logits, type: 'float32', dims: ['rows', heads, keys] });
  const mask = b.addInput({ name: NAMES.mask, type: 'float32', dims: [1, heads, 1, keys] });
  const queries = b.addInput({ name: NAMES.queries, type: 'float32', dims: [1, 1, 'queries', 1] });
  const original = b.addInput({ name: NAMES.original, type: 'float32', dims: [1, heads, 1, keys] });
  const free = b.softmax(b.add(b.unsqueeze(logits, [2]), mask), -1);
  const renamed = new Map<ValueName, ValueName>();
  const now = (name: ValueName) => renamed.get(name) ?? name;
  for (const node of graph.nodes) {
    b.push({ ...node, inputs: node.inputs.map(now) });
    if (!node.outputs.includes(probabilities)) continue;
    const joined = b.rank(probabilities) === 3;
    const whole = joined ? part(b, probabilities, heads) : probabilities;
    const chosen = b.greater(queries, b.scalar(0, queries));
    const changed = b.op('Where', [chosen, b.cast(free, b.type(whole)), whole], {}, { dims: b.dims(whole) });
    renamed.set(probabilities, joined ? b.reshape(changed, b.shape(probabilities), b.dims(probabilities)) : changed);
  }
  const answer = now(graph.outputs[0]!.name);
  const flat = b.op('Flatten', [b.cast(answer, 'float32')], { axis: { kind: 'int', value: 1 } });
  const classes = b.addInput({ name: NAMES.classes, type: 'int64', dims: ['classes'] });
  const row = b.gather(flat, classes, 1);
  const before = b.addInput({ name: NAMES.answer, type: 'float32', dims: [1, 'classes'] });
  const distribution = link === 'softmax' ? b.softmax(row, -1) : link === 'sigmoid' ? b.sigmoid(row) : row;
  // Of a yes and its opposite both move as much: |difference| is their total variation.
  const moved = b.sum(b.abs(b.sub(distribution, before)), [1], false);
  const variation = link === 'sigmoid' ? moved : b.mul(moved, b.scalar(0.5, moved));
  const divergence = jsOfRows(b, free, original);
  const epsilon = b.addInput({ name: NAMES.epsilon, type: 'float32', dims: [] });
  const over = b.op('Relu', [b.sub(variation, epsilon)]);
  const loss = b.sub(b.mul(over, b.scalar(PENALTY, over)), divergence);
  const gradient = appendGradients(b, { of: loss, wrt: [logits], seed: b.onesLike(loss) }).get(logits)!;
  b.addOutput(free, NAMES.attention);
  b.addOutput(divergence, NAMES.divergence);
  b.addOutput(variation, NAMES.variation);
  b.addOutput(gradient, NAMES.gradient);
  return pruneModel(b.build());
}

/** Mean over heads of the Jensen-Shannon divergence of two [rows, heads, 1, keys]: [rows]. */
function jsOfRows(b: GraphBuilder, p: ValueName, q: ValueName): ValueName {
  const tiny = b.scalar(1e-20, p);
  const mean = b.mul(b.add(p, q), b.scalar(0.5, p));
  const half = (x: ValueName) =>
    b.mul(b.mul(x, b.sub(b.log(b.add(x, tiny)), b.log(b.add(mean, tiny)))), b.scalar(0.5, p));
  return b.mean(b.squeeze(b.sum(b.add(half(p), half(q)), [3]), [2, 3]), [1], false);
}

/**
 * Adversarial attention (Jain & Wallace 2019, section 4.2.2, https://arxiv.org/abs/1902.10186): attention weights as far
 * from the model's as can be found (mean Jensen-Shannon divergence over heads, at most ln 2 = 0.69) while the answer moves
 * by at most `epsilon` in total variation distance. Found by Adam through our gradients on free attention logits of one
 * layer, from random starts, each a row of the batch; rows are not pushed apart from each other as in the paper.
 * Only attention that the answer reads is changed: the query's row, or all rows where it is read from all.
 * A high divergence says that this attention is not needed to explain the answer; Wiegreffe & Pinter 2019
 * (https://arxiv.org/abs/1908.04626) object that a trained model need not be able to reach it. Layers before and after
 * stay as they are, so what another layer carries is not tested.
 * Cost: per step a forward and backward pass of the layers from the chosen one, `starts` rows.
 */
export async function adversarialAttention(
  host: ModelHost,
  { subject, layer, query, epsilon = 0.01, steps = 300, starts = 4, seed = 0, ...options }: AdversarialRequest,
): Promise<Intervention> {
  const question = await ask(host, subject, options);
  const { chain } = question;
  const self = chosenBlocks(chain, layer).filter((block) => attendsAcross(question, block));
  const block = self.at(-1);
  if (block === undefined) throw new UserError('no such attention is between all positions of the input');
  const found = await search(question, block, { query, epsilon, steps, starts, seed });
  const labels = positionLabels(subject, found.before[0]!.length);
  const heads = found.before.length;
  const [model, adversarial] = [cells(heads + 1, labels.length), cells(heads + 1, labels.length)];
  const fill = (table: typeof model, rows: readonly Float64Array[]) =>
    [...rows, meanOf(rows)].forEach((row, at) => table.data.set(row, at * labels.length));
  fill(model, found.before);
  fill(adversarial, found.after);
  return about(question, {
    command: 'ablate',
    analysis: 'adversarial',
    options: { layer: block.layer, query: found.query, epsilon, steps, starts, seed },
    tables: [
      {
        name: 'attention',
        rows: axis('head', [...Array.from({ length: heads }, (_, head) => String(head)), 'mean']),
        columns: axis('key', labels),
        measures: { adversarial, model },
      },
    ],
    figures: {
      divergence: found.divergence,
      largest: Math.LN2,
      'total variation': found.variation,
      'divergence of means': jensenShannon(meanOf(found.before), meanOf(found.after)),
    },
    warnings: found.reached ? [] : [`no start kept the answer within ${epsilon}: the model's own attention is shown`],
  });
}

interface Search extends Required<Pick<AdversarialRequest, 'epsilon' | 'steps' | 'starts' | 'seed'>> {
  readonly query: number | undefined;
}

async function search(question: Question, block: AttentionBlock, options: Search) {
  const { chain, run, targetRef } = question;
  const query = await findQuery(question, options.query);
  const captured = await chain.read(run.inputs, [{ value: block.probabilities, heads: block.heads }]);
  const probabilities = captured.captured.get(block.probabilities)!;
  const before = attentionFrom(probabilities, block, query);
  const heads = headCount(block);
  const keys = before[0]!.length;
  const place = classRow(targetRef, run.answer);
  const at = chain.segmentOf(block.index);
  const program: AdversarialProgram = {
    kind: 'adversarial',
    segment: {
      kind: 'segment',
      from: chain.stream.segments[at]!.from,
      to: chain.options.output,
      sides: chain.stream.sides,
      edits: [],
      capture: [],
      answer: false,
    },
    probabilities: block.probabilities,
    heads,
    link: place.link,
  };
  const session = await chain.host.program(program, (model) => compileAdversarial(model, program));
  const distribution = toDistribution(
    Array.from(numbers(run.answer).subarray(place.start, place.start + place.size)),
    place.link,
  ).slice(0, place.size);
  const float = (dims: readonly number[], data: ArrayLike<number>): DenseTensor => ({
    type: 'float32',
    dims,
    data: Float32Array.from(data),
  });
  const flat = before.flatMap((row) => Array.from(row));
  const queryCount = probabilities.dims[2]!;
  const starts = chain.mixesRows ? 1 : options.starts;
  const fixed: Record<string, DenseTensor> = {
    ...run.inputs,
    ...chain.runner.sideFeeds(run),
    [SEGMENT.from]: stacked(Array.from({ length: starts }, () => run.hidden[at]!)),
    [NAMES.mask]: float(
      [1, heads, 1, keys],
      flat.map((p) => (p > 0 ? 0 : MASKED)),
    ),
    [NAMES.queries]: float(
      [1, 1, queryCount, 1],
      Array.from({ length: queryCount }, (_, row) => (query === 'mean' || row === query ? 1 : 0)),
    ),
    [NAMES.original]: float([1, heads, 1, keys], flat),
    [NAMES.answer]: float([1, place.size], distribution),
    [NAMES.classes]: {
      type: 'int64',
      dims: [place.size],
      data: BigInt64Array.from({ length: place.size }, (_, index) => BigInt(place.start + index)),
    },
    [NAMES.epsilon]: float([], [options.epsilon]),
  };
  const size = heads * keys;
  const normal = normalRandom(seededRandom(options.seed));
  const logits = Float64Array.from({ length: starts * size }, (_, index) => {
    const start = Math.log(Math.max(flat[index % size]!, 1e-6));
    // The first start is the model's own attention, slightly moved; at it exactly the gradient is zero.
    return start + normal() * (index < size ? 0.1 : 2);
  });
  const adam = new Adam(logits.length, 0.1);
  let best = { divergence: 0, variation: 0, attention: Float64Array.from(flat), reached: false };
  const { signal, onProgress } = chain.options;
  for (let step = 0; step <= options.steps; step++) {
    const feeds: NamedTensors = { ...fixed, [NAMES.logits]: float([starts, heads, keys], logits) };
    const known = Object.fromEntries(session.inputNames.map((name) => [name, feeds[name]!]));
    const results = await session.run(known, signal === undefined ? {} : { signal });
    const [divergences, variations] = [numbers(results[NAMES.divergence]!), numbers(results[NAMES.variation]!)];
    divergences.forEach((divergence, row) => {
      if (variations[row]! > options.epsilon || divergence <= best.divergence) return;
      const attention = Float64Array.from(numbers(results[NAMES.attention]!).subarray(row * size, (row + 1) * size));
      best = { divergence, variation: variations[row]!, attention, reached: true };
    });
    adam.step(logits, numbers(results[NAMES.gradient]!));
    onProgress?.(step, options.steps);
  }
  chain.runner.countPasses(((options.steps + 1) * starts * 2 * (chain.depth - at)) / chain.depth);
  const after = Array.from({ length: heads }, (_, head) => best.attention.slice(head * keys, (head + 1) * keys));
  return { query, before, after, ...best };
}

/** Kingma & Ba 2015, https://arxiv.org/abs/1412.6980, with their betas. */
class Adam {
  readonly #rate: number;
  readonly #first: Float64Array;
  readonly #second: Float64Array;
  #steps = 0;
  constructor(size: number, rate: number) {
    this.#rate = rate;
    this.#first = new Float64Array(size);
    this.#second = new Float64Array(size);
  }
  step(values: Float64Array, gradient: ArrayLike<number>): void {
    this.#steps++;
    for (let at = 0; at < values.length; at++) {
      this.#first[at] = 0.9 * this.#first[at]! + 0.1 * gradient[at]!;
      this.#second[at] = 0.999 * this.#second[at]! + 0.001 * gradient[at]! ** 2;
      const mean = this.#first[at]! / (1 - 0.9 ** this.#steps);
      const deviation = Math.sqrt(this.#second[at]! / (1 - 0.999 ** this.#steps));
      values[at]! -= (this.#rate * mean) / (deviation + 1e-8);
    }
  }
}
