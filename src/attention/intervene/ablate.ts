import { UserError, fromBfloat16, fromFloat16, numbersToData } from '../../onnx/index.ts';
import type { DenseTensor } from '../../onnx/index.ts';
import type { ModelHost } from '../../runtime/core.ts';
import { readDistributions } from './distribution.ts';
import { totalVariation } from './divergence.ts';
import { branchOf } from './patch.ts';
import type { Question, QuestionOptions, Subject } from './question.ts';
import {
  about,
  ask,
  attendsAcross,
  blockLabel,
  checkHead,
  checkPosition,
  checkSameShapes,
  chosenBlocks,
  headCount,
  layerAxis,
  positionLabels,
} from './question.ts';
import type { Intervention, InterventionTable } from './result.ts';
import { axis, cells } from './result.ts';
import type { Donor, Row } from './rows.ts';

/** What stands in for what is taken out. */
export const REPLACEMENTS = ['zero', 'mean', 'uniform', 'other'] as const;
export type Replacement = (typeof REPLACEMENTS)[number];

export interface AblateRequest extends QuestionOptions {
  readonly subject: Subject;
  /** For `by: 'other'` and, where given, for means: the input whose activations are taken. */
  readonly other?: Subject | undefined;
  readonly layer?: number | undefined;
  readonly head?: number | undefined;
}

/**
 * Knocks out every head: effect = value(without it) - value.
 * - `zero`: its context is zero (Michel et al. 2019, https://arxiv.org/abs/1905.10650);
 * - `mean`: its context is its mean over the positions of this input, or of `other`;
 * - `uniform`: it attends evenly to all keys that are not masked;
 * - `other`: it attends as in the run of `other`, an input of the same length.
 * Cost: one pass, and for each head the share of the model behind it. Known flaw: the rest of the model may make up for
 * what is missing (McGrath et al. 2023, https://arxiv.org/abs/2307.15771), and zero may be far from anything seen.
 */
export async function ablateHeads(
  host: ModelHost,
  { subject, other, layer, head, by = 'zero', ...options }: AblateRequest & { readonly by?: Replacement },
): Promise<Intervention> {
  if (by === 'other' && other !== undefined) checkSameShapes(subject, other, ['first', 'other']);
  const question = await ask(host, subject, options);
  const { chain } = question;
  const blocks = chosenBlocks(chain, layer);
  checkHead(head, blocks);
  const donor = await donorFor(question, by, other);
  const site = by === 'uniform' ? 'uniform' : by === 'other' ? 'pattern' : 'heads';
  const width = Math.max(...blocks.map(headCount));
  const rows: Row[] = [];
  const index: number[] = [];
  blocks.forEach((block, at) => {
    for (let each = 0; each < headCount(block); each++) {
      if (head !== undefined && each !== head) continue;
      rows.push({ at: chain.segmentOf(block.index), changes: [{ site, block: block.index, heads: [each] }] });
      index.push(at * width + each);
    }
  });
  const effect = await effectsOf(question, rows, index, cells(blocks.length, width), { donor });
  const columns = axis(
    'head',
    Array.from({ length: width }, (_, each) => each),
  );
  return about(question, {
    command: 'ablate',
    analysis: 'heads',
    options: { by, layer: layer ?? null, head: head ?? null },
    tables: [{ name: 'heads', rows: layerAxis(blocks), columns, measures: { effect } }],
  });
}

/** The question, and the blocks of the layer asked about, or all. */
async function askOfLayers(host: ModelHost, { subject, layer, ...options }: AblateRequest) {
  const question = await ask(host, subject, options);
  return { question, blocks: chosenBlocks(question.chain, layer) };
}

/** What each row changes of the target's value, put into its cell of a table. */
async function effectsOf(
  { chain, run, target, value }: Question,
  rows: readonly Row[],
  index: readonly number[],
  table: ReturnType<typeof cells>,
  how: Parameters<Question['chain']['values']>[3] = {},
): Promise<ReturnType<typeof cells>> {
  (await chain.values(run, rows, target, how)).forEach((ablated, row) => {
    table.data[index[row]!] = ablated - value;
  });
  return table;
}

/** What heads are replaced by. */
async function donorFor({ chain, run }: Question, by: Replacement, other: Subject | undefined): Promise<Donor> {
  if (by === 'zero' || by === 'uniform') return () => undefined;
  const capture = chain.streamBlocks.map(({ context, probabilities, heads }) => ({
    value: by === 'mean' ? context : probabilities,
    heads,
  }));
  const source = await chain.read(other?.inputs ?? run.inputs, capture);
  if (by === 'other') return (name) => source.captured.get(name);
  const means = new Map(Array.from(source.captured, ([name, tensor]) => [name, meanOverPositions(tensor)]));
  return (name) => means.get(name);
}

/** [1, heads, positions, size] to [1, heads, 1, size]. */
function meanOverPositions({ type, dims, data }: DenseTensor): DenseTensor {
  const [, heads, positions, size] = dims as [number, number, number, number];
  const means = new Float64Array(heads * size);
  const decode = type === 'float16' ? fromFloat16 : type === 'bfloat16' ? fromBfloat16 : (value: number) => value;
  for (let head = 0; head < heads; head++)
    for (let position = 0; position < positions; position++)
      for (let at = 0; at < size; at++)
        means[head * size + at]! +=
          decode((data as Float32Array)[(head * positions + position) * size + at]!) / positions;
  return { type, dims: [1, heads, 1, size], data: numbersToData(type, Array.from(means)) };
}

