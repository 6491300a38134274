import { appendGradients } from '../../autodiff/index.ts';
import { GraphBuilder, inferGraph, opsetOf, pruneModel } from '../../onnx/index.ts';
import type { DenseTensor, Model, NamedTensors, Node, ValueName } from '../../onnx/index.ts';
import { copyNodes, numbers } from '../../programs/index.ts';
import type { ModelHost } from '../../runtime/core.ts';
import { freezeNorms } from './frozen-norms.ts';
import { part } from './edits.ts';
import type { QuestionOptions, Subject } from './question.ts';
import { about, ask, blockLabel, headCount, layerAxis } from './question.ts';
import type { Intervention, InterventionTable } from './result.ts';
import { axis, cells } from './result.ts';

interface DirectRequest {
  readonly kind: 'direct';
  readonly output: ValueName;
  /** What is added up: the stream's first value and what branches add to it. */
  readonly parts: readonly ValueName[];
  /** Contexts of heads, with their numbers of heads. */
  readonly contexts: readonly { readonly value: ValueName; readonly heads: number }[];
}

const NAMES = {
  target: 'onnxray/target',
  part: (index: number) => `onnxray/part/${index}`,
  heads: (index: number) => `onnxray/heads/${index}`,
  /** The target's value along the direct path, and with all parts zero: what biases give. */
  value: 'onnxray/direct',
  constant: 'onnxray/constant',
} as const;

/**
 * The direct path: a copy of what lies between the parts and the answer in which branches are not computed again but
 * given (they are parts themselves), and the norms' deviations are those of the run. What is left is linear where the
 * head is: parts add up to the answer, and the gradient at each is the direction it is read in.
 */
export function compileDirect(given: Model, { output, parts, contexts }: DirectRequest): Model {
  const model = freezeNorms(given);
  const { graph } = model;
  const b = new GraphBuilder({ ...model, graph: { ...graph, outputs: [] } });
  const dims = inferGraph(graph, opsetOf(model)).get(output)?.dims;
  const target = b.addInput({
    name: NAMES.target,
    type: 'float32',
    dims: dims?.map((dim, at) => (typeof dim === 'number' ? dim : `target ${at}`)),
  });
  const wide = b.cast(target, b.type(output));
  const frozen = new Map(deviationsOf(graph.nodes).map((name) => [name, name]));
  const along = (starts: ReadonlyMap<ValueName, ValueName>) => {
    const moving = new Set(starts.keys());
    const nodes = graph.nodes.filter((node) => {
      if (!node.inputs.some((name) => moving.has(name) && !frozen.has(name))) return false;
      for (const name of node.outputs) moving.add(name);
      return true;
    });
    const copied = copyNodes(b, nodes, new Map([...frozen, ...starts]));
    const end = copied.get(output) ?? output;
    const axes = Array.from({ length: b.rank(end) - 1 }, (_, at) => at + 1);
    return { copied, end, value: b.cast(b.sum(b.mul(end, wide), axes, false), 'float32') };
  };
  const leaves = new Map(parts.map((value) => [value, b.op('Identity', [value])]));
  const { end, value } = along(leaves);
  b.addOutput(value, NAMES.value);
  const seed = b.op('Expand', [wide, b.shape(end)], {}, { dims: b.dims(end) });
  const gradients = appendGradients(b, { of: end, wrt: [...leaves.values()], seed });
  const summed = (product: ValueName, kept: number) => {
    const axes = Array.from({ length: b.rank(product) - kept }, (_, at) => at + kept);
    return b.cast(b.sum(product, axes, false), 'float32');
  };
  parts.forEach((each, index) => {
    const product = b.mul(each, gradients.get(leaves.get(each)!)!);
    b.addOutput(summed(product, b.rank(product) === 3 ? 2 : 1), NAMES.part(index));
  });
  // A head's share of what its block adds: carried back through the output projection, which is linear.
  contexts.forEach(({ value: context, heads }, index) => {
    const added = parts[index + 1]!;
    const back = appendGradients(b, { of: added, wrt: [context], seed: gradients.get(leaves.get(added)!)! });
    const product = b.mul(context, back.get(context)!);
    b.addOutput(summed(b.rank(product) === 3 ? part(b, product, heads) : product, 2), NAMES.heads(index));
  });
  const zeros = new Map(parts.map((each) => [each, b.zerosLike(each)]));
  b.addOutput(along(zeros).value, NAMES.constant);
  return pruneModel(b.build());
}

