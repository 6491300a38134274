/** Operators whose type is an attribute: what is drawn at random. */
import { intAttribute, intsAttribute } from '../model.ts';
import { TYPE_BY_NUMBER } from '../read.ts';
import type { DataType } from '../tensor.ts';
import type { InferenceInput, InferenceRule } from './rule.ts';

const typeOr = ({ node }: InferenceInput, fallback: DataType): DataType =>
  TYPE_BY_NUMBER[intAttribute(node, 'dtype') ?? 0] ?? fallback;

/** Shaped as the input, and of its type unless another is said. */
export const likeInput: InferenceRule = (input) => [{ type: typeOr(input, input.type(0)), dims: input.dims(0) }];

const shaped: InferenceRule = (input) => [{ type: typeOr(input, 'float32'), dims: intsAttribute(input.node, 'shape') }];

const multinomial: InferenceRule = (input) => [
  { type: typeOr(input, 'int32'), dims: [input.dims(0)?.[0], intAttribute(input.node, 'sample_size', 1)] },
];

export const random: Readonly<Record<string, InferenceRule>> = {
  RandomNormal: shaped,
  RandomUniform: shaped,
  RandomNormalLike: likeInput,
  RandomUniformLike: likeInput,
  Bernoulli: likeInput,
  Multinomial: multinomial,
};
