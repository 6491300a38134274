/** The part of tasks/ that runs anywhere. */
export { guessTask, labelsOf, modelFolder, requireTokenizer } from './folder.ts';
export type { Json, ModelFolder, Task } from './folder.ts';
export { parseTarget, targetSeed, targetValue, topPredictions } from './target.ts';
export type { Prediction, Target } from './target.ts';
export { nearestNames } from './nearest.ts';
