/** The part of tasks/ that runs anywhere. */
export { JSON_FILES, guessTask, labelsOf, modelFolder, requireTokenizer } from './folder.ts';
export type { Json, ModelFolder, Task } from './folder.ts';
export { HUB, fetchHubFile, findHubModel } from './hub.ts';
export type { HubFile, HubModel, HubOptions } from './hub.ts';
export { parseTarget, topPredictions } from './target.ts';
export type { Prediction } from './target.ts';
export type { OutputTerm, Target, TargetTerm } from './target-type.ts';
export { expressionScale, isExpression, outputsNamed, parseOutputTerms } from './target-expression.ts';
export { targetValue, targetWeights } from './target-weights.ts';
export { nearestNames } from './nearest.ts';
export { detectorForm, intersectionOverUnion, proposals, readBoxes } from './detection.ts';
export type { BoxElement, Detection, DetectorForm } from './detection.ts';
export { answersForEachPair, similarityForm } from './similarity.ts';
export type { SimilarityForm } from './similarity.ts';
export { maskWeights } from './masks.ts';
export { regionAt } from './segmentation.ts';
export type { Region } from './segmentation.ts';
