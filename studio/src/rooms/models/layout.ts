import type { DrawableGraph } from '../../engine/engine.ts';

/** A box of the drawing: a module that is closed, one node, or an input or output of the graph. */
export interface Box {
  readonly id: string;
  readonly kind: 'module' | 'node' | 'input' | 'output';
  /** The last parts of its path, as many as tell. */
  readonly name: string;
  /** Path of the open module it lies in. */
  readonly inside: string;
  readonly nodes: readonly number[];
  readonly rank: number;
  readonly column: number;
}

export interface Layout {
  readonly boxes: readonly Box[];
  /** Pairs of indices into `boxes`. */
  readonly edges: readonly (readonly [number, number])[];
  readonly ranks: number;
  /** Boxes of the widest rank. */
  readonly columns: number;
}

/** The box a node is in while `open` modules are open: its shortest closed prefix, or itself. */
export function boxOf(path: string, open: ReadonlySet<string>): { readonly id: string; readonly isNode: boolean } {
  const parts = path.split('.');
  for (let depth = 1; depth < parts.length; depth++) {
    const prefix = parts.slice(0, depth).join('.');
    if (!open.has(prefix)) return { id: prefix, isNode: false };
  }
  return { id: path, isNode: true };
}

/** Modules opened at first: as deep as at most `most` boxes allow, the largest first. */
export function initiallyOpen(graph: DrawableGraph, most = 16): ReadonlySet<string> {
  const open = new Set<string>();
  for (;;) {
    const sizes = new Map<string, number>();
    for (const { path } of graph.nodes) {
      const { id, isNode } = boxOf(path, open);
      if (!isNode) sizes.set(id, (sizes.get(id) ?? 0) + 1);
    }
    const [largest] = [...sizes].sort((a, b) => b[1] - a[1]);
    // A lone large module says nothing; smaller ones stay closed.
    if (largest === undefined || largest[1] < graph.nodes.length / 6) return open;
    const next = new Set([...open, largest[0]]);
    if (countBoxes(graph, next) > most) return open;
    open.add(largest[0]);
  }
}

function countBoxes(graph: DrawableGraph, open: ReadonlySet<string>): number {
  return new Set(graph.nodes.map(({ path }) => boxOf(path, open).id)).size;
}

/** Places boxes in ranks by the longest way from an input, in the order of the file within a rank. */
export function layoutGraph(graph: DrawableGraph, open: ReadonlySet<string>): Layout {
  const groups = new Map<string, { nodes: number[]; isNode: boolean }>();
  const groupOfNode: string[] = [];
  graph.nodes.forEach(({ path }, index) => {
    const { id, isNode } = boxOf(path, open);
    groupOfNode.push(id);
    const group = groups.get(id);
    if (group === undefined) groups.set(id, { nodes: [index], isNode });
    else group.nodes.push(index);
  });
  const ids = [
    ...graph.inputs.map((name) => `\0in:${name}`),
    ...groups.keys(),
    ...graph.outputs.map(({ name }) => `\0out:${name}`),
  ];
  const place = new Map(ids.map((id, index) => [id, index]));
  const source = (from: number): number =>
    place.get(from < 0 ? `\0in:${graph.inputs[-1 - from]}` : groupOfNode[from]!)!;
  const edges = new Map<string, readonly [number, number]>();
  const connect = (from: number, to: number): void => {
    if (from !== to) edges.set(`${from} ${to}`, [from, to]);
  };
  graph.nodes.forEach(({ from }, index) => {
    for (const each of from) connect(source(each), place.get(groupOfNode[index]!)!);
  });
  graph.outputs.forEach(({ name, from }) => connect(source(from), place.get(`\0out:${name}`)!));
  // Modules may feed each other both ways; an edge against the order of the file is drawn, but ranks nothing.
  const ranks = new Int32Array(ids.length);
  const forward = [...edges.values()].filter(([from, to]) => from < to).sort((a, b) => a[1] - b[1] || a[0] - b[0]);
  for (const [from, to] of forward) ranks[to] = Math.max(ranks[to]!, ranks[from]! + 1);
  const used = new Map<number, number>();
  const boxes = ids.map((id, index): Box => {
    const rank = ranks[index]!;
    const column = used.get(rank) ?? 0;
    used.set(rank, column + 1);
    if (id.startsWith('\0')) {
      const input = id.startsWith('\0in:');
      return {
        id,
        kind: input ? 'input' : 'output',
        name: id.slice(input ? 4 : 5),
        inside: '',
        nodes: [],
        rank,
        column,
      };
    }
    const { nodes, isNode } = groups.get(id)!;
    const cut = id.lastIndexOf('.');
    return {
      id,
      kind: isNode ? 'node' : 'module',
      name: id.slice(cut + 1),
      inside: cut < 0 ? '' : id.slice(0, cut),
      nodes,
      rank,
      column,
    };
  });
  return {
    boxes,
    edges: [...edges.values()],
    ranks: Math.max(0, ...ranks) + 1,
    columns: Math.max(1, ...used.values()),
  };
}
