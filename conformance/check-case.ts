/** One of ONNX's node tests through the product. */
import { readModel, valuesCaptured } from '../src/onnx/index.ts';
import type { DenseTensor, Model, NamedTensors } from '../src/onnx/index.ts';
import { checkGradient } from './check-gradient.ts';
import { checkValues } from './check-values.ts';
import type { CaseFiles, Corpus } from './corpus.ts';
import { readCase } from './corpus.ts';
import { numbersOf } from './numbers.ts';
import { ownCase } from './own-cases.ts';
import type { CaseResult } from './result.ts';
import { messageOf, skipped } from './result.ts';

export function checkCase(corpus: Corpus, name: string): Promise<CaseResult> {
  return checkFiles(ownCase(name) ?? readCase(corpus.cases, name), corpus.operators);
}

export async function checkFiles(files: CaseFiles, operators: Corpus['operators']): Promise<CaseResult> {
  const { name } = files;
  let original: Model | undefined;
  try {
    original = readModel(files.bytes);
  } catch (error) {
    const note = skipped(messageOf(error));
    return { name, operator: undefined, opset: 0, roundTrip: note, normalized: note, first: note, second: note };
  }
  const operator = files.operator ?? operatorOf(original, name);
  const common = { name, operator, opset: original.opsets.get('') ?? 0 };
  const { model, feeds, results, roundTrip, normalized } = await checkValues(files);
  if (model === undefined || feeds === undefined || results === undefined)
    return { ...common, roundTrip, normalized, first: skipped('not run'), second: skipped('not run') };
  const wrt = Object.keys(feeds).filter(
    (input) => FLOATS.has(feeds[input]!.type) && !isMarkedConstant(original, operators, input),
  );
  const outputs = model.graph.outputs.map(({ name }) => name).filter((output) => isSmooth(feeds, results[output]));
  if (wrt.length === 0 || outputs.length === 0) {
    const note = skipped('no float input or output to differentiate');
    return { ...common, roundTrip, normalized, first: note, second: note };
  }
  return { ...common, roundTrip, normalized, ...(await checkGradient({ name, model, feeds, wrt, outputs })) };
}

const FLOATS: ReadonlySet<string> = new Set(['float32', 'float64', 'float16']);

/** An output of floats; one that is infinite at finite inputs has no differences. */
function isSmooth(feeds: NamedTensors, output: DenseTensor | undefined): boolean {
  if (output === undefined || !FLOATS.has(output.type)) return false;
  const finite = (tensor: DenseTensor) => !FLOATS.has(tensor.type) || numbersOf(tensor).every(Number.isFinite);
  return finite(output) || !Object.values(feeds).every(finite);
}

/** The operator a case is of: its only node, or the one node with a subgraph among constants and the like. */
function operatorOf({ graph }: Model, name: string): string | undefined {
  if (name.includes('_expanded')) return undefined;
  const keys = graph.nodes.map(({ domain, operator }) => (domain === '' ? operator : `${domain}::${operator}`));
  if (keys.length === 1) return keys[0];
  return keys.find((key) => /^(If|Loop|Scan|Sequence|Optional)/.test(key));
}

/** Inputs that decide the output's length: a small change of them is no small change of the output. */
const STRUCTURAL: Readonly<Record<string, readonly number[]>> = {
  OneHot: [0, 1],
  Range: [0, 1, 2],
  Unique: [0],
  MaxRoiPool: [1],
  Upsample: [1],
  MelWeightMatrix: [0, 1, 2, 3, 4],
};

/** Whether every use of an input is structural, or one that its operator's schema marks as not differentiable. */
function isMarkedConstant({ graph }: Model, operators: Corpus['operators'], input: string): boolean {
  const uses = graph.nodes.flatMap((node) =>
    node.inputs.flatMap((value, index) => (value === input ? [{ node, index }] : [])),
  );
  return (
    uses.length > 0 &&
    !graph.nodes.some((node) => valuesCaptured(node).includes(input)) &&
    uses.every(({ node, index }) => {
      if (STRUCTURAL[node.operator]?.includes(index)) return true;
      const schema = operators[node.domain === '' ? node.operator : `${node.domain}::${node.operator}`];
      return schema?.inputs.includes('yes') && schema.inputs[Math.min(index, schema.inputs.length - 1)] === 'no';
    })
  );
}
