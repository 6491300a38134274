import { UserError, isFloat, inferGraph, nodeLabel, opsetOf } from '../onnx/index.ts';
import type { Graph, Model, Node } from '../onnx/index.ts';
import { ruleKey } from './rule.ts';
import { GRADIENT_RULES } from './rules/index.ts';

export interface Coverage {
  /** Nodes whose operator has a gradient rule, or none because its gradient is zero. */
  readonly covered: number;
  readonly missing: readonly { readonly operator: string; readonly node: string; readonly opset: number }[];
}

/** Which nodes of a model can be differentiated; those that only work on integers and flags count as covered. */
export function gradientCoverage(model: Model): Coverage {
  const facts = inferGraph(model.graph, opsetOf(model));
  const nodes = allNodes(model.graph);
  const missing = nodes.filter((node) => {
    if (GRADIENT_RULES[ruleKey(node)] !== undefined) return false;
    return node.outputs.some((name) => isFloat(facts.get(name)?.type ?? 'float32'));
  });
  return {
    covered: nodes.length - missing.length,
    missing: missing.map((node) => ({
      operator: ruleKey(node),
      node: node.name || node.outputs[0] || '',
      opset: model.opsets.get(node.domain) ?? opsetOf(model),
    })),
  };
}

/** The nodes of a graph and of its subgraphs. */
function allNodes(graph: Graph): Node[] {
  return graph.nodes.flatMap((node) => {
    const inner = Object.values(node.attributes).flatMap((each) => (each.kind === 'graph' ? allNodes(each.value) : []));
    return [node, ...inner];
  });
}

/**
 * Behind an operator nobody knows no shape is known either: then the operators are the thing to say; or the If whose branches
 * do not agree on a rank, as exports have them where an axis is squeezed if it is 1 long.
 */
export function nameUnknownOperators(error: UserError, model: Model): UserError {
  const { missing } = gradientCoverage(model);
  const [first] = missing;
  if (first === undefined) {
    const divided = dividedBranches(model);
    if (divided === undefined) return error;
    const label = nodeLabel(divided);
    return new UserError(
      `the branches of If "${label}" give values of different ranks, so the ranks behind it are unknown: fix the dims that decide it, or simplify the model with those dims`,
      { cause: error },
    );
  }
  const others = new Set(missing.map(({ operator }) => operator));
  others.delete(first.operator);
  const rest = others.size === 0 ? '' : `; also missing: ${[...others].sort().join(', ')}`;
  return new UserError(`no gradient rule for ${first.operator} (node "${first.node}", opset ${first.opset})${rest}`, {
    cause: error,
  });
}

/** The first If of which no rank is known, although those of all it reads are. */
function dividedBranches(model: Model): Node | undefined {
  const { graph } = model;
  const facts = inferGraph(graph, opsetOf(model));
  const unknown = (name: string) => name !== '' && facts.get(name)?.dims === undefined;
  const first = graph.nodes.find(({ outputs }) => outputs.some(unknown));
  return first?.operator === 'If' && first.domain === '' ? first : undefined;
}
