import { TYPE_NUMBERS } from '../onnx/index.ts';
import type { DataType, Model, Node } from '../onnx/index.ts';
import { PROGRAM } from './names.ts';

export const isHalf = (type: DataType): boolean => type === 'float16' || type === 'bfloat16';

/**
 * The same program with float32 at its doors where the model works in half precision: what a program is fed (targets,
 * noise, points) and what it answers. The model's own inputs, and baselines, which come as such, keep their type.
 */
export function widenPorts(program: Model): Model {
  const { graph } = program;
  const own = (name: string) => name.startsWith('onnxray/') && !name.startsWith(PROGRAM.baseline(''));
  const inputs = new Set(graph.inputs.filter(({ name, type }) => isHalf(type) && own(name)).map(({ name }) => name));
  const outputs = new Set(graph.outputs.filter(({ type }) => isHalf(type)).map(({ name }) => name));
  if (inputs.size === 0 && outputs.size === 0) return program;
  const narrow = (name: string) => `${name}/half`;
  const cast = (from: string, to: string, type: DataType): Node => ({
    name: `${to}/cast`,
    operator: 'Cast',
    domain: '',
    inputs: [from],
    outputs: [to],
    attributes: { to: { kind: 'int', value: TYPE_NUMBERS[type] } },
  });
  const rename = (name: string) => (inputs.has(name) || outputs.has(name) ? narrow(name) : name);
  const typeOf = new Map([...graph.inputs, ...graph.outputs].map(({ name, type }) => [name, type]));
  const nodes = [
    ...[...inputs].map((name) => cast(name, narrow(name), typeOf.get(name)!)),
    ...graph.nodes.map((node) => ({ ...node, inputs: node.inputs.map(rename), outputs: node.outputs.map(rename) })),
    ...[...outputs].map((name) => cast(narrow(name), name, 'float32')),
  ];
  const widen = <T extends { readonly name: string; readonly type: DataType }>(info: T): T =>
    inputs.has(info.name) || outputs.has(info.name) ? { ...info, type: 'float32' } : info;
  return { ...program, graph: { ...graph, nodes, inputs: graph.inputs.map(widen), outputs: graph.outputs.map(widen) } };
}