/**
 * Knocks out parts of layers: what attention or the MLP adds to the stream is zero, or the whole layer is passed over
 * (the stream after it is the stream before it). effect = value(without it) - value.
 * Where norms follow the sums (BERT), zero branches still leave the layer's norms; passing over leaves nothing of it.
 */
export async function ablateLayers(host: ModelHost, request: AblateRequest): Promise<Intervention> {
  const { question, blocks } = await askOfLayers(host, request);
  const { chain, run } = question;
  const components = ['attention', 'mlp', 'layer'] as const;
  const rows: Row[] = [];
  const index: number[] = [];
  blocks.forEach(({ index: block }, at) =>
    components.forEach((component, column) => {
      const segment = chain.segmentOf(block);
      const before = run.hidden[segment]!.dims.join();
      if (component === 'layer') {
        if (before !== run.hidden[segment + 1]!.dims.join()) return;
        rows.push({ at: segment, skip: [segment] });
      } else {
        if (branchOf(chain, block, component) === undefined) return;
        rows.push({ at: segment, changes: [{ site: component, block, positions: 'all' }] });
      }
      index.push(at * components.length + column);
    }),
  );
  const effect = await effectsOf(question, rows, index, cells(blocks.length, components.length));
  return about(question, {
    command: 'ablate',
    analysis: 'layers',
    options: { layer: request.layer ?? null },
    tables: [{ name: 'layers', rows: layerAxis(blocks), columns: axis('component', components), measures: { effect } }],
  });
}

/**
 * Knocks out every edge from a query to a key: its probability is zero in all blocks of the stream, or in one layer or
 * head; the rest of the row is scaled to sum to 1 again (as if the key had been masked) unless `renormalize` is false.
 * effect = value(without it) - value. Edges that no head has (the future, in a decoder) are left out.
 * Cost: a pass for each edge, or the share of the model behind the layer. Geva et al. 2023,
 * https://arxiv.org/abs/2304.14767 (attention knockout).
 */
export async function ablateEdges(
  host: ModelHost,
  {
    subject,
    layer,
    head,
    query,
    renormalize = true,
    ...options
  }: AblateRequest & { readonly query?: number | undefined; readonly renormalize?: boolean },
): Promise<Intervention> {
  const question = await ask(host, subject, options);
  const { chain, run } = question;
  const blocks = chosenBlocks(chain, layer).filter((block) => attendsAcross(question, block));
  if (blocks.length === 0) throw new UserError('no such attention is between all positions: there are no edges to cut');
  checkHead(head, blocks);
  const first = chain.segmentOf(blocks[0]!.index);
  const positions = run.hidden[first]!.dims[1]!;
  checkPosition('query', query, positions);
  const queries = query === undefined ? Array.from({ length: positions }, (_, at) => at) : [query];
  const causal = blocks.every(({ kind }) => kind === 'decoder');
  const rows: Row[] = [];
  const index: number[] = [];
  queries.forEach((from, row) => {
    for (let key = 0; key < (causal ? from + 1 : positions); key++) {
      rows.push({
        at: first,
        changes: blocks.map(({ index: block }) => ({
          site: 'edges',
          block,
          heads: head === undefined ? 'all' : [head],
          query: from,
          keys: [key],
        })),
      });
      index.push(row * positions + key);
    }
  });
  const effect = await effectsOf(question, rows, index, cells(queries.length, positions), { renormalize });
  const labels = positionLabels(subject, positions);
  const table: InterventionTable = {
    name: 'edges',
    rows: axis(
      'query',
      queries.map((at) => labels[at]!),
    ),
    columns: axis('key', labels),
    measures: { effect },
  };
  return about(question, {
    command: 'ablate',
    analysis: 'edges',
    options: { layer: layer ?? null, head: head ?? null, query: query ?? null, renormalize },
    tables: [table],
  });
}

/**
 * Uniform attention, layer by layer and everywhere: every head spreads its attention evenly over the keys that are not
 * masked. effect on the target, and the total variation distance of the answer's distribution.
 * Wiegreffe & Pinter 2019, https://arxiv.org/abs/1908.04626, train a model with attention held uniform; this is the
 * ablation of a trained model, which has no chance to adapt: what it loses is an upper bound of what they measure.
 * Cost: a pass for `all`, and for each layer the share of the model behind it.
 */
export async function ablateUniform(host: ModelHost, request: AblateRequest): Promise<Intervention> {
  const { question, blocks } = await askOfLayers(host, request);
  const { chain } = question;
  const change = (block: number) => ({ site: 'uniform', block, heads: 'all' }) as const;
  const rows: Row[] = blocks.map(({ index }) => ({ at: chain.segmentOf(index), changes: [change(index)] }));
  if (blocks.length > 1)
    rows.push({ at: chain.segmentOf(blocks[0]!.index), changes: blocks.map(({ index }) => change(index)) });
  const places = rows.map((_, row) => 2 * row);
  const measures = await effectsOf(question, rows, places, cells(rows.length, 2));
  const { before, after } = await readDistributions(question, rows);
  after.forEach((answer, row) => (measures.data[2 * row + 1] = totalVariation(before, answer)));
  const labels = [...blocks.map(blockLabel), ...(blocks.length > 1 ? ['all'] : [])];
  return about(question, {
    command: 'ablate',
    analysis: 'uniform',
    options: { layer: request.layer ?? null },
    tables: [
      {
        name: 'uniform',
        rows: axis('layer', labels),
        columns: axis('measure', ['effect', 'total variation']),
        measures: { uniform: measures },
      },
    ],
  });
}
