/** What a broken file goes through, and what may come of it. */
import { UserError, normalizeModel, readModel, writeModel } from '../../src/onnx/index.ts';
import { checkExternalFiles, readSmallWeights } from '../../src/runtime/index.ts';

export type Outcome =
  | { readonly kind: 'taken' }
  /** One line for a person. */
  | { readonly kind: 'refused'; readonly message: string }
  | { readonly kind: 'crash'; readonly message: string };

/** Reads, looks at the files beside it, brings to the canonical form, writes, reads again. */
export function tryFile(bytes: Uint8Array, folder: string): Outcome {
  try {
    const model = readModel(bytes);
    checkExternalFiles(model, folder);
    readModel(writeModel(normalizeModel(readSmallWeights(model, folder))));
    return { kind: 'taken' };
  } catch (error) {
    if (error instanceof UserError)
      return error.message.includes('\n') || error.message.length > 1000
        ? { kind: 'crash', message: `not one short line: ${error.message}` }
        : { kind: 'refused', message: error.message };
    return { kind: 'crash', message: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
}
