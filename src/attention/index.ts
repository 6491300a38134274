/**
 * attention/: where a model attends, and what that is worth.
 *
 * `locateAttention` finds the blocks; capturing, measuring and intervening (intervene/) build on what it returns.
 */
export { locateAttention } from './locate.ts';
export type { AttentionBlock } from './locate.ts';
export * from './intervene/index.ts';
