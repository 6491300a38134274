/** Which layer a class activation map is drawn at: the one named, or the last map of positions on the way to the answer. */
import { UserError, inferGraph, isStatic, layerPath, listLayers, opsetOf, remembered } from '../../../onnx/index.ts';
import type { Facts, Model, Node, ValueName } from '../../../onnx/index.ts';
import { layerFeature, layoutsOf } from '../../../programs/index.ts';
import type { AttributionContext, Feature, Fold, Layout } from '../../../programs/index.ts';
import { neededPositions } from './needed.ts';
import { pictureOf } from './picture.ts';
import type { Picture } from './picture.ts';

/** A layer with the way to read it as channels over positions. */
export interface TargetLayer {
  readonly layer: Feature;
  readonly fold: Fold;
  readonly picture: Picture;
  /** Whether all that the output knows of the picture goes through the layer. */
  readonly cuts: boolean;
}

/** Tokens that stand before the patches: CLS, distillation, registers. */
const MOST_PREFIX_TOKENS = 16;
/** What gives a sequence of tokens that is worth drawing: sums and norms, not a head's part of it. */
const TOKEN_MAKERS = new Set(['Add', 'Sub', 'Mul', 'Div', 'LayerNormalization', 'BatchNormalization', 'Concat']);
/** What makes a map coarser, finer or larger without weights: the map before it says the same and more. */
const RESCALES = new Set(['MaxPool', 'AveragePool', 'LpPool', 'ReduceMean', 'Resize', 'Upsample', 'Pad', 'Identity']);
const WEIGHTED = new Set(['Conv', 'ConvTranspose', 'Gemm', 'MatMul', 'ConvInteger', 'MatMulInteger', 'QLinearConv']);
/** What takes a sequence apart into heads. */
const TAKES_APART = new Set(['Reshape', 'Split', 'Slice', 'Shape', 'Transpose']);

/**
 * The layer a map is drawn at. Where none is named: the last map of more than one position that the explained output is
 * computed from; of an output that has positions itself (segmentation, detection), the last of the coarsest maps. Of
 * a sequence of tokens only those count whose patches the answer still depends on: after the last attention only the CLS
 * token matters, so there it is the norm before it.
 * Throws a UserError when there is no such layer, or the one named has no positions.
 */
export function targetLayer(context: AttributionContext, method: string): TargetLayer {
  const picture = pictureOf(context, method);
  const key = JSON.stringify([picture, context.output, context.layer]);
  return { ...places(context.model(), key, () => findPlace(context, picture, method)), picture };
}

type Place = Omit<TargetLayer, 'picture'>;

/** It takes as long as half a forward pass to find, and is the same for every picture of a size. */
const places = remembered<Place>();

function findPlace(context: AttributionContext, picture: Picture, method: string): Place {
  const model = context.model();
  const facts = inferGraph(model.graph, opsetOf(model));
  const layouts = layoutsOf(model, facts, picture.feature.input, picture.layout);
  const foldOf = (value: ValueName) => foldValue(facts.get(value), layouts.get(value), picture);
  const cuts = (value: ValueName) => nodesBetween(model, picture.feature.input, context.output, value).length === 0;
  if (context.layer !== undefined) {
    const fold = foldOf(context.layer.value);
    if (fold === undefined)
      throw new UserError(
        `layer "${context.layer.input}" is ${shapeOf(facts.get(context.layer.value))}, not a map of channels over positions; leave --layer out for the last one that is`,
      );
    return { layer: context.layer, fold, cuts: cuts(context.layer.value) };
  }
  const found = lastMap(context, model, facts, foldOf, picture);
  if (found === undefined)
    throw new UserError(
      `${method} found no map of positions between "${picture.feature.input}" and "${context.output}"; name a layer with --layer`,
    );
  return { ...found, cuts: cuts(found.layer.value) };
}

function lastMap(
  { output }: AttributionContext,
  model: Model,
  facts: ReadonlyMap<ValueName, Facts>,
  foldOf: (value: ValueName) => Fold | undefined,
  picture: Picture,
): Omit<Place, 'cuts'> | undefined {
  const onWay = nodesBetween(model, picture.feature.input, output);
  const needed = neededPositions(model, facts, output);
  const readers = readersOf(model);
  const learned = learnedBehind(model, onWay);
  const candidates = onWay.toReversed().flatMap((node) => {
    const value = node.outputs[0]!;
    const fold = value === output || RESCALES.has(node.operator) ? undefined : foldOf(value);
    if (fold === undefined || fold.height * fold.width < 2) return [];
    if (fold.kind === 'tokens') {
      const apart = (readers.get(value) ?? []).every(({ operator }) => TAKES_APART.has(operator));
      if (!TOKEN_MAKERS.has(node.operator) || needed.get(value) !== 'all' || apart) return [];
    }
    return [{ node, value, fold }];
  });
  // A map that no weights follow is the answer itself, or boxes being put together.
  const trunk = sharedTrunk(onWay, output, model);
  const weighed = candidates.filter(({ value }) => learned.has(value));
  const shared = weighed.filter(({ value }) => trunk.has(value));
  const before = shared.length > 0 ? shared : weighed;
  const usable = before.length > 0 ? before : candidates;
  const dense = (facts.get(output)?.dims?.length ?? 0) > 2;
  const size = ({ fold }: { readonly fold: Fold }) => fold.height * fold.width;
  const large = usable.filter((each) => size(each) >= 16);
  const coarsest = Math.min(...(large.length > 0 ? large : usable).map(size));
  const chosen = dense ? usable.find((each) => size(each) === coarsest) : usable[0];
  if (chosen === undefined) return undefined;
  const path = listLayers(model).find((each) => each.output === chosen.value)?.path ?? layerPath(chosen.node);
  return { layer: layerFeature(path, chosen.value), fold: chosen.fold };
}

