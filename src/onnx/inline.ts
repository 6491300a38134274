/** Model-local functions take the place of the nodes that call them. */
import type { AttributeProto, FunctionProto } from 'onnx-buf';
import { UserError } from './errors.ts';
import type { Attribute, Graph, Model, Node, ValueName } from './model.ts';
import { opsetOf, withSubgraphs } from './model.ts';
import { readAttribute, readNode } from './read.ts';
import { definedWithin, renameThroughout } from './rename.ts';

/** Functions that call each other deeper than this call themselves. */
const MAX_DEPTH = 64;
const NO_FILE = new Uint8Array();

/** The model with every call of one of its functions replaced by the function's nodes. Names of the call's outputs stay. */
export function inlineFunctions(model: Model): Model {
  if (model.functions.length === 0) return model;
  const functions = new Map(model.functions.map((each) => [keyOf(each.domain, each.name, each.overload), each]));
  const opsets = new Map(model.opsets);
  for (const each of model.functions)
    for (const { domain, version } of each.opsetImport) {
      const known = opsets.get(cleanDomain(domain));
      if (known === undefined) opsets.set(cleanDomain(domain), Number(version));
      // One graph has one version of each operator set; from 18 on we know no difference that matters here.
      else if (known !== Number(version) && cleanDomain(domain) === '' && Math.min(known, Number(version)) < 18)
        throw new UserError(
          `the function "${each.name}" uses opset ${Number(version)}, the model opset ${opsetOf(model)}: convert them to one with onnx.version_converter`,
        );
    }
  return { ...model, opsets, graph: inlineInGraph(model.graph, functions, 0), functions: [] };
}

const cleanDomain = (domain: string) => (domain === 'ai.onnx' ? '' : domain);
/** Since IR version 10 several functions of one name differ in their overload. */
const keyOf = (domain: string, name: string, overload = '') => `${cleanDomain(domain)}::${name}::${overload}`;

function inlineInGraph(graph: Graph, functions: ReadonlyMap<string, FunctionProto>, depth: number): Graph {
  return { ...graph, nodes: graph.nodes.flatMap((node) => inlineNode(node, functions, depth)) };
}

function inlineNode(original: Node, functions: ReadonlyMap<string, FunctionProto>, depth: number): Node[] {
  const node = withSubgraphs(original, (inner) => inlineInGraph(inner, functions, depth));
  const called = functions.get(keyOf(node.domain, node.operator, node.overload));
  if (called === undefined) return [node];
  if (depth > MAX_DEPTH) throw new UserError(`the function "${node.operator}" calls itself`);
  const scope = node.name || node.outputs.find((name) => name !== '') || node.operator;
  const names = new Map<ValueName, ValueName>([['', '']]);
  called.input.forEach((name, index) => names.set(name, node.inputs[index] ?? ''));
  const produced = new Set(called.node.flatMap(({ output }) => output));
  const copies: Node[] = [];
  called.output.forEach((name, index) => {
    const output = node.outputs[index];
    if (!output) return;
    if (produced.has(name) && !names.has(name)) names.set(name, output);
    else
      copies.push({
        name: `${scope}/${name}`,
        operator: 'Identity',
        domain: '',
        inputs: [names.get(name) ?? name],
        outputs: [output],
        attributes: {},
      });
  });
  for (const name of produced) if (!names.has(name)) names.set(name, `${scope}/${name}`);
  const given = attributesOf(node, called);
  const inside = called.node.map((proto) => withAttributes(readNode(proto, NO_FILE, 0), given));
  // A function's names are its own: those within its subgraphs too may stand for something else around the call.
  for (const name of inside.flatMap(definedWithin)) if (!names.has(name)) names.set(name, `${scope}/${name}`);
  const body = inside.map((inner, index) =>
    renameThroughout(inner, names, `${scope}/${inner.name || `${inner.operator}_${index}`}`),
  );
  return [...body, ...copies].flatMap((each) => inlineNode(each, functions, depth + 1));
}

/** What the call gives for the function's attributes, and their defaults. */
function attributesOf(node: Node, called: FunctionProto): ReadonlyMap<string, Attribute> {
  const defaults = called.attributeProto.map((proto) => [proto.name, readAttribute(proto, NO_FILE, 0)] as const);
  return new Map([...defaults, ...Object.entries(node.attributes)]);
}

/** References to the function's attributes become their values; those nobody gave are left out. */
function withAttributes(node: Node, given: ReadonlyMap<string, Attribute>): Node {
  const attributes = Object.entries(node.attributes).flatMap(([name, attribute]): [string, Attribute][] => {
    const reference = attribute.kind === 'opaque' ? (attribute.value as Partial<AttributeProto>).refAttrName : '';
    if (!reference) return [[name, attribute]];
    const value = given.get(reference);
    return value === undefined ? [] : [[name, value]];
  });
  const resolved = { ...node, attributes: Object.fromEntries(attributes) };
  return withSubgraphs(resolved, (inner) => ({
    ...inner,
    nodes: inner.nodes.map((each) => withAttributes(each, given)),
  }));
}
