/**
 * visualisation/: what units of a vision model look for, in pictures that are found for them and in photographs (`topPatches`).
 *
 * Where attribution/ explains an answer to a given picture, here the picture is what is found: parameters (amplitudes of
 * frequencies) become a picture, the picture goes through the model, and the gradient of what is wanted there comes back,
 * all in one compiled program; Adam steps between its runs.
 */
export { FEATURE_OPTIONS, INVERSION_OPTIONS, invertLayer, visualiseFeatures } from './feature.ts';
export type { VisualiseOptions } from './feature.ts';
export type { Wanted } from './place.ts';
export { receptiveField } from './receptive-field.ts';
export type { Reach, ReceptiveField } from './receptive-field.ts';
export { findPictures } from './optimise.ts';
export type { Descent, Found, Robustness } from './optimise.ts';
export { parameterDims } from './parametrisation.ts';
export type { Canvas, Parametrisation } from './parametrisation.ts';
export { topPatches } from './top-patches.ts';
export type { TopPatchesOptions, TopPatchesRequest } from './top-patches.ts';
export { VISUALISATION, compileVisualisation } from './program.ts';
export type { VisualisationRequest } from './program.ts';
export { serializeVisualisation } from './visualisation.ts';
export type { PatchSource, UnitPicture, VisualisedUnit, Visualisation } from './visualisation.ts';
