/** Models fetched from the hub when the page asks for one by its name: kept, limited and removed as dropped ones are. */
import type { Control, ModelSummary } from '../jobs/index.ts';
import { UserError } from '../onnx/index.ts';
import { HUB, fetchHubFile, findHubModel } from '../tasks/index.ts';
import type { ModelLibrary } from './models.ts';
import type { Uploads } from './uploads.ts';

/**
 * Fetches a model and opens it. `hub`: the address of the hub or a mirror, from the start of the server and never from a
 * request. Throws a UserError for a name that is none or is not there, TooLargeError beyond the limit.
 */
export async function fetchFromHub(
  name: string,
  hub: string,
  { library, uploads }: { readonly library: ModelLibrary; readonly uploads: Uploads },
  { signal, onProgress }: Control,
): Promise<ModelSummary> {
  const found = await findHubModel(name, { hub, signal });
  uploads.allow(found.bytes);
  const id = await uploads.begin();
  try {
    let done = 0;
    for (const file of found.files) {
      const response = await fetchHubFile(file, signal);
      const counted = response.body!.pipeThrough(
        new TransformStream<Uint8Array, Uint8Array>({
          transform(chunk, controller) {
            done += chunk.length;
            onProgress(Math.min(done, found.bytes), found.bytes);
            controller.enqueue(chunk);
          },
        }),
      );
      await uploads.store(id, file.name, counted, file.bytes);
    }
    signal.throwIfAborted();
    return await library.adopt(uploads.finish(id).folder, name, id, 'hub');
  } catch (error) {
    await uploads.discard(id);
    throw error;
  }
}

/** The address of a hub without a slash at its end; default the Hugging Face hub. Throws a UserError for anything else. */
export function readHub(address = HUB): string {
  const url = URL.canParse(address) ? new URL(address) : undefined;
  if (url === undefined || !['http:', 'https:'].includes(url.protocol) || url.username !== '' || url.search !== '')
    throw new UserError(`"${address}" is no address of a hub: give one such as ${HUB}`);
  return url.href.replace(/\/+$/, '');
}
