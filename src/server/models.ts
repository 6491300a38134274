/** The models the page may ask about: embedded ones, those named at the start, those dropped on it. */
import { existsSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { createHash } from 'node:crypto';
import { ExplainableModel } from '../attribution/index.ts';
import { drawableGraph, inspectModel } from '../inspection/index.ts';
import type { DrawableGraph, Inspection } from '../inspection/index.ts';
import { UserError } from '../onnx/index.ts';
import type { HostOptions } from '../runtime/index.ts';
import { guessTask, openModel } from '../tasks/index.ts';
import type { Task } from '../tasks/index.ts';
import { zooFolder } from './files.ts';

export type Origin = 'embedded' | 'given' | 'dropped';

/** What the page lists of a model before it is opened. */
export interface ModelSummary {
  readonly id: string;
  /** For people; may hold anything, since dropped files name themselves. */
  readonly name: string;
  readonly origin: Origin;
  readonly task: Task;
  /** Size of the model file. */
  readonly bytes: number;
  readonly labels: readonly string[];
  /** Texts to start with. */
  readonly texts: readonly string[];
  /** Addresses of pictures to start with. */
  readonly pictures: readonly string[];
}

/** What the Models room draws. */
export interface Inspected {
  readonly inspection: Inspection;
  readonly graph: DrawableGraph;
}

const PHOTOGRAPHS = ['cat.jpg', 'coffee.jpg', 'flower.jpg', 'palace.jpg', 'rocket.jpg'];

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
  add(location: string, origin: Origin, name?: string, id?: string): ModelSummary {
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
        folder.task === 'image-classification'
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

  /** Opens a model that was just dropped; it is not listed when it cannot be read. */
  async adopt(folder: string, name: string, id: string): Promise<ModelSummary> {
    const summary = this.add(folder, 'dropped', name, id);
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

  async inspect(id: string): Promise<Inspected> {
    const { host } = await this.open(id);
    return {
      inspection: inspectModel(host.original, host.model, this.#find(id).summary.bytes),
      graph: drawableGraph(host.model),
    };
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
