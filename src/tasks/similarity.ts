/** What models answer that compare a picture with texts, as CLIP and SigLIP do. */
import { UserError, sizeOf } from '../onnx/index.ts';
import type { Model, ValueInfo, ValueName } from '../onnx/index.ts';

/** Where the similarity of a picture and a text stands: in one output, or as the cosine of two. */
export interface SimilarityForm {
  readonly output: string;
  /** The embedding of the text, where `output` is that of the picture. */
  readonly with?: string;
}

const SIMILARITIES = /^(?:logits_per_image|similarity|similarities)$/;
const IMAGE_EMBEDS = /^(?:image|vision|visual)_(?:embeds?|features|embeddings?)$/;
const TEXT_EMBEDS = /^(?:text|language)_(?:embeds?|features|embeddings?)$/;

/**
 * Finds it by the outputs' names: `logits_per_image` [pictures, texts], else `image_embeds` and `text_embeds`; or takes the
 * output that was named. Throws a UserError that says what was looked for.
 */
export function similarityForm(outputs: readonly ValueInfo[], named?: string): SimilarityForm {
  const find = (pattern: RegExp) => outputs.find(({ name }) => pattern.test(name))?.name;
  const [similarity, image, text] = [find(SIMILARITIES), find(IMAGE_EMBEDS), find(TEXT_EMBEDS)];
  if (named !== undefined && named !== image && named !== text) return { output: named };
  if (similarity !== undefined && named === undefined) return { output: similarity };
  if (image !== undefined && text !== undefined) return { output: image, with: text };
  throw new UserError(
    `a picture is compared with a text by an output "logits_per_image", or by "image_embeds" and "text_embeds"; the model has ${outputs.map(({ name }) => `"${name}"`).join(', ')}: name the output with --output`,
  );
}

/** What gives a value another shape and no other numbers. */
const MOVES = new Set(['Cast', 'Identity', 'Reshape', 'Squeeze', 'Transpose', 'Unsqueeze']);

/**
 * Whether similarities are answers for each pair by itself, whose probability a sigmoid gives, in place of shares that a softmax over
 * texts makes: by the configuration's `model_type`, else by the bias that is added to them, which a softmax would take no notice of.
 * Zhai et al. 2023, https://arxiv.org/abs/2303.15343.
 */
export function answersForEachPair({ graph }: Model, output: ValueName, config: unknown): boolean {
  const type = typeof config === 'object' && config !== null && 'model_type' in config ? config.model_type : undefined;
  if (typeof type === 'string' && /^siglip/i.test(type)) return true;
  let maker = graph.nodes.find(({ outputs }) => outputs.includes(output));
  while (maker !== undefined && MOVES.has(maker.operator)) {
    const [from] = maker.inputs;
    maker = graph.nodes.find(({ outputs }) => outputs.includes(from!));
  }
  if (maker?.operator !== 'Add') return false;
  return maker.inputs.some((name) => {
    const weight = graph.initializers.get(name);
    return weight !== undefined && sizeOf(weight.dims) === 1;
  });
}
