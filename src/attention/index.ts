/**
 * attention/: where a model attends, and what that is worth.
 *
 * `locateAttention` finds the blocks. `captureAttention` makes chosen values of them outputs of a rewritten graph, reduced
 * inside it where the question allows; measures and attributions build on the same graphs.
 */
export { locateAttention } from './locate.ts';
export type { AttentionBlock } from './locate.ts';
export { ATTENTION_VALUES, captureAttention, captureName, captureWithOutputs, compileCapture } from './capture.ts';
export type { AttentionValue, Captured, CapturedBlock, CaptureOptions, CaptureRequest } from './capture.ts';
export { FUSIONS } from './reductions.ts';
export type { HeadFusion } from './reductions.ts';
export { rollout } from './rollout.ts';
export type { RolloutOptions } from './rollout.ts';
export { flow, maximumFlow } from './flow.ts';
export type { FlowOptions } from './flow.ts';
export { chefer, transformerAttribution } from './chefer.ts';
export type { AttentionTarget, CheferMaps, CheferOptions, TransformerAttributionOptions } from './chefer.ts';
export { alti, attentionNorms, globenc } from './norms.ts';
export type { NormsOptions, Rolled, RollingOptions } from './norms.ts';
export { altiPlus } from './alti-plus.ts';
export type { SourceAndTarget } from './alti-plus.ts';
export { effectiveAttention } from './effective.ts';
export type { EffectiveOptions } from './effective.ts';
export type { Stack } from './chain.ts';
export { OFFSETS, findSinks, measureHeads, tokenClasses } from './measures.ts';
export type { HeadMeasures, Sink, TokenClasses, TokenText } from './measures.ts';
export { inductionScores } from './induction.ts';
export type { InductionOptions, InductionScores } from './induction.ts';
export { HEAD_MAPS, classicalScaling, headClusters, wardClusters } from './clusters.ts';
export { umapPlane } from './umap.ts';
export type { ClusterOptions, HeadClusters, HeadMap, HeadPlace } from './clusters.ts';
export { symmetricEigen } from './jacobi.ts';
export type { Eigen } from './jacobi.ts';
export { readTreebank } from './treebank.ts';
export type { TreeSentence, TreeWord } from './treebank.ts';
export { dependencyHeads } from './dependencies.ts';
export type { DependencyOptions, EncodedSentence, RelationScore } from './dependencies.ts';
export { analyseAttention } from './analyse.ts';
export type { AnalyseRequest } from './analyse.ts';
export { ANALYSES, findAnalysis } from './analyses.ts';
export type { AttentionAnalysis } from './analysis.ts';
export { parseAttention, serializeAttention } from './result.ts';
export type { AttentionResult, Axis, BlockResult, Measured } from './result.ts';
export * from './intervene/index.ts';
export { crossAttention } from './cross.ts';
export type { CrossOptions } from './cross.ts';
export { attentionTowers } from './towers.ts';
export type { AttentionTower } from './towers.ts';
export { CapturedAttention } from './packed.ts';
export type { AttentionOverview, HeadVectors, ListedBlock } from './packed.ts';
export { pack, shrink } from './pack.ts';
export type { PackedBlock } from './pack.ts';
export { captureLayers } from './layers.ts';
export type { LayerCaptureOptions, LayerReduction } from './layers.ts';
