/** The library in this browser, loaded only when it runs models here. */
import { WEB_VERSIONS } from 'onnxray/browser';

export {
  CapturedAttention,
  ExplainableModel,
  METHODS,
  SURROGATES,
  drawableGraph,
  fetchModelFiles,
  findMethod,
  guessTask,
  inspectModel,
  sortModelFiles,
} from 'onnxray/browser';
export const VERSION = WEB_VERSIONS['onnxray'] ?? '';
