import type { ImageView } from './image-drawing.ts';
import type { KnownMethod, Unit } from './method.ts';

export type Language = 'en' | 'zh';
export const LANGUAGES: readonly Language[] = ['en', 'zh'];
/** For `lang` attributes. */
export const LANGUAGE_TAGS: Readonly<Record<Language, string>> = { en: 'en', zh: 'zh-CN' };

/** Every word the views say. A key missing in one language does not compile. Arguments are already formatted. */
export interface Messages {
  readonly supports: (target: string) => string;
  readonly opposes: (target: string) => string;
  readonly weak: string;
  readonly strong: string;
  readonly legendSigned: (target: string) => string;
  readonly legendUnsigned: string;
  readonly units: Readonly<Record<Unit, (output: string) => string>>;
  readonly limitLargest: (limit: string) => string;
  readonly limitPercentile: (limit: string, percentile: number) => string;
  readonly invalid: (count: number) => string;
  readonly methods: Readonly<Record<KnownMethod, string>>;
  readonly token: string;
  readonly word: string;
  readonly feature: string;
  readonly region: string;
  readonly score: string;
  readonly specialToken: string;
  readonly truncated: (count: number) => string;
  readonly specialShare: (percent: string) => string;
  readonly specialBeyond: string;
  readonly others: (count: number, by: 'token' | 'word' | 'feature') => string;
  readonly topOf: (shown: number, all: number, by: 'token' | 'word' | 'feature') => string;
  readonly picture: string;
  readonly views: Readonly<Record<ImageView, string>>;
  readonly heatMap: string;
  /** Below a sheet of several pictures: what its colours mean. */
  readonly sheet: {
    readonly signed: string;
    readonly unsigned: string;
    readonly limit: string;
    readonly limitBelow: string;
    readonly shared: string;
    readonly outlined: string;
    readonly lines: string;
    readonly kept: string;
  };
  readonly curves: {
    readonly deletion: string;
    readonly insertion: string;
    readonly area: string;
    readonly share: string;
    readonly shown: string;
    readonly better: string;
    readonly flaw: string;
  };
  readonly smoothed: (sigma: string) => string;
  readonly notSmoothed: string;
  readonly modelRead: string;
  readonly input: string;
  readonly prediction: string;
  readonly answers: string;
  readonly probability: string;
  readonly value: string;
  readonly valueOf: (output: string, target: string) => string;
  readonly baselineValue: string;
  readonly sum: string;
  readonly gap: string;
  readonly completeness: (percent: string) => string;
  readonly conservation: (percent: string) => string;
  readonly notConserved: (sum: string, answer: string) => string;
  readonly completenessNoChange: string;
  readonly largeGap: (percent: string) => string;
  readonly noPromise: string;
  readonly passes: string;
  readonly time: string;
  readonly relativeToBaseline: (baseline: string) => string;
  readonly gradientBaseline: string;
  readonly warnings: string;
  readonly altOriginal: (name: string) => string;
  readonly altOverlay: (method: string, target: string) => string;
  readonly altBars: (method: string, target: string) => string;
  readonly reportTitle: string;
  readonly reportLede: string;
  readonly howToRead: string;
  readonly readColours: string;
  readonly readTrust: string;
  readonly models: string;
  readonly inputs: string;
  readonly licence: string;
  readonly sha256: string;
  readonly made: (date: string) => string;
  readonly command: string;
  readonly computedWith: string;
  readonly threads: (count: number) => string;
  readonly languageSwitch: string;
  readonly otherInputs: string;
  readonly skipToContent: string;
  readonly wholeText: (characters: number) => string;
}

