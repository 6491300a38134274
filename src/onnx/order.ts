import type { Node } from './model.ts';
import { valuesRead } from './prune.ts';

/**
 * Nodes so that each stands behind those whose values it reads, its subgraphs included. The standard asks for that order,
 * onnxruntime does not, and its tools write files that lack it. Otherwise the order stays; nodes in a circle are left as they are.
 */
export function inOrder(nodes: readonly Node[]): readonly Node[] {
  const producers = new Map(nodes.flatMap(({ outputs }, at) => outputs.map((name) => [name, at] as const)));
  const needs = nodes.map((node) => valuesRead(node).flatMap((name) => producers.get(name) ?? []));
  if (needs.every((list, at) => list.every((needed) => needed < at))) return nodes;
  const placed: Node[] = [];
  const states = new Uint8Array(nodes.length);
  const [OPEN, PLACED] = [1, 2];
  for (let first = 0; first < nodes.length; first++)
    for (const stack = [first]; stack.length > 0;) {
      const at = stack.at(-1)!;
      if (states[at] === OPEN) placed.push(nodes[at]!);
      if (states[at] !== 0) {
        states[at] = PLACED;
        stack.pop();
        continue;
      }
      states[at] = OPEN;
      for (const needed of needs[at]!.toReversed()) {
        if (states[needed] === OPEN) return nodes;
        if (states[needed] === 0) stack.push(needed);
      }
    }
  return placed;
}
