/** What models answer that compare a picture with texts, as CLIP and SigLIP do. */
import { UserError } from '../onnx/index.ts';
import type { ValueInfo } from '../onnx/index.ts';

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
