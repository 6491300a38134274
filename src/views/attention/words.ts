import type { Language } from '../messages.ts';

/** What pictures of attention say. Arguments are already formatted. */
export interface AttentionWords {
  readonly title: (analysis: string) => string;
  readonly block: (layer: number, kind: string) => string;
  readonly head: (head: number | string) => string;
  readonly layer: string;
  readonly heads: string;
  readonly query: string;
  readonly key: string;
  readonly position: (at: number) => string;
  readonly kinds: Readonly<Record<'encoder' | 'decoder' | 'cross', string>>;
  readonly measures: Readonly<Record<string, string>>;
  readonly classes: Readonly<Record<string, string>>;
  readonly fullColour: (limit: string) => string;
  readonly signed: string;
  /** Beside every picture. */
  readonly caution: string;
  readonly owes: (token: string) => string;
  /** Of a token of a decoder. */
  readonly shares: (token: string, source: string, prefix: string) => string;
  readonly ownPlace: string;
  readonly plane: (percent: string) => string;
  readonly umap: string;
  readonly cluster: (number: number) => string;
  readonly hover: string;
  readonly chooseLayer: string;
  readonly chooseHead: string;
  readonly allHeads: string;
  readonly relation: string;
  readonly pairs: string;
  readonly found: string;
  readonly offset: string;
  readonly noSinks: string;
  readonly more: (count: number) => string;
  readonly most: string;
  readonly neuron: string;
  readonly product: string;
  readonly of: (target: string, output: string) => string;
}

const en: AttentionWords = {
  title: (analysis) => `Attention: ${analysis}`,
  block: (layer, kind) => `layer ${layer}, ${kind}`,
  head: (head) => `head ${head}`,
  layer: 'layer',
  heads: 'head',
  query: 'query: the token that looks',
  key: 'key: the token looked at',
  position: (at) => `position ${at}`,
  kinds: { encoder: 'encoder', decoder: 'decoder', cross: 'cross-attention' },
  measures: {
    probabilities: 'attention probability',
    entropy: 'entropy (nats)',
    distance: 'mean distance (tokens)',
    confidence: 'largest probability, mean over queries',
    masses: 'share of attention',
    received: 'attention received, mean over queries',
    sinks: 'attention received, mean over queries',
    top: 'attention probability',
    induction: 'attention probability',
    importance: '|change of the answer| to first order',
    gradients: 'gradient of the answer',
    'gradient-x-attention': 'gradient × attention',
    norms: 'length of the vector taken',
    effective: 'effective attention',
    rollout: 'share, by rollout',
    flow: 'share, by flow',
    alti: 'share, by ALTI',
    'alti-plus': 'share of the source, by ALTI+',
    globenc: 'share, by GlobEnc',
    chefer: 'relevance',
    cross: 'cross-attention, mean over layers',
    'transformer-attribution': 'relevance',
    neuron: 'attention probability',
    clusters: 'Jensen-Shannon distance',
    dependencies: 'relations of a treebank found by one head',
  },
  classes: {
    previous: 'previous token',
    next: 'next token',
    same: 'same token',
    first: 'first token',
    cls: '[CLS]',
    sep: '[SEP]',
    punctuation: 'punctuation',
    rare: 'rare tokens',
    induction: 'what followed the same token before',
    duplicate: 'the same token before',
  },
  fullColour: (limit) => `Full colour at ${limit}.`,
  signed: 'Orange is positive, blue negative.',
  caution:
    'Attention shows where a head looks, not why the model answers. It is not by itself an explanation: compare it with an attribution, and with what happens when the head is taken away.',
  owes: (token) => `What “${token}” at the end owes to each token at the start`,
  shares: (token, source, prefix) => `${token}: ${source} from the source, ${prefix} from the target’s prefix`,
  ownPlace: 'Its own place, where relevance starts at one, is left out of the colours.',
  plane: (percent) => `The plane holds ${percent} of the squared distances between heads.`,
  umap: 'Placed by UMAP: heads near each other are alike. Distances between groups, their size and density mean nothing, and another seed gives another picture.',
  cluster: (number) => `cluster ${number}`,
  hover: 'Point at a token on the left to see what it attends to, at one on the right to see what attends to it.',
  chooseLayer: 'Layer',
  chooseHead: 'Head',
  allHeads: 'mean of all',
  relation: 'relation',
  pairs: 'pairs',
  found: 'found by the best head',
  offset: 'by the best fixed offset',
  noSinks: 'No key receives more than the threshold.',
  more: (count) => `and ${count} more`,
  most: 'strongest keys',
  neuron: 'Query, keys, and their products element by element; their sum, scaled and masked, goes to the softmax.',
  product: 'query × key',
  of: (target, output) => `of “${target}” in ${output}`,
};

