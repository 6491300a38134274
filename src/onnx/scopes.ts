import type { NodeProto } from 'onnx-buf';
import type { Node } from './model.ts';

/** Where the exporter of torch.export keeps the module a node came from. */
const SCOPES = 'pkg.torch.onnx.name_scopes';

/**
 * Nodes under names that say where they came from: PyTorch's newer exporter calls nodes `node_MatMul_59` and tells
 * the modules in their metadata. They get the names its older exporter gives: `/encoder/layer.0/attention/self/MatMul`.
 */
export function withScopes(protos: readonly NodeProto[], read: (proto: NodeProto) => Node): Node[] {
  const taken = new Map<string, number>();
  return protos.map((proto) => {
    const node = read(proto);
    const scopes = proto.metadataProps.find(({ key }) => key === SCOPES)?.value;
    if (scopes === undefined) return node;
    const name = `${modulePath(scopes)}/${node.operator}`;
    const count = taken.get(name) ?? 0;
    taken.set(name, count + 1);
    return { ...node, name: count === 0 ? name : `${name}_${count}` };
  });
}

/** From `['', 'encoder', 'encoder.layer.0', 'linear']` `/encoder/layer.0`: the modules from the outside in, and the operation. */
function modulePath(scopes: string): string {
  const modules = Array.from(scopes.matchAll(/'([^']*)'/g), ([, name]) => name!).slice(0, -1);
  return modules
    .map((name, at) => {
      const outer = modules[at - 1] ?? '';
      return name === ''
        ? ''
        : `/${outer !== '' && name.startsWith(`${outer}.`) ? name.slice(outer.length + 1) : name}`;
    })
    .join('');
}
