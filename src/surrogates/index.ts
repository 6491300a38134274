/**
 * surrogates/: simple models fitted to what a model answers when parts of its input are taken away.
 *
 * LIME, Kernel SHAP, permutation SHAP and partition SHAP, as methods for `attribute`; they need forward passes only.
 */
import type { Method } from '../programs/index.ts';
import { kernelShap } from './kernel-shap.ts';
import { lime } from './lime.ts';
import { partitionShap } from './partition-shap.ts';
import { permutationShap } from './permutation-shap.ts';

export const SURROGATES: readonly Method[] = [lime, kernelShap, permutationShap, partitionShap];
