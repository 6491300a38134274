/**
 * jobs/: what the studio's page asks of a model, the same whether its local server or the browser runs it.
 *
 * An open model, a request as plain data and a `Control` go in; results of the other rooms come out.
 */
export { analyse, captureSubject, inspect, patchSubjects } from './run.ts';
export type { AnalysisRequest, Control, PatchingRequest } from './run.ts';
export { summarizeMethod } from './summary.ts';
export type { Inspected, MethodSummary, ModelSummary } from './summary.ts';
