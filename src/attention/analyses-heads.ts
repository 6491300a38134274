/** Analyses that compare heads: their induction scores, their likeness, what relations between words they find. */
import { UserError } from '../onnx/index.ts';
import { blockResult, chosen, defineAnalysis, measured } from './analysis.ts';
import { HEAD_MAPS, headClusters } from './clusters.ts';
import { dependencyHeads } from './dependencies.ts';
import { inductionScores } from './induction.ts';
import { readTreebank } from './treebank.ts';

export const induction = defineAnalysis({
  name: 'induction',
  summary: 'attention to what followed the same token before, on random tokens repeated once (Olsson et al. 2022)',
  options: {
    length: { kind: 'integer', default: 25, min: 2, help: 'random tokens before they repeat' },
    samples: { kind: 'integer', default: 4, min: 1, help: 'sequences to average over' },
  },
  needs: 'nothing',
  scope: 'heads',
  async run(context, { length, samples }) {
    const found = await inductionScores(context.host, { ...chosen(context), length, samples, seed: context.seed });
    return {
      blocks: found.map(({ block, induction: next, duplicate }) => {
        const [heads] = [next.dims[1]!];
        const data = new Float32Array(2 * heads);
        for (let head = 0; head < heads; head++) data.set([next.data[head]!, duplicate.data[head]!], 2 * head);
        const scores = { dims: [1, heads, 2], data };
        return blockResult(block, context, {
          queries: 2 * length,
          keys: 2 * length,
          measure: measured(scores, ['batch', 'head', 'class'], ['induction', 'duplicate']),
        });
      }),
    };
  },
});

export const clusters = defineAnalysis({
  name: 'clusters',
  summary:
    'heads on a plane and in clusters, by the Jensen-Shannon distance of what they attend to (Clark et al. 2019)',
  options: {
    clusters: { kind: 'integer', default: 4, min: 1, help: 'how many' },
    queries: { kind: 'integer', default: 32, min: 1, help: 'queries to compare at most' },
    map: { kind: 'choice', default: 'mds', choices: HEAD_MAPS, help: 'classical scaling, or UMAP' },
  },
  needs: 'input',
  scope: 'blocks',
  async run(context, { clusters: count, queries, map }) {
    const { blocks, signal } = chosen(context);
    const found = await headClusters(context.host, context.tensors, {
      clusters: count,
      queries,
      map,
      seed: context.seed,
      ...(blocks === undefined ? {} : { blocks }),
      ...(signal === undefined ? {} : { signal }),
    });
    const compared = [...new Map(found.heads.map(({ block }) => [block.index, block])).values()];
    return {
      blocks: compared.map((block) => blockResult(block, context, { queries: found.queries.length, keys: found.keys })),
      places: found.heads.map(({ block, ...place }) => ({ block: block.index, layer: block.layer, ...place })),
      distances: measured(found.distances, ['head', 'head']),
      ...(found.explained === undefined ? {} : { explained: found.explained }),
      rows: found.queries,
    };
  },
});

export const dependencies = defineAnalysis({
  name: 'dependencies',
  summary: 'the best head per dependency relation of a treebank, beside the best fixed offset (Clark et al. 2019)',
  options: {
    treebank: { kind: 'text', default: '', help: 'a file in CoNLL-U' },
    minimum: { kind: 'integer', default: 5, min: 1, help: 'relations with fewer pairs are left out' },
  },
  needs: 'nothing',
  scope: 'model',
  async run(context, { treebank, minimum }) {
    if (treebank === '') throw new UserError('dependencies needs a treebank in CoNLL-U: --option treebank=FILE');
    const sentences = readTreebank(context.read(treebank), treebank);
    const { signal, onProgress } = context;
    const found = await dependencyHeads(context.host, sentences, (text) => context.encode(text), {
      minimum,
      ...(signal === undefined ? {} : { signal }),
      ...(onProgress === undefined ? {} : { onProgress }),
    });
    return {
      blocks: [],
      relations: found.map(({ block, ...rest }) => ({ ...rest, block: block.index, layer: block.layer })),
      warnings: ['The best head of a relation is chosen on the words it is scored on, and so is the fixed offset.'],
    };
  },
});
