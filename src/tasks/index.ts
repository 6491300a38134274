/**
 * tasks/: what a model answers: which task it is for, what its classes are called, and what about its output is asked.
 *
 * `target.ts` is pure; `folder.ts` reads the files of a model and works in Node only.
 */
export { guessTask, labelsOf, openModel, requireTokenizer } from './folder.ts';
export type { Json, ModelFolder, Task } from './folder.ts';
export { parseTarget, targetSeed, targetValue, topPredictions } from './target.ts';
export type { Prediction, Target } from './target.ts';
export { nearestNames } from './nearest.ts';
export { detectorForm, intersectionOverUnion, proposals, readBoxes } from './detection.ts';
export type { BoxElement, Detection, DetectorForm } from './detection.ts';
export { regionAt } from './segmentation.ts';
export type { Region } from './segmentation.ts';
