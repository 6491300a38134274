import type { Explanation } from '../explanation/index.ts';
import { imageScores } from './image-map.ts';

/**
 * What is drawn of an explanation, each with a scale of its own: of a picture compared with a text the picture and the text,
 * where there are scores of both; else the whole.
 */
export function sidesOf(explanation: Explanation): readonly Explanation[] {
  const { image, text, tokens, attributions, ...rest } = explanation;
  if (image === undefined || text === undefined || tokens === undefined) return [explanation];
  const { [text.input]: ofText, ...ofOthers } = attributions;
  const picture: Explanation = { ...rest, attributions: ofOthers, image };
  const words: Explanation[] = ofText ? [{ ...rest, attributions: { [text.input]: ofText }, text, tokens }] : [];
  return imageScores(picture) === undefined ? (words.length > 0 ? words : [explanation]) : [picture, ...words];
}
