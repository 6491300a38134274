/**
 * programs/: what every explanation method is built on.
 *
 * `compileProgram` makes rows of the input (positions on a path, masks, given points), runs the model on them as one
 * batch and, where asked, a backward pass by some set of rules, all in one graph. `ProgramRunner` runs it in batches.
 * A `Method` is a name, options and a function over these.
 */
export { answersAlike, chooseOutput, originalAnswer, readAnswer } from './answer.ts';
export { adam } from './adam.ts';
export { Game, allCoalitions, enumerateGame, shapleyValues } from './game.ts';
export type { Coalition } from './game.ts';
export { Estimates, randomOrder } from './orders.ts';
export { PLAYER_OPTIONS, findPlayers, spreadOver } from './players.ts';
export type { PlayerOptions, Players } from './players.ts';
export { findFeatures } from './features.ts';
export type { Feature } from './features.ts';
export { baselineCount, defineMethod } from './method.ts';
export type {
  Attribution,
  AttributionContext,
  DetectionAim,
  Method,
  Modality,
  ProgramPlan,
  SinglePass,
} from './method.ts';
export { readOptions } from './options.ts';
export type { OptionSpec, OptionSpecs, OptionValue, OptionsOf } from './options.ts';
export { findLayer, layerFeature } from './layer.ts';
export { layoutsOf } from './layout.ts';
export type { Layout } from './layout.ts';
export { appendProbabilities, compileProgram } from './program.ts';
export type { BuildTarget } from './program.ts';
export { QUADRATURES, quadrature } from './quadrature.ts';
export type { Quadrature, QuadratureName } from './quadrature.ts';
export { PROGRAM } from './names.ts';
export { copyNodes } from './copies.ts';
export { hasNoRows, repeatRows } from './rows.ts';
export { inFourAxes, attentionMap } from './attention-maps.ts';
export type { AttentionForm, AttentionMapRequest, Tower } from './attention-maps.ts';
export { WITHOUT_GRADIENT } from './maps.ts';
export type { Fold, MapForm, MapRequest } from './maps.ts';
export type { Reading } from './reading.ts';
export type { PlanesRequest } from './planes.ts';
export type { BackwardRequest, ProgramRequest, Reduction } from './request.ts';
export { numbers, sameNumbers, zeros } from './numbers.ts';
export type { Numbers } from './numbers.ts';
export { ProgramRunner } from './runner.ts';
export type { Rows, RunContext, RunResult } from './runner.ts';
