/**
 * attention/intervene/: what a model does when something within it is changed, and whether attention explains it.
 *
 * `findStreams` finds the residual stream; `compileSegment` cuts the model there; a `Chain` runs rows, each changed in
 * some place, from where they are changed on. The analyses (`patch`, `ablateHeads`, `logitLens`, ...) are lists of rows and
 * what becomes of the target. docs/interventions.md has formulas, costs and flaws.
 */
export { Chain } from './chain.ts';
export type { ChainOptions, Run, RunRows, ScoredTarget } from './chain.ts';
export { findStreams } from './stream.ts';
export type { BlockSites, Segment, Stream } from './stream.ts';
export type { Change, Donor, Row } from './rows.ts';
export type { TableAxis, Intervention, InterventionTable } from './result.ts';
export { parseIntervention, serializeIntervention } from './result.ts';
export { ask } from './question.ts';
export type { Question, QuestionOptions } from './question.ts';
export type { Subject as InterventionSubject } from './question.ts';
export { PATCHES, patch } from './patch.ts';
export type { Patch, PatchRequest } from './patch.ts';
export { REPLACEMENTS, ablateEdges, ablateHeads, ablateLayers, ablateUniform } from './ablate.ts';
export type { AblateRequest, Replacement } from './ablate.ts';
export { logitLens } from './lens.ts';
export { directAttribution } from './direct.ts';
export { pruningCurve } from './prune.ts';
export { correlateAttention } from './correlate.ts';
export { eraseTopAttended } from './erasure.ts';
export { ABLATIONS, checkAblation, findAblation } from './analyses.ts';
export type { Ablation, AblationRequest, Place } from './analyses.ts';
export { adversarialAttention } from './adversarial.ts';
export { jensenShannon, kendallTau, totalVariation } from './divergence.ts';
