/** The models the page may ask about: embedded ones, those named at the start, those dropped on it or fetched for it. */
import { existsSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { createHash } from 'node:crypto';
import { ExplainableModel } from '../attribution/index.ts';
import { inspect } from '../jobs/index.ts';
import type { Inspected, ModelSummary } from '../jobs/index.ts';
import { UserError } from '../onnx/index.ts';
import { LoadedSessions, machineMemory } from '../runtime/index.ts';
import type { HostOptions } from '../runtime/index.ts';
import { guessTask, openModel } from '../tasks/index.ts';
import { zooFolder } from './files.ts';

const PHOTOGRAPHS = ['cat.jpg', 'coffee.jpg', 'flower.jpg', 'palace.jpg', 'rocket.jpg'];

/** The embedded models: folders of the zoo, which are their ids. */
export const EMBEDDED = ['text-spam', 'image-imagenet'] as const;

/** What the page asks first of a text, when nothing else was chosen: the cheapest of the methods it shows. */
export const FIRST_METHOD = 'input-x-gradient';

/** Models held open at once; the one longest unused is closed first. */
const OPEN = 6;
/** Processes that are kept, each with a program of some model; they also take no more than a quarter of the memory. */
const PROCESSES = 32;

/** Models by id, each opened at its first use. */
export class ModelLibrary {
  readonly #options: HostOptions;
  readonly #loaded: LoadedSessions;
  readonly #mostOpen: number;
  readonly #listed = new Map<string, { readonly summary: ModelSummary; readonly location: string }>();
  /** The one longest unused first. */
  readonly #open = new Map<string, Promise<ExplainableModel>>();
  /** How many use a model now. */
  readonly #users = new Map<string, number>();

  /** `options` of the runtime; models always run in child processes, so that they can be stopped. */
  constructor(options: HostOptions, { mostOpen = OPEN }: { readonly mostOpen?: number } = {}) {
    this.#loaded = options.loaded ?? new LoadedSessions({ sessions: PROCESSES, bytes: machineMemory() / 4 });
    this.#options = { ...options, isolated: true, loaded: this.#loaded };
    this.#mostOpen = mostOpen;
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
    // What is shown of a model tells nothing of where this machine has it.
    const model =
      this.#open.get(id) ?? ExplainableModel.open(found.location, { ...this.#options, name: found.summary.name });
    this.#open.delete(id);
    this.#open.set(id, model);
    model.catch(() => this.#open.get(id) === model && this.#open.delete(id));
    await this.#closeSome(id);
    return model;
  }

  /** Does something with a model, which is not closed meanwhile. */
  async use<T>(id: string, work: (model: ExplainableModel) => Promise<T>): Promise<T> {
    this.#users.set(id, (this.#users.get(id) ?? 0) + 1);
    try {
      return await work(await this.open(id));
    } finally {
      this.#users.set(id, this.#users.get(id)! - 1);
    }
  }

  /** Forgets a model that was dropped or fetched. Throws a UserError for any other. */
  async remove(id: string): Promise<void> {
    const { origin } = this.#find(id).summary;
    if (origin !== 'dropped' && origin !== 'hub')
      throw new UserError('only models that were dropped or fetched can be removed');
    this.#listed.delete(id);
    await this.#close(id);
  }

  /** A message with the names of models where it says where this machine has them. */
  withoutPlaces(message: string): string {
    const places = [...this.#listed.values()].toSorted((left, right) => right.location.length - left.location.length);
    return places.reduce((text, { location, summary }) => withoutPlace(text, location, summary.name), message);
  }

  async #closeSome(opened: string): Promise<void> {
    for (const id of this.#open.keys()) {
      if (this.#open.size <= this.#mostOpen) return;
      if (id !== opened && !this.#users.get(id)) await this.#close(id);
    }
  }

  async #close(id: string): Promise<void> {
    const model = this.#open.get(id);
    this.#open.delete(id);
    await model?.then(
      (open) => open.release(),
      () => undefined,
    );
  }

  /** Opens a model that was just dropped or fetched; it is not listed when it cannot be read. */
  async adopt(folder: string, name: string, id: string, origin: 'dropped' | 'hub'): Promise<ModelSummary> {
    try {
      const summary = this.add(folder, origin, name, id);
      const model = await this.open(id);
      const task = guessTask(model.folder, model.inputs);
      const known = { ...summary, task };
      this.#listed.set(id, { summary: known, location: this.#find(id).location });
      return known;
    } catch (error) {
      this.#listed.delete(id);
      // From now on nobody knows the name that goes with the place.
      throw error instanceof UserError ? new UserError(withoutPlace(error.message, path.resolve(folder), name)) : error;
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
      await this.open(first.id);
      signal.throwIfAborted();
      const [text] = first.texts;
      if (text !== undefined)
        await this.use(first.id, (each) => each.explain({ text }, { method: FIRST_METHOD, signal }));
    } catch {
      // Asked again by the page, which then shows the reason.
    }
  }

  async inspect(id: string): Promise<Inspected> {
    return inspect(await this.open(id), this.#find(id).summary.bytes);
  }

  async close(): Promise<void> {
    await Promise.all([...this.#open.keys()].map((id) => this.#close(id)));
    // Those of models that were closed before, and used since by who still had them.
    await this.#loaded.rest();
  }

  #find(id: string): { readonly summary: ModelSummary; readonly location: string } {
    const found = this.#listed.get(id);
    if (found === undefined)
      throw new UserError('there is no such model here: it may have been dropped in an earlier session');
    return found;
  }
}

/** A model's name in place of where it lies. */
const withoutPlace = (text: string, location: string, name: string): string =>
  text.replaceAll(path.join(location, 'model.onnx'), name).replaceAll(location, name);

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