/** How a value of these facts is read as channels over positions; undefined where it cannot be. */
function foldValue(facts: Facts | undefined, layout: Layout, picture: Picture): Fold | undefined {
  const dims = facts?.dims;
  if (!isStatic(dims) || dims[0] !== 1) return undefined;
  if (dims.length === 4) {
    if (layout === 'first')
      return { kind: 'channels-first', channels: dims[1]!, height: dims[2]!, width: dims[3]!, skip: 0 };
    if (layout === 'last')
      return { kind: 'channels-last', channels: dims[3]!, height: dims[1]!, width: dims[2]!, skip: 0 };
    return undefined;
  }
  return dims.length === 3 ? foldTokens(dims[1]!, dims[2]!, picture) : undefined;
}

/** Tokens as a grid of the picture's proportions: what whole patch size leaves the fewest tokens over. */
export function foldTokens(tokens: number, channels: number, picture: Picture): Fold | undefined {
  let best: Fold | undefined;
  for (let patch = 1; patch <= Math.min(picture.height, picture.width); patch++) {
    const [height, width] = [Math.floor(picture.height / patch), Math.floor(picture.width / patch)];
    const skip = tokens - height * width;
    if (skip < 0 || skip > MOST_PREFIX_TOKENS || height * width < 4) continue;
    if (best === undefined || skip < best.skip) best = { kind: 'tokens', channels, height, width, skip };
  }
  return best;
}

/** Nodes that depend on one value and that another depends on, in order; not through `without`. */
export function nodesBetween({ graph }: Model, from: ValueName, to: ValueName, without?: ValueName): Node[] {
  const after = new Set([from]);
  const dependent = graph.nodes.filter((node) => {
    if (!node.inputs.some((name) => after.has(name)) || (without !== undefined && node.outputs.includes(without)))
      return false;
    for (const name of node.outputs) after.add(name);
    return true;
  });
  const before = new Set([to]);
  return dependent
    .toReversed()
    .filter((node) => {
      if (!node.outputs.some((name) => before.has(name))) return false;
      for (const name of node.inputs) before.add(name);
      return true;
    })
    .toReversed();
}

/** Values behind which, on the way, stands a layer with weights. */
function learnedBehind({ graph }: Model, onWay: readonly Node[]): ReadonlySet<ValueName> {
  const learned = new Set<ValueName>();
  for (const node of onWay.toReversed()) {
    const weighted = WEIGHTED.has(node.operator) && node.inputs.slice(1).some((name) => graph.initializers.has(name));
    if (weighted || node.outputs.some((name) => learned.has(name))) for (const name of node.inputs) learned.add(name);
  }
  return learned;
}

/** Values that all heads have in common: a detector answers for each scale by a head of its own. */
function sharedTrunk(onWay: readonly Node[], output: ValueName, { graph }: Model): ReadonlySet<ValueName> {
  const producers = new Map(onWay.flatMap((node) => node.outputs.map((name) => [name, node] as const)));
  const heads: Node[] = [];
  const waiting = [output];
  const seen = new Set(waiting);
  while (waiting.length > 0) {
    const node = producers.get(waiting.pop()!);
    if (node === undefined) continue;
    if (WEIGHTED.has(node.operator) && node.inputs.slice(1).some((name) => graph.initializers.has(name)))
      heads.push(node);
    else
      for (const name of node.inputs)
        if (!seen.has(name)) {
          seen.add(name);
          waiting.push(name);
        }
  }
  const sets = heads.map((head) => {
    const needed = new Set(head.inputs);
    for (const node of onWay.toReversed())
      if (node.outputs.some((name) => needed.has(name))) for (const name of node.inputs) needed.add(name);
    return needed;
  });
  return new Set([...(sets[0] ?? [])].filter((name) => sets.every((each) => each.has(name))));
}

function readersOf({ graph }: Model): ReadonlyMap<ValueName, readonly Node[]> {
  const readers = new Map<ValueName, Node[]>();
  for (const node of graph.nodes)
    for (const name of node.inputs) readers.set(name, [...(readers.get(name) ?? []), node]);
  return readers;
}

const shapeOf = (facts: Facts | undefined) =>
  facts?.dims === undefined ? 'of unknown shape' : `[${facts.dims.map((dim) => dim ?? '?').join(', ')}]`;
