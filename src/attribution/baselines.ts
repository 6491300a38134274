import type { Baseline } from './explain.ts';

/** Baselines that have a name; which of them suit an input depends on its kind. */
export const BASELINES = [
  'zero',
  'pad',
  'mask',
  'unk',
  'mean',
  'blur',
  'noise',
  'black',
  'white',
] as const satisfies readonly Baseline[];
