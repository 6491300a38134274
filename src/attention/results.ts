/** Results of attention and of interventions to JSON and back: plain data, for pages that only show them. */
export { parseAttention, serializeAttention } from './result.ts';
export { parseIntervention, serializeIntervention } from './intervene/result.ts';