const zh: AttentionWords = {
  title: (analysis) => `注意力：${analysis}`,
  block: (layer, kind) => `第 ${layer} 层，${kind}`,
  head: (head) => `头 ${head}`,
  layer: '层',
  heads: '头',
  query: '查询：在看的词元',
  key: '键：被看的词元',
  position: (at) => `位置 ${at}`,
  kinds: { encoder: '编码器', decoder: '解码器', cross: '交叉注意力' },
  measures: {
    probabilities: '注意力概率',
    entropy: '熵（nat）',
    distance: '平均距离（词元）',
    confidence: '最大概率，对查询取平均',
    masses: '注意力份额',
    received: '收到的注意力，对查询取平均',
    sinks: '收到的注意力，对查询取平均',
    top: '注意力概率',
    induction: '注意力概率',
    importance: '答案的一阶变化（绝对值）',
    gradients: '答案的梯度',
    'gradient-x-attention': '梯度 × 注意力',
    norms: '所取向量的长度',
    effective: '有效注意力',
    rollout: '份额（rollout）',
    flow: '份额（flow）',
    alti: '份额（ALTI）',
    'alti-plus': '源端份额（ALTI+）',
    globenc: '份额（GlobEnc）',
    chefer: '相关性',
    cross: '交叉注意力（各层平均）',
    'transformer-attribution': '相关性',
    neuron: '注意力概率',
    clusters: 'Jensen-Shannon 距离',
    dependencies: '单个头找到的树库依存关系',
  },
  classes: {
    previous: '前一词元',
    next: '后一词元',
    same: '同一词元',
    first: '首词元',
    cls: '[CLS]',
    sep: '[SEP]',
    punctuation: '标点',
    rare: '罕见词元',
    induction: '此前同一词元之后的词元',
    duplicate: '此前的同一词元',
  },
  fullColour: (limit) => `颜色在 ${limit} 处最深。`,
  signed: '橙色为正，蓝色为负。',
  caution:
    '注意力显示某个头在看哪里，而不是模型为何如此回答。它本身不是解释：请与归因方法相比较，并看去掉该头后会发生什么。',
  owes: (token) => `末层的“${token}”有多少来自输入的每个词元`,
  shares: (token, source, prefix) => `${token}：源端 ${source}，目标端前缀 ${prefix}`,
  ownPlace: '它自身的位置（相关性从一开始）不着色。',
  plane: (percent) => `此平面保留了头间平方距离的 ${percent}。`,
  umap: '由 UMAP 排布：相近的头彼此相似。组间距离、组的大小和疏密没有意义，换一个种子会得到另一幅图。',
  cluster: (number) => `簇 ${number}`,
  hover: '指向左侧词元，看它关注什么；指向右侧词元，看谁关注它。',
  chooseLayer: '层',
  chooseHead: '头',
  allHeads: '全部平均',
  relation: '关系',
  pairs: '词对',
  found: '最佳头找到',
  offset: '最佳固定偏移找到',
  noSinks: '没有键收到超过阈值的注意力。',
  more: (count) => `另有 ${count} 个`,
  most: '最强的键',
  neuron: '查询、键及其逐元素乘积；其和经缩放与掩码后进入 softmax。',
  product: '查询 × 键',
  of: (target, output) => `${output} 中的“${target}”`,
};

export const ATTENTION_WORDS: Readonly<Record<Language, AttentionWords>> = { en, zh };
