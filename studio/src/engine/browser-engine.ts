/** This browser's engine: the package's browser door, each model in a Worker of its own. Works without any server. */
import {
  ExplainableModel,
  METHODS,
  SURROGATES,
  VERSION,
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
} from './browser-door.ts';
import type { AttentionView, Control, Engine, FirstAnswer, ModelSummary, Subject } from './engine.ts';

type Open = () => Promise<ExplainableModel>;

/** What lies beside the page as `studio.json`: the models that come along, and the first question with its answer. */
interface SiteList {
  readonly models: readonly ModelSummary[];
  /** Where models are fetched from by their names; not there where the page's policy would not allow it. */
  readonly hub?: string;
  readonly first?: Omit<FirstAnswer, 'explanation'> & { readonly explanation: unknown };
}

export function browserEngine(provider: 'wasm' | 'webgpu'): Engine {
  const models = new Map<string, { readonly open: Open; readonly bytes: number }>();
  const all = [...METHODS, ...SURROGATES];
  const opened = new Set<Promise<ExplainableModel>>();
  let taken = 0;
  let hub: string | undefined;

  const lazily = (open: Open): Open => {
    let known: Promise<ExplainableModel> | undefined;
    return () => {
      if (known !== undefined) return known;
      const model = open();
      known = model;
      opened.add(model);
      model.catch(() => {
        opened.delete(model);
        known = undefined;
      });
      return model;
    };
  };
  const find = (id: string): Promise<ExplainableModel> => {
    const found = models.get(id);
    if (found === undefined) return Promise.reject(new Error('this model is not here any more: drop it again'));
    return found.open();
  };

  /** Opens files that came from outside of the page. */
  const take = async (files: readonly File[], origin: 'dropped' | 'hub', name?: string): Promise<ModelSummary> => {
    const sorted = await sortModelFiles(files);
    const model = await ExplainableModel.open(sorted, { provider });
    const id = `${origin}-${++taken}`;
    const bytes = files.find((file) => file.name.endsWith('.onnx'))?.size ?? 0;
    const open = lazily(() => Promise.resolve(model));
    // Open already, so that it is ended with the others even when nobody asks it anything.
    void open();
    models.set(id, { bytes, open });
    return {
      id,
      name: name ?? sorted.name ?? 'model.onnx',
      origin,
      task: guessTask(model.folder, model.inputs),
      bytes,
      labels: model.folder.labels ?? [],
      texts: [],
      pictures: [],
    };
  };

  return {
    kind: provider,
    async start() {
      const response = await fetch(new URL('studio.json', document.baseURI));
      if (!response.ok) throw new Error(`studio.json is not beside the page (${response.status})`);
      const { models: listed, first, hub: from } = (await response.json()) as SiteList;
      hub = from;
      for (const { id, bytes } of listed) {
        const address = new URL(`models/${id}/`, document.baseURI).href;
        const open = async () => ExplainableModel.open({ ...(await fetchModelFiles(address)), name: id }, { provider });
        models.set(id, { bytes, open: lazily(open) });
      }
      return {
        version: VERSION,
        models: listed,
        methods: all.map(summarizeMethod),
        hub,
        first: first && { ...first, explanation: parseExplanation(JSON.stringify(first.explanation)) },
      };
    },
    async drop(files, { onProgress }) {
      onProgress(0, 1);
      const model = await take(files, 'dropped');
      onProgress(1, 1);
      return model;
    },
    async fetchModel(name, control) {
      return take(await filesOfHub(name, hub, control), 'hub', name);
    },
    async remove(id) {
      const model = models.get(id)?.open();
      models.delete(id);
      if (model === undefined) return;
      opened.delete(model);
      await (await model).release();
    },
    inspect: async (id) => inspect(await find(id), models.get(id)!.bytes),
    async explain({ model: id, subject, method, target, layer, baseline }, { signal, onProgress }) {
      const named = findBaseline(baseline);
      if (baseline !== undefined && named === undefined) throw new Error('that baseline is not known');
      const model = await find(id);
      const { explanation } = await model.explain(await given(subject), {
        method: findMethod(method, all),
        signal,
        onProgress,
        ...(target === undefined ? {} : { target }),
        ...(layer === undefined ? {} : { layer }),
        ...(named === undefined ? {} : { baseline: named }),
      });
      return explanation;
    },
    async attention({ model, subject }, control): Promise<AttentionView> {
      const { captured, overview } = await captureSubject(await find(model), await given(subject), control);
      return {
        ...overview,
        block: (index, signal) => captured.block(index, signal),
        vectors: (index, head, signal) => captured.vectors(index, head, signal),
        rollout: (signal) => captured.rollout(signal),
      };
    },
    analyse: async ({ model, subject, ...request }, control) =>
      analyse(await find(model), { ...request, subject: await given(subject) }, control),
    patch: async ({ model, clean, corrupted, ...request }, control) =>
      patchSubjects(
        await find(model),
        { ...request, clean: await given(clean), corrupted: await given(corrupted) },
        control,
      ),
    async close() {
      const all = [...opened];
      opened.clear();
      await Promise.all(all.map((model) => model.then((open) => open.release()).catch(() => undefined)));
    },
  };
}

/** Beyond this WebAssembly could not hold the model. */
const LARGEST_MODEL = 2 * 2 ** 30;

/** All files of a model of the hub, read into the page's memory. */
async function filesOfHub(
  name: string,
  hub: string | undefined,
  { signal, onProgress }: Control,
): Promise<readonly File[]> {
  const found = await findHubModel(name, { signal, ...(hub === undefined ? {} : { hub }) });
  if (found.bytes > LARGEST_MODEL) throw new Error(`${name} is too large for a browser: run onnxray studio`);
  const files: File[] = [];
  let done = 0;
  for (const file of found.files) {
    const response = await fetchHubFile(file, signal);
    const chunks: Uint8Array<ArrayBuffer>[] = [];
    for (const reader = response.body!.getReader(); ;) {
      const { done: end, value } = await reader.read();
      if (end) break;
      chunks.push(value);
      done += value.length;
      if (done > LARGEST_MODEL) throw new Error(`${name} is too large for a browser: run onnxray studio`);
      onProgress(Math.min(done, found.bytes), found.bytes);
    }
    files.push(new File(chunks, file.name));
  }
  return files;
}

async function given(subject: Subject) {
  if (subject.kind === 'picture') {
    const image = new Uint8Array(await subject.data.arrayBuffer());
    return subject.text === undefined ? { image } : { image, text: subject.text };
  }
  return subject.pair === undefined ? { text: subject.text } : { text: subject.text, pair: subject.pair };
}
