/** The models the page may ask about: embedded ones, those named at the start, those dropped on it or fetched for it. */
import { existsSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { createHash } from 'node:crypto';
import { ExplainableModel } from '../attribution/index.ts';
import { inspect } from '../jobs/index.ts';
import type { Inspected, ModelSummary } from '../jobs/index.ts';
import { UserError } from '../onnx/index.ts';
import type { HostOptions } from '../runtime/index.ts';
import { guessTask, openModel } from '../tasks/index.ts';
import { zooFolder } from './files.ts';

const PHOTOGRAPHS = ['cat.jpg', 'coffee.jpg', 'flower.jpg', 'palace.jpg', 'rocket.jpg'];

/** The embedded models: folders of the zoo, which are their ids. */
export const EMBEDDED = ['text-spam', 'image-imagenet'] as const;

/** What the page asks first of a text, when nothing else was chosen: the cheapest of the methods it shows. */
export const FIRST_METHOD = 'input-x-gradient';

/** Models by id, each opened at its first use. */
export class ModelLibrary {
  readonly #options: HostOptions;
  readonly #listed = new Map<string, { readonly summary: ModelSummary; readonly location: string }>();
  readonly #open = new Map<string, Promise<ExplainableModel>>();

  /** `options` of the runtime; models always run in child processes, so that they can be stopped. */
  constructor(options: HostOptions) {
    this.#options = { ...options, isolated: true };
  }

  /** Lists a model without opening it. Throws a UserError when there is none. */
  add(location: string, origin: ModelSummary['origin'], name?: string, id?: string): ModelSummary {
    const folder = openModel(location);
    const absolute = path.resolve(location);
    const key = id ?? createHash('sha256').update(absolute).digest('hex').slice(0, 12);
    const summary = {
      id: key,
      name: name ?? path.basename(absolute),
      origin,
      task: folder.task,
      bytes: statSync(folder.modelPath).size,
      labels: folder.labels ?? [],
      texts: exampleTexts(absolute),
      pictures:
        folder.task === 'image-classification' || folder.task === 'image-text'
          ? PHOTOGRAPHS.filter((file) => existsSync(path.join(zooFolder(), 'photographs', file))).map(
              (file) => `pictures/${file}`,
            )
          : [],
    };
    this.#listed.set(key, { summary, location: absolute });
    return summary;
  }

  list(): readonly ModelSummary[] {
    return [...this.#listed.values()].map(({ summary }) => summary);
  }

  /** Throws a UserError for an id that was never given out, or a model that cannot be opened. */
  async open(id: string): Promise<ExplainableModel> {
    const found = this.#find(id);
    let model = this.#open.get(id);
    if (model === undefined) {
      model = ExplainableModel.open(found.location, this.#options);
      this.#open.set(id, model);
      model.catch(() => this.#open.delete(id));
    }
    return model;
  }

  /** Opens a model that was just dropped or fetched; it is not listed when it cannot be read. */
  async adopt(folder: string, name: string, id: string, origin: 'dropped' | 'hub'): Promise<ModelSummary> {
    const summary = this.add(folder, origin, name, id);
    try {
      const model = await this.open(id);
      const task = guessTask(model.folder, model.inputs);
      const known = { ...summary, task };
      this.#listed.set(id, { summary: known, location: this.#find(id).location });
      return known;
    } catch (error) {
      this.#listed.delete(id);
      throw error;
    }
  }

  /**
   * Opens the model the page shows first and explains its first text as the page will ask, so that it finds everything
   * compiled. Resolves when that is done; what goes wrong is left for whoever asks.
   */
  async warm(signal: AbortSignal): Promise<void> {
    const first = [...this.#listed.values()].find(({ summary }) => takesText(summary))?.summary;
    if (first === undefined) return;
    try {
      const model = await this.open(first.id);
      signal.throwIfAborted();
      const [text] = first.texts;
      if (text !== undefined) await model.explain({ text }, { method: FIRST_METHOD, signal });
    } catch {
      // Asked again by the page, which then shows the reason.
    }
  }

  async inspect(id: string): Promise<Inspected> {
    return inspect(await this.open(id), this.#find(id).summary.bytes);
  }

  name(id: string): string {
    return this.#find(id).summary.name;
  }

  async close(): Promise<void> {
    const open = [...this.#open.values()];
    this.#open.clear();
    await Promise.all(
      open.map((each) =>
        each.then(
          (model) => model.release(),
          () => undefined,
        ),
      ),
    );
  }

  #find(id: string): { readonly summary: ModelSummary; readonly location: string } {
    const found = this.#listed.get(id);
    if (found === undefined)
      throw new UserError('there is no such model here: it may have been dropped in an earlier session');
    return found;
  }
}

/** Models that the page's Text room takes. */
function takesText({ task, texts }: ModelSummary): boolean {
  return task === 'text-classification' || texts.length > 0;
}

/** Texts of an examples.json beside the model. */
function exampleTexts(location: string): readonly string[] {
  const file = path.join(location, 'examples.json');
  if (!existsSync(file)) return [];
  try {
    const list: unknown = JSON.parse(readFileSync(file, 'utf8'));
    if (!Array.isArray(list)) return [];
    return list.flatMap((each: { text?: unknown } | null) => (typeof each?.text === 'string' ? [each.text] : []));
  } catch {
    // Somebody's own file of that name is no reason not to open the model.
    return [];
  }
}
