import type { Corpus } from './corpus.ts';
import type { CaseResult } from './result.ts';
export function writeReport(_c: Corpus, results: readonly CaseResult[]): string {
  return JSON.stringify(results, null, 1);
}
