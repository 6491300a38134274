/** The library in this browser, loaded only when it runs models here. */
import { WEB_VERSIONS } from 'onnxray/browser';

export {
  ExplainableModel,
  METHODS,
  SURROGATES,
  analyse,
  captureSubject,
  fetchHubFile,
  fetchModelFiles,
  findHubModel,
  findBaseline,
  findMethod,
  guessTask,
  inspect,
  parseExplanation,
  patchSubjects,
  sortModelFiles,
  summarizeMethod,
} from 'onnxray/browser';
export const VERSION = WEB_VERSIONS['onnxray'] ?? '';
