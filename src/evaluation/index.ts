/**
 * evaluation/: whether explanations can be trusted, in numbers.
 */
export { deletionTest } from './deletion.ts';
export type { DeletionOptions, DeletionResult } from './deletion.ts';
