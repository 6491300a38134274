/** This browser's engine: the package's browser door, each model in a Worker of its own. Works without any server. */
import {
  CapturedAttention,
  ExplainableModel,
  METHODS,
  SURROGATES,
  VERSION,
  drawableGraph,
  fetchModelFiles,
  findMethod,
  guessTask,
  inspectModel,
  sortModelFiles,
} from './browser-door.ts';
import type { AttentionView, Engine, ModelSummary, Subject } from './engine.ts';

/** Listed with the page: `models.json` says which models lie beside it. */
const EMBEDDED: readonly { readonly id: string; readonly pictures: readonly string[] }[] = [
  { id: 'text-spam', pictures: [] },
  {
    id: 'image-imagenet',
    pictures: ['cat.jpg', 'coffee.jpg', 'flower.jpg', 'palace.jpg', 'rocket.jpg'].map((file) => `pictures/${file}`),
  },
];

type Open = () => Promise<ExplainableModel>;

export function browserEngine(): Engine {
  const models = new Map<string, { readonly open: Open; bytes: number }>();
  const all = [...METHODS, ...SURROGATES];
  let dropped = 0;

  const lazily = (open: Open): Open => {
    let known: Promise<ExplainableModel> | undefined;
    return () => {
      known ??= open().catch((error: unknown) => {
        known = undefined;
        throw error;
      });
      return known;
    };
  };
  const find = (id: string): Promise<ExplainableModel> => {
    const found = models.get(id);
    if (found === undefined) return Promise.reject(new Error('this model is not here any more: drop it again'));
    return found.open();
  };

  return {
    kind: 'browser',
    async start() {
      const listed: ModelSummary[] = [];
      for (const { id, pictures } of EMBEDDED) {
        const address = new URL(`models/${id}/`, document.baseURI).href;
        const config = await fetchJson(`${address}config.json`);
        if (config === undefined) continue;
        models.set(id, {
          bytes: 0,
          open: lazily(async () => {
            const files = await fetchModelFiles(address);
            models.get(id)!.bytes = files.model instanceof Blob ? files.model.size : files.model.byteLength;
            return ExplainableModel.open({ ...files, name: id });
          }),
        });
        const texts = id === 'text-spam' ? textsOf(await fetchJson(`${address}examples.json`)) : [];
        const labels = Object.values((config as { id2label?: Record<string, string> }).id2label ?? {});
        const task = id === 'text-spam' ? 'text-classification' : 'image-classification';
        listed.push({ id, name: id, origin: 'embedded', task, bytes: 0, labels, texts, pictures });
      }
      const methods = all.map(({ name, summary, layers, usesBaseline }) => ({ name, summary, layers, usesBaseline }));
      return { version: VERSION, models: listed, methods };
    },
    async drop(files, { onProgress }) {
      onProgress(0, 1);
      const sorted = await sortModelFiles(files);
      const model = await ExplainableModel.open(sorted);
      const id = `dropped-${++dropped}`;
      const bytes = files.find(({ name }) => name.endsWith('.onnx'))?.size ?? 0;
      models.set(id, { bytes, open: () => Promise.resolve(model) });
      onProgress(1, 1);
      return {
        id,
        name: sorted.name ?? 'model.onnx',
        origin: 'dropped',
        task: guessTask(model.folder, model.inputs),
        bytes,
        labels: model.folder.labels ?? [],
        texts: [],
        pictures: [],
      };
    },
    async inspect(id) {
      const { host } = await find(id);
      return {
        inspection: inspectModel(host.original, host.model, models.get(id)!.bytes),
        graph: drawableGraph(host.model),
      };
    },
    async explain({ model: id, subject, method, target, layer, baseline }, { signal, onProgress }) {
      const model = await find(id);
      const { explanation } = await model.explain(await given(subject), {
        method: findMethod(method, all),
        signal,
        onProgress,
        ...(target === undefined ? {} : { target }),
        ...(layer === undefined ? {} : { layer }),
        ...(isBaseline(baseline) ? { baseline } : {}),
      });
      return explanation;
    },
    async attention({ model: id, subject }, { signal, onProgress }): Promise<AttentionView> {
      const model = await find(id);
      const encoded = await model.encode(await given(subject));
      const tokens = encoded.kind === 'text' ? encoded.encoding.tokens : undefined;
      const captured = new CapturedAttention(model.host, encoded.tensors, tokens);
      const overview = await captured.overview(signal, onProgress);
      return {
        ...overview,
        block: (index, stop) => captured.block(index, stop),
        rollout: (stop) => captured.rollout(stop),
      };
    },
  };
}

async function given(subject: Subject) {
  if (subject.kind === 'picture') return { image: new Uint8Array(await subject.data.arrayBuffer()) };
  return subject.pair === undefined ? { text: subject.text } : { text: subject.text, pair: subject.pair };
}

const BASELINES = ['zero', 'pad', 'mask', 'unk', 'mean', 'blur', 'noise', 'black', 'white'] as const;

function isBaseline(name: string | undefined): name is (typeof BASELINES)[number] {
  return BASELINES.some((each) => each === name);
}

async function fetchJson(address: string): Promise<unknown> {
  const response = await fetch(address).catch(() => undefined);
  return response?.ok ? response.json().catch(() => undefined) : undefined;
}

function textsOf(value: unknown): readonly string[] {
  if (!Array.isArray(value)) return [];
  return value.flatMap((each: { text?: unknown } | null) => (typeof each?.text === 'string' ? [each.text] : []));
}