/** What norms divide by, or multiply with: the square roots and their reciprocals. */
function deviationsOf(nodes: readonly Node[]): ValueName[] {
  return nodes.flatMap(({ operator, outputs }) => (operator === 'Sqrt' || operator === 'Reciprocal' ? outputs : []));
}

/**
 * Direct logit attribution: what the embedding, each layer's attention and MLP, and each head add to the target along the
 * residual stream alone, read by the final norm with the deviation it has in this run, and the head:
 * part . d target / d part, summed over positions. In a model that norms after each sum, parts pass the later layers'
 * norms in the same way. Heads do not have their layer's output bias; `bias` is what they leave of it.
 * Figures: `sum` of parts and `constant` (biases of norms and head), `gap` = sum + constant - value. The gap is rounding
 * where the head is linear (language models, a linear classifier); a pooler's tanh makes it what linearity misses.
 * Cost: one forward pass and a backward pass along the stream. Elhage et al. 2021, "A mathematical framework for
 * transformer circuits"; nanda 2022.
 */
export async function directAttribution(
  host: ModelHost,
  { subject, ...options }: QuestionOptions & { readonly subject: Subject },
): Promise<Intervention> {
  const question = await ask(host, subject, options);
  const { chain, run, weights, value } = question;
  const sites = chain.stream.segments.flatMap(({ blocks }) => blocks);
  const attends = sites.flatMap(({ block, attention }) =>
    attention === undefined ? [] : [{ block: chain.blocks[block]!, attention }],
  );
  const mlps = sites.flatMap(({ block, mlp }) => (mlp === undefined ? [] : [{ block: chain.blocks[block]!, mlp }]));
  const request: DirectRequest = {
    kind: 'direct',
    output: chain.options.output,
    parts: [
      chain.stream.segments[0]!.from,
      ...attends.map(({ attention }) => attention),
      ...mlps.map(({ mlp }) => mlp),
    ],
    contexts: attends.map(({ block }) => ({ value: block.context, heads: headCount(block) })),
  };
  const session = await host.program(request, (model) => compileDirect(model, request));
  const feeds: Record<string, DenseTensor> = { ...run.inputs, [NAMES.target]: weights };
  const known: NamedTensors = Object.fromEntries(session.inputNames.map((name) => [name, feeds[name]!]));
  chain.runner.countPasses(1);
  const found = await session.run(known);
  const total = (name: string) => Array.from(numbers(found[name]!)).reduce((left, right) => left + right, 0);

  const blocks = attends.map(({ block }) => block);
  const width = Math.max(...blocks.map(headCount));
  const byHead = cells(blocks.length, width + 1);
  const labels = [...new Set(sites.map(({ block }) => blockLabel(chain.blocks[block]!)))];
  const byPart = cells(labels.length + 1, 3);
  let sum = total(NAMES.part(0));
  byPart.data[2] = sum;
  const put = (label: string, column: number, amount: number) => {
    byPart.data[(labels.indexOf(label) + 1) * 3 + column] = amount;
    sum += amount;
  };
  attends.forEach(({ block }, index) => {
    const whole = total(NAMES.part(index + 1));
    put(blockLabel(block), 0, whole);
    const heads = numbers(found[NAMES.heads(index)]!);
    let rest = whole;
    heads.forEach((amount, head) => {
      byHead.data[index * (width + 1) + head] = amount;
      rest -= amount;
    });
    byHead.data[index * (width + 1) + width] = rest;
  });
  mlps.forEach(({ block }, index) => put(blockLabel(block), 1, total(NAMES.part(attends.length + 1 + index))));
  const constant = total(NAMES.constant);
  const tables: InterventionTable[] = [
    {
      name: 'layers',
      rows: axis('layer', ['start', ...labels]),
      columns: axis('component', ['attention', 'mlp', 'embedding']),
      measures: { contribution: byPart },
    },
    {
      name: 'heads',
      rows: layerAxis(blocks),
      columns: axis('head', [...Array.from({ length: width }, (_, head) => String(head)), 'bias']),
      measures: { contribution: byHead },
    },
  ];
  return about(question, {
    command: 'ablate',
    analysis: 'direct',
    options: {},
    tables,
    figures: { sum, constant, gap: sum + constant - value },
  });
}
