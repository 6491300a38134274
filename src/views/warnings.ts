/** A result's warnings in the reader's language. They are written as English sentences, with numbers in them. */
import type { Language } from './messages.ts';
import { translated } from './translated.ts';
import type { Translations } from './translated.ts';

const CHINESE: Translations = [
  [
    /^the scores do not add up: (.+) of the change of the answer are missing; of steps where the gradient is zero the change is lost$/,
    '得分之和少了答案变化的 $1：梯度为零的步骤，其变化无法分配',
  ],
  [
    /^the scores do not add up: (.+) of the change of the answer are missing; a second derivative .*$/,
    '得分之和少了答案变化的 $1：ReLU 的折点处没有二阶导数，或步数太少',
  ],
  [
    /^(\d+) of the (\d+) baselines were drawn: n_samples=\d+ takes all of them$/,
    '$2 个基线中抽取了 $1 个：n_samples=$2 会使用全部',
  ],
  [
    /^the scores of single features still change by (.+) even after (\d+) steps$/,
    '即使用了 $2 步，单个特征的分数仍在变化（$1）',
  ],
  [
    /^the scores do not add up to the answer within (.+) even after (\d+) steps$/,
    '用了 $2 步，得分之和与答案的差仍超过 $1',
  ],
  [/^the linear model explains only (.+) of the answers around this input$/, '线性模型只能解释该输入附近答案的 $1'],
  [
    /^fits on other samples agree only to (.+): take more samples or fewer parts$/,
    '换一批样本拟合，结果只有 $1 一致：请增加样本或减少部分',
  ],
  [
    /^(\d+) samples do not settle the scores of (\d+) parts: take at least (\d+), or fewer parts$/,
    '$1 个样本不足以确定 $2 个部分的得分：请至少取 $3 个样本，或减少部分',
  ],
  [
    /^the model does not read the last (\d+) tokens: the text is longer than it takes$/,
    '文本过长，模型没有读取最后 $1 个词元',
  ],
  [
    /^all scores are zero: .*$/,
    '所有得分都为零：答案在此处对输入没有反应，例如 softmax 或 sigmoid 已饱和；请解释它之前的值，或换一个目标或基线',
  ],
  [
    /^No preprocessor_config\.json: the picture was resized to (\S+) and normalised .*$/,
    '没有 preprocessor_config.json：图片被缩放到 $1，并按 ImageNet 的均值和标准差归一化，可能与模型训练时不同',
  ],
  [
    /^(.+) is not for cross-attention, whose keys are of another sequence: those blocks have none$/,
    '$1 不适用于交叉注意力，因为它的键来自另一个序列：这些块没有该值',
  ],
  [
    /^(\d+) queries are masked from every key: they attend to nothing, and have no entropy$/,
    '有 $1 个查询的所有键都被屏蔽：它们不关注任何位置，没有熵',
  ],
  [
    /^The best head of a relation is chosen on the words it is scored on, and so is the fixed offset\.$/,
    '每种关系的最佳头是在用来评分的同一批词上选出的，固定偏移也是如此。',
  ],
  [
    /^(\d+) fused kernels of this model \((.+)\) cannot be opened: their attention is not shown\.$/,
    '该模型有 $1 个融合算子（$2）无法打开：它们的注意力没有显示。',
  ],
  [
    /^both inputs get the same answer: there is nothing to restore, so nothing is normalised$/,
    '两个输入得到相同的答案：没有可恢复的差异，因此没有归一化',
  ],
  [
    /^only (\d+) positions can be taken out: most shares are one position$/,
    '只有 $1 个位置可以去掉：多数比例都只对应一个位置',
  ],
  [
    /^the answer is read from several positions: attention is averaged over all queries$/,
    '答案取自多个位置：注意力对所有查询取平均',
  ],
  [
    /^no start kept the answer within (.+): the model's own attention is shown$/,
    '没有一次尝试能把答案保持在 $1 以内：显示的是模型自己的注意力',
  ],
  [
    /^Nothing was found that excites (.+) more than noise: try another seed\.$/,
    '没有找到比噪声更能激发 $1 的图像：请换一个种子。',
  ],
  [/^(\d+) pictures were left out, the first since (.*)\.$/, '有 $1 幅图像被略过，第一幅的原因：$2。'],
  [/^do_pad of preprocessor_config\.json is left aside\.$/, 'preprocessor_config.json 中的 do_pad 未被采用'],
  [/^(\S+) does not take this model, which runs on the CPU instead: (.*)$/, '$1 不支持此模型，改用 CPU 运行：$2'],
  [/^(.+): the model runs on the CPU instead$/, '$1：改用 CPU 运行'],
];

/** The warning, and the language it is then in: English where there is no translation. */
export function warningText(text: string, language: Language): { readonly text: string; readonly language: Language } {
  return translated(text, language, CHINESE);
}
