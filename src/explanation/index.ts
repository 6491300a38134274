/**
 * explanation/: the one result type every method returns.
 *
 * Plain data, to JSON and back, with provenance. It holds numbers only; `views/` draws it.
 * The field names are the command line's JSON contract, so what the library returns and what
 * `onnxray explain --json` prints are the same document.
 */
export type {
  Explanation,
  Scores,
  TextContext,
  ImageContext,
  RuntimeInfo,
  ModelRef,
  TargetRef,
} from './explanation.ts';
export { parseExplanation, serializeExplanation } from './json.ts';
export { sumOfScores } from './explanation.ts';
