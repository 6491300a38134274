/** Scattering with a reduction: sums, products and extremes of what stood there and the updates. */
import type { GraphBuilder, Node, ValueName } from '../../onnx/index.ts';
import { int, intAttribute, string, stringAttribute } from '../../onnx/index.ts';
import type { Rule } from '../rule.ts';
import { rule } from '../rule.ts';

/** The two operators' ways to read at the indices and to write there. */
interface Places {
  readonly read: (b: GraphBuilder, node: Node, value: ValueName) => ValueName;
  readonly write: (b: GraphBuilder, node: Node, into: ValueName, updates: ValueName, reduction?: string) => ValueName;
}

const elements: Places = {
  read: (b, node, value) =>
    b.op('GatherElements', [value, node.inputs[1]!], { axis: int(intAttribute(node, 'axis', 0)) }),
  write: (b, node, into, updates, reduction) =>
    b.op('ScatterElements', [into, node.inputs[1]!, updates], {
      axis: int(intAttribute(node, 'axis', 0)),
      reduction: reduction === undefined ? undefined : string(reduction),
    }),
};

const rows: Places = {
  read: (b, node, value) => b.op('GatherND', [value, node.inputs[1]!]),
  write: (b, node, into, updates, reduction) =>
    b.op('ScatterND', [into, node.inputs[1]!, updates], {
      reduction: reduction === undefined ? undefined : string(reduction),
    }),
};

/**
 * none: overwritten elements get nothing, updates what stands at their place. add: both get all.
 * mul: y = data * prod(updates), so d data = dY prod(updates) and d update = dY data * prod(other
 * updates), exact for zeros too: where one update of a place is 0, only that one gets a gradient, where two are, none does. min, max: those that are the extreme share the gradient.
 */
const scatter = ({ read, write }: Places): Rule =>
  rule((b, node, dY) => {
    const [data, , updates] = node.inputs as [ValueName, ValueName, ValueName];
    const y = node.outputs[0]!;
    const reduction = stringAttribute(node, 'reduction', 'none');
    if (reduction === 'none')
      return [() => write(b, node, dY, b.zerosOf(updates, dY)), undefined, () => read(b, node, dY)];
    if (reduction === 'add') return [() => dY, undefined, () => read(b, node, dY)];
    if (reduction === 'mul') {
      return [
        () => b.mul(dY, write(b, node, b.onesLike(data), updates, 'mul')),
        undefined,
        () => {
          const zero = b.equal(updates, b.scalar(0, updates));
          const safe = b.where(zero, b.scalar(1, updates), updates);
          const product = read(b, node, b.mul(dY, write(b, node, data, safe, 'mul')));
          const zeros = read(b, node, write(b, node, b.zerosLike(data), b.cast(zero, b.type(dY)), 'add'));
          // The zeros of a place but for the update itself.
          const others = b.sub(zeros, b.cast(zero, b.type(dY)));
          return b.where(b.equal(others, b.scalar(0, dY)), b.div(product, safe), b.scalar(0, dY));
        },
      ];
    }
    const kept = () => b.equal(data, y);
    const added = () => b.equal(updates, read(b, node, y));
    const one = (hit: ValueName) => b.cast(hit, b.type(dY));
    const share = () => b.div(dY, write(b, node, one(kept()), one(added()), 'add'));
    return [
      () => b.where(kept(), share(), b.scalar(0, dY)),
      undefined,
      () => b.where(added(), read(b, node, share()), b.scalar(0, dY)),
    ];
  });

export const scattering = { ScatterElements: scatter(elements), ScatterND: scatter(rows) } satisfies Readonly<
  Record<string, Rule>
>;
