import { encodeImage } from '../inputs/browser.ts';
import { ModelHost } from '../runtime/browser.ts';
import type { WebHostOptions } from '../runtime/browser.ts';
import { fetchModelFiles, folderOf } from '../tasks/browser.ts';
import type { ModelFiles } from '../tasks/browser.ts';
import { ExplainableModel } from './explain.ts';

/** A model in a browser. */
export class ExplainableWebModel extends ExplainableModel {
  /**
   * Opens a model from its files, or from the address of an .onnx file or of a folder as on the Hugging Face hub.
   * Throws a UserError when there is no model, or it cannot be read.
   */
  static async open(
    source: string | ModelFiles,
    options: Omit<WebHostOptions, 'name' | 'weights'> = {},
  ): Promise<ExplainableModel> {
    const files = typeof source === 'string' ? await fetchModelFiles(source) : source;
    const { model, name, weights } = files;
    const host = await ModelHost.open(model, {
      ...options,
      ...(name === undefined ? {} : { name }),
      ...(weights === undefined ? {} : { weights }),
    });
    return new ExplainableWebModel(folderOf(files), host, encodeImage);
  }
}
