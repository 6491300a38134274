/** What went wrong, in the reader's language. Errors are English sentences; those that a page is likely to meet have a Chinese one. */
import type { Language } from './messages.ts';
import { translated } from './translated.ts';
import type { Translations } from './translated.ts';

const CHINESE: Translations = [
  // Files that are no model, or not a whole one.
  [/^not an ONNX model: the file is empty$/, '不是 ONNX 模型：文件为空'],
  [
    /^not an ONNX model: the file is truncated, corrupt or of another format$/,
    '不是 ONNX 模型：文件被截断、已损坏或是其他格式',
  ],
  [/^not an ONNX model: it has no graph$/, '不是 ONNX 模型：其中没有计算图'],
  [/^not an ONNX model: it names no operator set$/, '不是 ONNX 模型：没有写明算子集版本'],
  [
    /^not a valid ONNX model: node "(.+)" reads "(.+)", which nothing before it produces$/,
    '不是有效的 ONNX 模型：节点“$1”读取“$2”，但它之前没有节点产生该值',
  ],
  [/^not a valid ONNX model: nothing produces the output "(.+)"$/, '不是有效的 ONNX 模型：没有节点产生输出“$1”'],
  [
    /^the model uses opset (\d+); opsets before (\d+) are not supported: convert it with onnx\.version_converter$/,
    '模型使用算子集版本 $1，不支持 $2 之前的版本：请用 onnx.version_converter 转换',
  ],
  [
    /^the weight "(.+)" is in (.+), which (?:is missing beside the model|was not given with the model)$/,
    '权重“$1”在文件 $2 中，但该文件不在模型旁边：请将它与模型一起拖入',
  ],
  [
    /^(.+) is too short: the weight "(.+)" should end at byte (\d+) of (\d+)$/,
    '$1 太短：权重“$2”应结束于第 $3 字节，而文件只有 $4 字节',
  ],
  [/^onnxruntime cannot load the model: (.+)$/, 'onnxruntime 无法加载该模型：$1'],
  [
    /^there is no \.onnx file among (?:what was dropped|these)$/,
    '拖入的文件中没有 .onnx 模型：请拖入 .onnx 文件或包含它的文件夹',
  ],
  [/^the folder holds several models: drop the one you mean$/, '文件夹中有多个模型：请只拖入您要看的那一个'],
  [/^there are several models among these: (.+); give one$/, '其中有多个模型：$1；请只给出一个'],
  [
    /^that file name is not taken: give \.onnx files, their configuration, and weight files of plain names$/,
    '不接受该文件名：请给出 .onnx 文件、其配置文件，以及名称只含普通字符的权重文件',
  ],
  [/^the file is empty$/, '文件为空'],
  [/^(.+) is not valid JSON: (.+)$/, '$1 不是有效的 JSON：$2'],
  [/^(.+) is not a JSON object$/, '$1 不是 JSON 对象'],
  [/^tokenizer\.json can't be used: (.+)$/, '无法使用 tokenizer.json：$1'],
  // The limits of the server.
  [/^(\d+) models were dropped already: remove one to drop more$/, '已经拖入了 $1 个模型：请先移除一个'],
  [
    /^a model with its files may have (\d+) MB here; open larger ones with onnxray studio MODEL$/,
    '此处模型及其文件最多 $1 MB；更大的模型请用 onnxray studio MODEL 打开',
  ],
  [/^all models that were dropped may have (\d+) MB: remove one first$/, '拖入的全部模型最多共 $1 MB：请先移除一个'],
  [/^a picture may have (\d+) MB$/, '图片最多 $1 MB'],
  // What is gone.
  [/^the picture is not here any more: drop it again$/, '图片已不在这里：请重新拖入'],
  [/^this model is not here any more: drop it again$/, '模型已不在这里：请重新拖入'],
  [
    /^there is no such model here: it may have been dropped in an earlier session$/,
    '这里没有该模型：它可能是在之前的会话中拖入的，请重新拖入',
  ],
  [/^this attention is not here any more: ask for it again$/, '该注意力结果已不在这里：请重新计算'],
  [
    /^the process that runs the model ended \((.+)\)(?:: perhaps there was not enough memory)?$/,
    '运行模型的进程已结束（$1）：可能内存不足，请重试，或使用更短的输入',
  ],
  [/^the Worker that runs the model ended: (.+)$/, '运行模型的 Worker 已结束：$1'],
  [/^the server ended before it answered$/, '服务在回答之前就结束了：请确认 onnxray studio 仍在运行，然后重试'],
  [/^the server cannot be reached: is onnxray studio still running\?$/, '无法连接服务：onnxray studio 是否仍在运行？'],
  [/^the server answered (\d+)$/, '服务返回了 $1'],
  [/^cancelled$/, '已取消'],
  // The hub.
  [/^that is no name on the hub: names look like (\S+)$/, '这不是 hub 上的名称：名称形如 $1'],
  [
    /^cannot reach (.+): check the connection, or set HF_ENDPOINT to a mirror$/,
    '无法连接 $1：请检查网络，或将 HF_ENDPOINT 设为镜像',
  ],
  [
    /^(.+) has no public model or file of that name \((\d+)\): check the spelling$/,
    '$1 上没有这个名称的公开模型或文件（$2）：请检查拼写',
  ],
  [/^(.+) answered (\d+): try again later$/, '$1 返回了 $2：请稍后再试'],
  [
    /^(.+) has several models and none is called model\.onnx \((.+)\): download the one you mean and drop it$/,
    '$1 有多个模型，且没有名为 model.onnx 的（$2）：请下载您要看的那一个并拖入',
  ],
  [
    /^(.+) has no \.onnx file: look for one that does, such as those of onnx-community$/,
    '$1 没有 .onnx 文件：请找一个有的，例如 onnx-community 的模型',
  ],
  [/^(.+) is too large for a browser: run onnxray studio$/, '$1 对浏览器来说太大：请运行 onnxray studio'],
  [/^cannot load (.+)$/, '无法加载 $1'],
  // Inputs and targets.
  [/^the text is empty$/, '文本为空'],
  [/^the (?:first |second )?text has no characters the tokenizer keeps$/, '文本中没有分词器会保留的字符'],
  [
    /^a text needs the model's tokenizer\.json \(and tokenizer_config\.json\), which is not in (.+); put it beside the model, or pass token ids with --inputs$/,
    '解释文本需要模型的 tokenizer.json（以及 tokenizer_config.json），但 $1 中没有：请将它与模型一起拖入',
  ],
  [
    /^the model takes no text: it has no integer input "input_ids" \(its inputs: (.+)\); use --inputs$/,
    '该模型不接受文本：它没有整数输入“input_ids”（它的输入：$1）',
  ],
  [
    /^the model takes no picture: no input of rank 4 with 1 or 3 channels \(its inputs: (.+)\)$/,
    '该模型不接受图片：没有 1 或 3 通道的四维输入（它的输入：$1）',
  ],
  [/^(.+) is (\w+); PNG, JPEG and WebP pictures are supported$/, '$1 是 $2：支持 PNG、JPEG 和 WebP 图片'],
  [/^(.+) is broken: (.+)$/, '$1 已损坏：$2'],
  [
    /^(.+) is not a picture that (?:can be read; PNG, JPEG and WebP are supported|this browser can read)$/,
    '$1 不是可读取的图片：支持 PNG、JPEG 和 WebP',
  ],
  [
    /^(.+) is (\d+x\d+), ([\d.]+) megapixels; the limit is ([\d.]+) megapixels: scale it down$/,
    '$1 为 $2，即 $3 百万像素；上限为 $4 百万像素：请先缩小',
  ],
  [/^target "(.+)" is out of range: (.+) has indices 0 to (\d+)$/, '目标“$1”超出范围：序号为 0 到 $3'],
  [/^unknown target "(.+)"; nearest labels: (.+)$/, '未知的目标“$1”；最接近的标签：$2'],
  [
    /^unknown target "(.+)": the model has no labels; give an index such as 3$/,
    '未知的目标“$1”：该模型没有标签，请给出序号，例如 3',
  ],
  // Methods that do not suit the model.
  [
    /^(\S+) does not apply: there is no (.+) on the way to "(.+)", so it would be no other than (\S+)$/,
    '$1 不适用：通往“$3”的路径上没有 $2，结果会与 $4 相同',
  ],
  [
    /^(\S+) draws a map over a picture, but the model has (?:no input|\d+ inputs) of four axes$/,
    '$1 在图片上绘制热图，但该模型没有唯一的四维输入',
  ],
  [
    /^(\S+) found no map of positions between "(.+)" and "(.+)"; name a layer with --layer$/,
    '$1 在“$2”与“$3”之间没有找到位置图',
  ],
  [
    /^cam needs global average pooling and one linear layer behind the layer, but behind "(.+)" come (.+); grad-cam.*$/,
    'cam 要求该层之后是全局平均池化和一个线性层，但“$1”之后是 $2；grad-cam 没有此限制',
  ],
  [/^d-rise explains a box: --box N$/, 'd-rise 解释检测框，而此处解释的是分类'],
  [/^blur-ig is for pictures: the input needs four dimensions$/, 'blur-ig 用于图片：输入须有四个维度'],
  [/^(\S+) is for models that read token ids, and this one does not$/, '$1 用于读取词元编号的模型，该模型不是'],
  [
    /^(\S+) is for models of one floating-point input, such as a picture$/,
    '$1 用于只有一个浮点输入的模型，例如图片模型',
  ],
  [/^(\S+) is for models of token ids alone$/, '$1 用于只读取词元编号的模型'],
  [
    /^discretized-ig needs a baseline of tokens, such as --baseline pad$/,
    'discretized-ig 需要由词元构成的基线，例如 pad；此处无法选择，可在命令行中使用 --baseline pad',
  ],
  [
    /^(\S+) is for inputs of at most (\d+) elements or tokens, and "(.+)" has (\d+)$/,
    '$1 用于最多 $2 个元素或词元的输入，而“$3”有 $4 个',
  ],
  [
    /^exact-shapley runs all coalitions of at most (\d+) features, and the input has (\d+): .*$/,
    'exact-shapley 运行全部联盟，最多 $1 个特征，而输入有 $2 个：请改用 shapley-sampling，或缩短输入',
  ],
  [
    /^the model has no floating-point input and no embedding of token ids: there is nothing to attribute to$/,
    '该模型没有浮点输入，也没有词元嵌入：没有可归因的对象',
  ],
  [/^the model answers (\S+) for this input: nothing to explain$/, '模型对此输入的回答是 $1：没有可解释的内容'],
  [
    /^the two inputs differ in length: "(.+)" has (\d+) tokens in the .+ one and (\d+) tokens in the .+ one; they must match position by position$/,
    '两个输入的长度不同：“$1”一个有 $2 个词元，另一个有 $3 个；两者须逐个位置对应',
  ],
  [
    /^the model attends nowhere: it has no softmax between two products of values that depend on the input$/,
    '该模型没有注意力：在依赖输入的两个乘积之间没有 softmax',
  ],
  [/^unexpected: (.*)$/, '意外错误：$1'],
];

/** A file's name in front of what is wrong with it. */
const NAMED = /^([^:]+\.onnx): (.+)$/s;

/** The error, and the language it is then in: English where there is no translation. */
export function errorText(text: string, language: Language): { readonly text: string; readonly language: Language } {
  const whole = translated(text, language, CHINESE);
  const named = whole.language === language ? null : NAMED.exec(text);
  if (named === null) return whole;
  const rest = translated(named[2]!, language, CHINESE);
  return rest.language === language ? { text: `${named[1]}：${rest.text}`, language } : whole;
}