const en: Messages = {
  supports: (target) => `supports “${target}”`,
  opposes: (target) => `opposes “${target}”`,
  weak: 'no influence',
  strong: 'strong influence',
  legendSigned: (target) => `Orange supports “${target}”, blue opposes it.`,
  legendUnsigned: 'Stronger purple means more influence, for or against.',
  units: {
    contribution: (output) => `contribution to ${output}`,
    sensitivity: (output) => `|change of ${output}| per unit of input`,
    score: () => 'score',
  },
  limitLargest: (limit) => `Full colour at ${limit}, the largest |score|.`,
  limitPercentile: (limit, percentile) =>
    `Full colour from ${limit}, the ${percentile}th percentile of |score|; larger ones look the same.`,
  invalid: (count) => `${count} scores are not numbers and are drawn grey.`,
  methods: {
    saliency: 'How strongly the answer reacts to a tiny change at each place. It has no sign.',
    'input-x-gradient':
      'The input times the gradient: what each place adds to the answer if the model were linear around this input.',
    'integrated-gradients':
      'Gradients averaged on the straight way from the baseline to the input: shares out the whole change of the answer.',
    'guided-backprop':
      'The gradient with only positive signals let through each ReLU. Sharp, but it hardly depends on the answer asked about.',
    deconvnet: 'What a deconvolutional network projects back from the answer; ReLUs act on the signal going backwards.',
    'deep-lift':
      'Each place’s difference from the baseline, carried through the model by multipliers: shares out the whole change of the answer.',
    'deep-lift-reveal-cancel':
      'As deep-lift, with what speaks for and against kept apart, so that parts which cancel each other are seen.',
    'deep-lift-shap':
      'DeepLIFT averaged over several baselines, an estimate of each place’s fair share of the change of the answer.',
    'lrp-0': 'The answer handed back layer by layer, to each part in proportion to what it contributed.',
    'lrp-epsilon':
      'The answer handed back layer by layer in proportion to contributions; weak and contradictory ones are absorbed.',
    'lrp-gamma': 'The answer handed back layer by layer, with what speaks for it favoured.',
    'lrp-alpha1-beta0': 'The answer handed back layer by layer, to positive contributions only.',
    'lrp-alpha2-beta1':
      'The answer handed back layer by layer: positive contributions count twice, negative ones against them.',
    'lrp-z-plus': 'The answer handed back layer by layer, to positive contributions only.',
    'lrp-w-square': 'The answer handed back layer by layer by squared weights, whatever the input was.',
    'lrp-flat': 'The answer handed back layer by layer in equal shares: shows where the model looks, not what it sees.',
    'lrp-zb':
      'The answer handed back layer by layer in proportion to contributions; the first layer knows the bounds of the input.',
    'lrp-epsilon-plus':
      'The answer handed back: through linear layers in proportion, through convolutions to positive contributions only.',
    'lrp-epsilon-gamma-box':
      'The answer handed back: through linear layers in proportion, through convolutions favouring what speaks for it, into the input by its bounds.',
    'lrp-epsilon-plus-flat':
      'The answer handed back: through linear layers in proportion, through convolutions to positive contributions, into the input in equal shares.',
    'lrp-epsilon-alpha2-beta1':
      'The answer handed back: through linear layers in proportion, through convolutions twice to what speaks for it, less what speaks against it.',
    'lrp-epsilon-alpha2-beta1-flat':
      'The answer handed back: through linear layers in proportion, through convolutions twice to what speaks for it, less what speaks against it, into the input in equal shares.',
    'first-derivative-saliency':
      'How strongly the answer reacts to each dimension of each token’s embedding: a row for each token.',
    'variance-saliency':
      'How far each dimension of each token’s embedding is from the mean of the text; the answer plays no part.',
    composition: 'The units of the layer when the text is there up to each token, and later tokens are the baseline’s.',
    'attn-lrp':
      'The answer handed back through the transformer, with rules of their own for attention, norms and gates.',
    'cp-lrp': 'The answer handed back through the transformer with attention weights held constant.',
    'smooth-grad': 'How strongly the answer reacts to each place, averaged over noisy copies of the input.',
    'smooth-grad-squared':
      'The squared reaction of the answer to each place, averaged over noisy copies of the input. It has no sign.',
    'var-grad': 'How much the answer’s reaction to each place varies over noisy copies of the input. It has no sign.',
    'expected-gradients':
      'Gradients averaged at random points between baselines and the input: shares out the change of the answer, up to sampling error.',
    idgi: 'Each step’s change of the answer on the way from the baseline, shared by squared gradients.',
    'internal-influence': 'The gradient at a layer, averaged on the way from the baseline to the input.',
    'layer-conductance': 'How much of the change of the answer flows through each element of a layer.',
    'neuron-conductance': 'Each input’s part in what flows to the answer through one element of a layer.',
    occlusion: 'How much the answer drops when a window that slides over the input is replaced by the baseline.',
    'feature-ablation': 'How much the answer drops when each part alone is replaced by the baseline.',
    'leave-one-out': 'How much the answer drops when each token or number alone is replaced by the baseline.',
    'feature-permutation': 'How much the answer drops on average when a part takes its values from other samples.',
    'shapley-sampling':
      'Each part’s fair share of the change of the answer, estimated from random orders in which parts come in.',
    'exact-shapley': 'Each part’s fair share of the change of the answer, from all combinations of parts.',
    lime: 'A linear model fitted to the answers when random parts of the input are taken away: what each part adds nearby.',
    'kernel-shap':
      'Each part’s fair share of the change of the answer, by a weighted linear fit to sampled combinations of parts.',
    'permutation-shap':
      'Each part’s fair share of the change of the answer, from random orders walked forwards and backwards.',
    'partition-shap': 'The change of the answer shared between the halves of the input, then their halves, and so on.',
    'blur-ig': 'Gradients averaged while the picture goes from blurred to sharp: shares out the change of the answer.',
    'guided-ig':
      'Gradients averaged on a way from the baseline that moves first what matters least: shares out the change of the answer.',
    'integrated-hessians': 'How much each pair of places contributes together to the change of the answer.',
    rise: 'The mean answer over random masks that keep each place.',
    'meaningful-perturbation': 'The smallest smooth mask that takes the answer away: how far each place had to go.',
    'discretized-ig':
      'Gradients averaged on a way from the baseline along the embeddings of real words: shares out the change of the answer.',
    cam: 'The channels of the last layer, weighted as the answer’s linear layer weighs their means: what each place adds to the answer.',
    'grad-cam': 'Channels of a layer weighted by their mean gradient: where the layer speaks for the answer.',
    'grad-cam-plus-plus': 'Grad-CAM with weights made for several objects of one class.',
    'xgrad-cam': 'Grad-CAM with each gradient weighted by its share of the channel’s activation.',
    'layer-cam': 'A layer’s activations times their own positive gradients.',
    'hires-cam': 'A layer’s activations times the gradient at each place: faithful where one linear layer follows.',
    'score-cam': 'Channels of a layer weighted by the answer to the picture seen through them.',
    'ablation-cam': 'Channels of a layer weighted by how much the answer drops without them.',
    'eigen-cam': 'The strongest pattern in a layer’s channels, whatever the answer.',
    'eigen-grad-cam': 'The strongest pattern in a layer’s activations times gradients.',
    'kpca-cam': 'The strongest pattern in a layer by kernel PCA, whatever the answer.',
    'full-grad':
      'Gradients times inputs and biases of all layers, each scaled from 0 to 1 and added up over the picture.',
    'guided-grad-cam':
      'Guided backprop where Grad-CAM is high: fine detail that hardly depends on the answer asked about.',
    'finer-cam': 'Grad-CAM of what sets the answer apart from the classes most like it.',
    'shapley-cam': 'Grad-CAM with the second derivative in its weights: channels’ fair shares, approximately.',
    'seg-xres-cam': 'Grad-CAM with gradients averaged over windows of the layer: where a region gets its class from.',
    'd-rise': 'How well the detector finds the same box again under random masks that keep each place.',
    rollout: 'Where attention could have carried something from, through all layers, whatever the answer.',
    chefer: 'Attention that speaks for the answer, added up through the layers.',
    legrad: 'How much each layer’s own answer grows with attention to each place, averaged over layers.',
  },
  token: 'token',
  word: 'word',
  feature: 'feature',
  region: 'region',
  score: 'score',
  specialToken: 'special token',
  truncated: (count) =>
    count === 1
      ? 'The text was longer than the model reads: 1 token was cut off.'
      : `The text was longer than the model reads: ${count} tokens were cut off.`,
  specialBeyond: 'Special tokens beyond it are drawn in full colour.',
  specialShare: (percent) => `Special tokens hold ${percent} of the total |score|.`,
  others: (count, by) => (count === 1 ? `1 other ${by}` : `${count} other ${by}s`),
  topOf: (shown, all, by) => `The ${shown} strongest of ${all} ${by}s.`,
  picture: 'picture',
  views: {
    overlay: 'overlay',
    contour: 'contours at 1/4, 1/2 and 3/4 of the limit',
    masked: 'what is left of the picture',
    'side-by-side': 'picture and overlay',
  },
  heatMap: 'scores alone',
  sheet: {
    signed: 'Orange supports the answer named below each picture, blue opposes it.',
    unsigned: 'Purple is how much a place matters for the answer named below each picture; it has no sign.',
    limit: 'limit',
    limitBelow: 'The limit, where colours are full, stands below each picture (≤).',
    shared: 'Methods of one unit have one scale for each picture.',
    outlined: 'The model sees what is outlined.',
    lines: 'Lines where |score| passes 1/4, 1/2 and 3/4 of the limit; stronger lines are higher.',
    kept: 'Seen in full where the score reaches the limit, grey where it is 0 or against the answer.',
  },
  curves: {
    deletion: 'Deletion',
    insertion: 'Insertion',
    area: 'area below the curve',
    share: 'share of pixels',
    shown:
      'Above: what the model sees as the pixels with the highest scores are deleted from the picture, or inserted where it was blurred.',
    better: 'Scores point at what matters where the deletion falls early and the insertion rises early.',
    flaw: 'Pictures with holes are like none the model was trained on.',
  },
  smoothed: (sigma) => `Smoothed for display only (Gaussian, σ = ${sigma} px of the model’s input).`,
  notSmoothed: 'Not smoothed.',
  modelRead: 'The outlined part is what the model saw.',
  input: 'Input',
  prediction: 'Prediction',
  answers: 'The model’s best answers',
  probability: 'probability',
  value: 'Answer',
  valueOf: (output, target) => `${output} of “${target}”`,
  baselineValue: 'Answer for the baseline',
  sum: 'Sum of scores',
  gap: 'Gap',
  completeness: (percent) => `The scores add up to the change of the answer within ${percent}.`,
  conservation: (percent) => `The scores add up to the answer itself within ${percent}.`,
  notConserved: (sum, answer) =>
    `The scores add up to ${sum}, not to the answer, ${answer}: the rest went to biases and what the method leaves out.`,
  completenessNoChange: 'The answer is the same for input and baseline, so there is no change to share out.',
  largeGap: (percent) =>
    `The gap is large: the scores miss ${percent} of the change of the answer. More steps may close it.`,
  noPromise: 'This method does not promise that its scores add up to the answer.',
  passes: 'Rows through the model',
  time: 'Time',
  relativeToBaseline: (baseline) =>
    `Attribution is relative to the baseline “${baseline}”: another baseline asks another question.`,
  gradientBaseline:
    'A gradient sees only the surroundings of this input: where the answer is saturated, it can be near zero for a part that matters.',
  warnings: 'Before you trust this',
  altOriginal: (name) => `The input picture: ${name}`,
  altOverlay: (method, target) =>
    `Where the picture speaks for or against “${target}”, by ${method}, drawn over the picture`,
  altBars: (method, target) => `Bar chart of the strongest scores for “${target}”, by ${method}`,
  reportTitle: 'Why the models answered as they did',
  reportLede:
    'Each explanation here was compiled into the model’s own ONNX graph and ran at the speed of onnxruntime. Every picture carries the numbers to judge it by.',
  howToRead: 'How to read this',
  readColours:
    'Orange speaks for the answer, blue against it; purple is influence without a direction. Colour strength is comparable within one picture, not between pictures: each legend states its own limit.',
  readTrust:
    'An explanation is a claim about the model, not about the world. Look at the gap and at the notes beside each picture before you believe it, and compare methods: where they disagree, none of them should be trusted alone.',
  models: 'Models',
  inputs: 'Inputs',
  licence: 'Licence',
  sha256: 'SHA-256',
  made: (date) => `Made on ${date}`,
  command: 'Command',
  computedWith: 'Computed with',
  threads: (count) => (count === 1 ? '1 thread' : `${count} threads`),
  languageSwitch: 'Language',
  otherInputs: 'In this report',
  skipToContent: 'Skip to the explanations',
  wholeText: (characters) => `The whole text (${characters} characters)`,
};

