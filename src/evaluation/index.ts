/**
 * evaluation/: whether explanations can be trusted, in numbers.
 */
export { deletionTest } from './deletion.ts';
export type { DeletionOptions, DeletionResult } from './deletion.ts';
export { planeScores, pointsAt, relevanceMass } from './localisation.ts';
export type { Mask } from './localisation.ts';
export { pixelCurves, serializeCurves } from './pixel-curves.ts';
export type { PixelCurve, PixelCurveOptions, PixelCurves } from './pixel-curves.ts';
export { layerWeights, randomizeLayers, rankCorrelation } from './randomize.ts';
