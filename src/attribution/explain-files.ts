import { encodeImage } from '../inputs/index.ts';
import { ModelHost } from '../runtime/index.ts';
import type { HostOptions } from '../runtime/index.ts';
import { openModel } from '../tasks/index.ts';
import { ExplainableModel } from './explain.ts';

/** A model on the disk. */
export class ExplainableFile extends ExplainableModel {
  /**
   * Opens an .onnx file, with further ones of the same model (`with`), or a folder laid out as on the Hugging Face hub.
   * Throws a UserError when there is no model, or it cannot be read.
   */
  static async open(location: string, options: HostOptions = {}): Promise<ExplainableModel> {
    const folder = openModel(location);
    const others = options.with ?? folder.parts ?? [];
    return new ExplainableFile(
      folder,
      await ModelHost.open(folder.modelPath, { ...options, with: others }),
      encodeImage,
    );
  }
}
