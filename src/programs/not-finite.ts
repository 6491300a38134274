/** Where the numbers of a program stop being finite, for the person who has to find it in the model. */
import { differentiatedNode } from '../autodiff/index.ts';
import { inferGraph, isFloat, nodeLabel, opsetOf } from '../onnx/index.ts';
import type { Model, NamedTensors, Node, ValueInfo, ValueName } from '../onnx/index.ts';
import type { ModelHost } from '../runtime/core.ts';
import { numbers } from './numbers.ts';

type Finiteness = 'finite' | 'infinite' | 'NaN';

/** Values looked at in one run: all at once would hold every activation. */
const VALUES_A_RUN = 32;

/**
 * The end of an error's sentence: the node at which `value`, an output that is not finite, went wrong for these feeds, or an
 * empty text where none is found. Runs the program a few times more, with what is within as outputs.
 */
export async function whereNotFinite(
  host: ModelHost,
  program: Model,
  feeds: NamedTensors,
  value: ValueName,
): Promise<string> {
  const producers = new Map(
    program.graph.nodes.flatMap((node) => node.outputs.map((output) => [output, node] as const)),
  );
  const seen = await look(host, program, feeds);
  const culprit = culpritOf(value, producers, (name) => seen.get(name) ?? 'finite');
  if (culprit === undefined) return '';
  const makes = seen.get(culprit.outputs[0]!) === 'NaN' ? 'NaN' : 'infinity';
  const differentiated = differentiatedNode(culprit);
  if (differentiated === undefined) return `: node "${nodeLabel(culprit)}" (${culprit.operator}) gives ${makes}`;
  const node = host.model.graph.nodes.find((each) => nodeLabel(each) === differentiated);
  return `: the gradient of node "${differentiated}"${node === undefined ? '' : ` (${node.operator})`} gives ${makes}`;
}

/** Which values of floats are not finite. */
async function look(host: ModelHost, program: Model, feeds: NamedTensors): Promise<ReadonlyMap<ValueName, Finiteness>> {
  const { graph } = program;
  const facts = inferGraph(graph, opsetOf(program));
  const inner = graph.nodes.flatMap(({ outputs }) =>
    outputs.flatMap((name): ValueInfo[] => {
      const known = name === '' ? undefined : facts.get(name);
      return known !== undefined && isFloat(known.type) ? [{ name, type: known.type, dims: known.dims }] : [];
    }),
  );
  const session = await host.openVariant({ ...program, graph: { ...graph, outputs: inner } });
  const found = new Map<ValueName, Finiteness>();
  try {
    for (let start = 0; start < inner.length; start += VALUES_A_RUN) {
      const outputs = inner.slice(start, start + VALUES_A_RUN).map(({ name }) => name);
      for (const [name, tensor] of Object.entries(await session.run(feeds, { outputs })))
        found.set(name, finiteness(numbers(tensor)));
    }
  } finally {
    await session.release();
  }
  return found;
}

function finiteness(values: ArrayLike<number>): Finiteness {
  let found: Finiteness = 'finite';
  for (let at = 0; at < values.length; at++) {
    if (Number.isNaN(values[at])) return 'NaN';
    if (!Number.isFinite(values[at])) found = 'infinite';
  }
  return found;
}

/**
 * From a value that is not finite back to the node that made it so. A model may well hold infinities where they do no harm,
 * as in the masks of attention: a node of the model that makes NaN of infinity is the culprit itself, one of ours is not.
 */
function culpritOf(
  value: ValueName,
  producers: ReadonlyMap<ValueName, Node>,
  of: (value: ValueName) => Finiteness,
): Node | undefined {
  let node = producers.get(value);
  let found = of(value);
  for (;;) {
    if (node === undefined) return undefined;
    const made = node.inputs.filter((input) => producers.has(input));
    const follows = found === 'infinite' || node.name.startsWith('onnxray/');
    const next: ValueName | undefined =
      (found === 'NaN' ? made.find((input) => of(input) === 'NaN') : undefined) ??
      (follows ? made.find((input) => of(input) === 'infinite') : undefined);
    if (next === undefined) return node;
    node = producers.get(next);
    found = of(next);
  }
}