const zhBy = { token: '词元', word: '词', feature: '特征' } as const;

const zh: Messages = {
  supports: (target) => `支持“${target}”`,
  opposes: (target) => `反对“${target}”`,
  weak: '无影响',
  strong: '影响强',
  legendSigned: (target) => `橙色支持“${target}”，蓝色反对。`,
  legendUnsigned: '紫色越深影响越大，不分支持或反对。',
  units: {
    contribution: (output) => `对 ${output} 的贡献`,
    sensitivity: (output) => `输入变化一个单位时 |${output} 的变化|`,
    score: () => '得分',
  },
  limitLargest: (limit) => `颜色在 ${limit} 处最深，即最大的 |得分|。`,
  limitPercentile: (limit, percentile) =>
    `颜色自 ${limit} 起最深，即 |得分| 的第 ${percentile} 百分位；更大的得分颜色相同。`,
  invalid: (count) => `${count} 个得分不是有效数字，以灰色表示。`,
  methods: {
    saliency: '每一处发生微小变化时，答案的反应有多强。没有正负号。',
    'input-x-gradient': '输入乘以梯度：若模型在此输入附近是线性的，每一处为答案贡献多少。',
    'integrated-gradients': '从基线到输入的直线上对梯度取平均：把答案的全部变化分摊到每一处。',
    'guided-backprop': '每个 ReLU 只放行正信号的梯度。图像清晰，但几乎不随所问的答案而变。',
    deconvnet: '反卷积网络从答案投影回来的信号；ReLU 作用于反向信号。',
    'deep-lift': '每一处与基线之差，经乘数穿过模型：把答案的全部变化分摊到每一处。',
    'deep-lift-reveal-cancel': '同 deep-lift，但正负贡献分开计算，相互抵消的部分也能看到。',
    'deep-lift-shap': '对多个基线平均的 DeepLIFT，估计每一处在答案变化中的公平份额。',
    'lrp-0': '答案逐层回传，按各部分的贡献成比例分配。',
    'lrp-epsilon': '答案逐层按贡献比例回传；微弱和矛盾的贡献被吸收。',
    'lrp-gamma': '答案逐层回传，偏重支持它的贡献。',
    'lrp-alpha1-beta0': '答案逐层回传，只分给正贡献。',
    'lrp-alpha2-beta1': '答案逐层回传：正贡献计两倍，再减去负贡献。',
    'lrp-z-plus': '答案逐层回传，只分给正贡献。',
    'lrp-w-square': '答案逐层按权重的平方回传，与输入无关。',
    'lrp-flat': '答案逐层等分回传：显示模型看哪里，而非看到什么。',
    'lrp-zb': '答案逐层按贡献比例回传；第一层考虑输入的取值范围。',
    'lrp-epsilon-plus': '答案回传：线性层按比例，卷积层只分给正贡献。',
    'lrp-epsilon-gamma-box': '答案回传：线性层按比例，卷积层偏重支持者，输入层按取值范围。',
    'lrp-epsilon-plus-flat': '答案回传：线性层按比例，卷积层只分给正贡献，输入层等分。',
    'lrp-epsilon-alpha2-beta1': '答案回传：线性层按比例，卷积层正贡献计两倍再减去负贡献。',
    'lrp-epsilon-alpha2-beta1-flat': '答案回传：线性层按比例，卷积层正贡献计两倍再减去负贡献，输入层等分。',
    'first-derivative-saliency': '答案对每个词元嵌入各维度的反应强度：每行一个词元。',
    'variance-saliency': '每个词元嵌入的各维度与全文均值的差距；与答案无关。',
    composition: '文本读到每个词元为止（其后为基线）时该层各单元的值。',
    'attn-lrp': '答案穿过 Transformer 回传，注意力、归一化与门控各有规则。',
    'cp-lrp': '答案穿过 Transformer 回传，注意力权重视为常数。',
    'smooth-grad': '答案对每一处的反应有多强，对加噪的输入副本取平均。',
    'smooth-grad-squared': '答案对每一处反应的平方，对加噪的输入副本取平均。没有正负号。',
    'var-grad': '答案对每一处的反应在加噪副本之间变化多大。没有正负号。',
    'expected-gradients': '在基线与输入之间的随机点上对梯度取平均：分摊答案的变化，有抽样误差。',
    idgi: '从基线出发每一步答案的变化，按梯度的平方分摊。',
    'internal-influence': '某层的梯度，沿从基线到输入的路径取平均。',
    'layer-conductance': '答案的变化有多少流经某层的每个元素。',
    'neuron-conductance': '每个输入在经某层一个元素流向答案的量中所占的部分。',
    occlusion: '滑动窗口内的输入被基线替换时，答案下降多少。',
    'feature-ablation': '每一部分单独被基线替换时，答案下降多少。',
    'leave-one-out': '每个词元或数值单独被基线替换时，答案下降多少。',
    'feature-permutation': '某部分改取其他样本的值时，答案平均下降多少。',
    'shapley-sampling': '每一部分在答案变化中的公平份额，由各部分随机加入的顺序估计。',
    'exact-shapley': '每一部分在答案变化中的公平份额，由所有组合算出。',
    lime: '对随机去掉部分输入后的答案拟合线性模型：每一部分在此附近贡献多少。',
    'kernel-shap': '每一部分在答案变化中的公平份额，由对抽样组合的加权线性拟合得出。',
    'permutation-shap': '每一部分在答案变化中的公平份额，由正反两向走过的随机顺序估计。',
    'partition-shap': '答案的变化先在输入的两半之间分摊，再在各自的两半之间分摊，依此类推。',
    'blur-ig': '图像由模糊变清晰时对梯度取平均：分摊答案的变化。',
    'guided-ig': '从基线出发、先移动最不重要之处，沿途对梯度取平均：分摊答案的变化。',
    'integrated-hessians': '每一对位置共同为答案的变化贡献多少。',
    rise: '保留每一处的随机遮罩下，答案的平均值。',
    'meaningful-perturbation': '能使答案消失的最小平滑遮罩：每一处被去掉的程度。',
    'discretized-ig': '从基线出发、沿真实词的嵌入对梯度取平均：分摊答案的变化。',
    cam: '末层各通道按答案线性层的权重相加：每一处为答案贡献多少。',
    'grad-cam': '某层各通道按平均梯度加权：该层在哪里支持答案。',
    'grad-cam-plus-plus': 'Grad-CAM，权重适合同类的多个物体。',
    'xgrad-cam': 'Grad-CAM，梯度按其在通道激活中的份额加权。',
    'layer-cam': '某层的激活乘以各处自身的正梯度。',
    'hires-cam': '某层的激活乘以各处的梯度：其后只有一个线性层时是忠实的。',
    'score-cam': '某层各通道按透过它看图像时的答案加权。',
    'ablation-cam': '某层各通道按去掉它后答案下降的程度加权。',
    'eigen-cam': '某层各通道中最强的模式，与所问的答案无关。',
    'eigen-grad-cam': '某层激活乘梯度中最强的模式。',
    'kpca-cam': '核主成分分析得出的某层最强模式，与所问的答案无关。',
    'full-grad': '所有层的偏置与输入乘以梯度，各自缩放到 0 至 1 后在图像上相加。',
    'guided-grad-cam': 'Grad-CAM 高处的引导反向传播：细节清晰，但几乎不随所问的答案而变。',
    'finer-cam': 'Grad-CAM：此答案与最相似类别的区别所在。',
    'shapley-cam': 'Grad-CAM，权重含二阶导数：各通道近似的公平份额。',
    'seg-xres-cam': 'Grad-CAM，梯度在层的窗口内取平均：某区域的类别从何而来。',
    'd-rise': '随机遮罩保留每一处时，检测器能在多大程度上重新找到同一个框。',
    rollout: '注意力穿过各层可能从何处带来信息，与所问的答案无关。',
    chefer: '支持答案的注意力，逐层累加。',
    legrad: '每层自身的答案随对各处注意力的增加而增长多少，对各层取平均。',
  },
  token: '词元',
  word: '词',
  feature: '特征',
  region: '区域',
  score: '得分',
  specialToken: '特殊词元',
  truncated: (count) => `文本超过模型可读的长度：末尾 ${count} 个词元被截去。`,
  specialBeyond: '超过此值的特殊词元也以最深色表示。',
  specialShare: (percent) => `特殊词元占全部 |得分| 的 ${percent}。`,
  others: (count, by) => `其余 ${count} 个${zhBy[by]}`,
  topOf: (shown, all, by) => `共 ${all} 个${zhBy[by]}，列出最强的 ${shown} 个。`,
  picture: '图像',
  views: {
    overlay: '叠加',
    contour: '等高线（上限的 1/4、1/2、3/4）',
    masked: '按得分保留的图像',
    'side-by-side': '图像与叠加',
  },
  heatMap: '仅得分',
  sheet: {
    signed: '橙色支持每幅图下方所写的答案，蓝色反对它。',
    unsigned: '紫色表示该处对每幅图下方所写答案的重要程度，不分正负。',
    limit: '上限',
    limitBelow: '颜色最深处的上限写在每幅图下方（≤）。',
    shared: '单位相同的方法在同一幅图像上共用一个尺度。',
    outlined: '框内是模型看到的部分。',
    lines: '|得分| 越过上限的 1/4、1/2、3/4 处画线；线越深得分越高。',
    kept: '得分达到上限处完整显示，为 0 或反对答案处为灰色。',
  },
  curves: {
    deletion: '删除',
    insertion: '插入',
    area: '曲线下面积',
    share: '像素比例',
    shown: '上方：按得分从高到低，从图像中删除像素，或在模糊的图像中恢复像素时，模型看到的内容。',
    better: '删除曲线早降、插入曲线早升，说明得分指向了重要之处。',
    flaw: '带空洞的图像不同于模型训练时见过的任何图像。',
  },
  smoothed: (sigma) => `仅为显示而平滑（高斯，σ = 模型输入的 ${sigma} 像素）。`,
  notSmoothed: '未平滑。',
  modelRead: '框内是模型看到的部分。',
  input: '输入',
  prediction: '预测',
  answers: '模型的最佳答案',
  probability: '概率',
  value: '答案',
  valueOf: (output, target) => `“${target}”的 ${output}`,
  baselineValue: '基线的答案',
  sum: '得分之和',
  gap: '差距',
  completeness: (percent) => `得分之和与答案的变化相差不超过 ${percent}。`,
  conservation: (percent) => `得分之和与答案本身相差不超过 ${percent}。`,
  notConserved: (sum, answer) => `得分之和为 ${sum}，并不等于答案 ${answer}：其余部分归于偏置以及该方法未计入之处。`,
  completenessNoChange: '输入与基线的答案相同，没有变化可分摊。',
  largeGap: (percent) => `差距较大：得分遗漏了答案变化的 ${percent}。增加步数或可缩小。`,
  noPromise: '此方法不保证得分之和等于答案。',
  passes: '经过模型的行数',
  time: '用时',
  relativeToBaseline: (baseline) => `归因是相对于基线“${baseline}”的：换一个基线就是换一个问题。`,
  gradientBaseline: '梯度只看到此输入的附近：当答案已饱和时，重要的部分也可能接近零。',
  warnings: '相信之前请先看',
  altOriginal: (name) => `输入图像：${name}`,
  altOverlay: (method, target) => `按 ${method}，图像各处支持或反对“${target}”的程度，叠加在图像上`,
  altBars: (method, target) => `按 ${method}，对“${target}”得分最强者的条形图`,
  reportTitle: '模型为何如此回答',
  reportLede: '这里的每个解释都编译进模型自己的 ONNX 图，以 onnxruntime 的速度运行。每幅图都附有判断它所需的数字。',
  howToRead: '如何阅读',
  readColours: '橙色支持答案，蓝色反对；紫色表示影响而不分方向。颜色深浅只在同一幅图内可比，各图例写明各自的上限。',
  readTrust:
    '解释说的是模型，而不是世界。相信之前，请先看差距和图旁的说明，并比较不同方法：方法之间不一致时，任何一种都不应单独采信。',
  models: '模型',
  inputs: '输入',
  licence: '许可证',
  sha256: 'SHA-256',
  made: (date) => `生成于 ${date}`,
  command: '命令',
  computedWith: '计算环境',
  threads: (count) => `${count} 个线程`,
  languageSwitch: '语言',
  otherInputs: '本报告内容',
  skipToContent: '跳到解释',
  wholeText: (characters) => `全文（${characters} 个字符）`,
};

export const MESSAGES: Readonly<Record<Language, Messages>> = { en, zh };
