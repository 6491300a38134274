/** Words of interventions and tests of attention, in both languages. */
import type { Language } from './messages.ts';

type Words = Readonly<Record<Language, string>>;

const say = (en: string, zh: string): Words => ({ en, zh });

/** What a heat map shows, by command and analysis. */
const TITLES: Readonly<Record<string, Words>> = {
  'patch stream': say('Residual stream patched from the clean input', '用干净输入的残差流替换'),
  'patch heads': say('Heads patched from the clean input', '用干净输入的注意力头输出替换'),
  'patch pattern': say('Attention patterns patched from the clean input', '用干净输入的注意力权重替换'),
  'patch attention': say('Attention outputs patched from the clean input', '用干净输入的注意力层输出替换'),
  'patch mlp': say('MLP outputs patched from the clean input', '用干净输入的 MLP 输出替换'),
  'ablate heads': say('Answer without each head', '去掉每个注意力头后的回答'),
  'ablate layers': say('Answer without parts of each layer', '去掉各层组成部分后的回答'),
  'ablate edges': say('Answer without each edge of attention', '切断每条注意力连接后的回答'),
  'ablate uniform': say('Answer with uniform attention', '均匀注意力下的回答'),
  'ablate prune': say('Answer as heads are taken out', '逐个剪除注意力头时的回答'),
  'ablate lens': say('Logit lens: what each layer would answer', 'Logit lens：每一层会给出的回答'),
  'ablate direct': say('Direct logit attribution', '直接 logit 归因'),
  'ablate correlation': say('Attention against gradient and leave-one-out', '注意力与梯度、逐一剔除的比较'),
  'ablate adversarial': say('Adversarial attention', '对抗注意力'),
  'ablate erasure': say('Erasing the tokens attended to most', '删除最受关注的词元'),
};

const WORDS: Readonly<Record<string, Words>> = {
  layer: say('layer', '层'),
  head: say('head', '头'),
  position: say('position', '位置'),
  query: say('query', '查询'),
  key: say('key', '键'),
  component: say('component', '组成部分'),
  measure: say('measure', '指标'),
  removed: say('removed', '剔除'),
  ranking: say('ranking', '排序'),
  normalised: say('restored: 0 = corrupted, 1 = clean', '恢复程度：0 = 受损，1 = 干净'),
  difference: say('change of the target', '目标值的变化'),
  effect: say('effect', '影响'),
  uniform: say('change of the target, and of the distribution', '目标值与分布的变化'),
  value: say('target value', '目标值'),
  importance: say('importance |context × gradient|', '重要性 |上下文 × 梯度|'),
  probability: say('probability of the target', '目标概率'),
  logit: say('logit of the target', '目标 logit'),
  rank: say('rank of the target', '目标名次'),
  contribution: say('contribution to the target', '对目标的贡献'),
  agreement: say("Kendall's tau and Jensen-Shannon divergence", 'Kendall τ 与 Jensen-Shannon 散度'),
  'tau leave-one-out': say("Kendall's tau with leave-one-out", '与逐一剔除的 Kendall τ'),
  'tau gradient': say("Kendall's tau with the gradient", '与梯度的 Kendall τ'),
  'JS gradient': say('JS gradient', '与梯度的 JS'),
  'JS leave-one-out': say('JS leave-one-out', '与逐一剔除的 JS'),
  'total variation': say('total variation', '总变差'),
  score: say('score', '分数'),
  adversarial: say('adversarial attention', '对抗注意力'),
  model: say("the model's attention", '模型的注意力'),
  comprehensiveness: say('comprehensiveness (high: needed)', '完整性（高：必要）'),
  sufficiency: say('sufficiency (low: enough)', '充分性（低：足够）'),
  attention: say('attention', '注意力'),
  mlp: say('MLP', 'MLP'),
  embedding: say('embedding', '嵌入'),
  bias: say('bias', '偏置'),
  start: say('start', '起点'),
  end: say('end', '末端'),
  mean: say('mean', '平均'),
  all: say('all', '全部'),
  answer: say('answer', '回答'),
  gradient: say('gradient', '梯度'),
  random: say('random', '随机'),
  'leave-one-out': say('leave-one-out', '逐一剔除'),
  'least important first': say('least important first', '先剪最不重要的'),
  'most important first': say('most important first', '先剪最重要的'),
  sum: say('sum', '总和'),
  constant: say('constant', '常数'),
  gap: say('gap', '差距'),
  divergence: say('JS divergence', 'JS 散度'),
  largest: say('largest possible', '最大可能值'),
  'divergence of means': say('JS divergence of the means over heads', '各头平均后的 JS 散度'),
};

const PHRASES = {
  clean: say('clean', '干净输入'),
  corrupted: say('corrupted', '受损输入'),
  strongest: say('strongest', '最强的位置'),
  fullColour: say('full colour at', '满色对应'),
  raises: say('orange raises the target, blue lowers it', '橙色使目标升高，蓝色使目标降低'),
  restores: say(
    'orange brings the clean answer back, blue takes it further away',
    '橙色恢复干净输入的回答，蓝色使其更远',
  ),
  passes: say('passes through the model', '次模型运行'),
} as const;

export const measuredTitle = (command: string, analysis: string, language: Language): string =>
  TITLES[`${command} ${analysis}`]?.[language] ?? `${command} ${analysis}`;

/** A name of ours in the reader's language; anything else, a token or a number, as it is. */
export const measuredWord = (name: string, language: Language): string => WORDS[name]?.[language] ?? name;

export const measuredPhrase = (key: keyof typeof PHRASES, language: Language): string => PHRASES[key][language];
