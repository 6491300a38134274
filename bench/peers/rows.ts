/** What bench:peers runs: each method with the options that both sides get, on the two models that come with onnxray. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import {
  ExplainableModel,
  SURROGATES,
  attribute,
  encodeImage,
  encodeText,
  loadTokenizer,
  requireTokenizer,
} from 'onnxray';
import type { AttributeRequest, DenseTensor, Method, NamedTensors } from 'onnxray';

export const ROOT = path.resolve(import.meta.dirname, '../..');
export const THREADS = 2;
const TOKENS = 128;
export const CASES = {
  encoder: { name: `encoder, ${TOKENS} tokens`, folder: path.join(ROOT, 'zoo/text-spam'), input: 'input_ids' },
  image: { name: 'image model', folder: path.join(ROOT, 'zoo/image-imagenet'), input: 'pixel_values' },
} as const;
export type CaseName = keyof typeof CASES;

export interface Row {
  readonly name: string;
  /** The function of server.py, by peer. */
  readonly peers: Readonly<Record<string, string>>;
  /** The peers' options. */
  readonly given: Readonly<Record<string, number>>;
  readonly method: string | Method;
  readonly options: NonNullable<AttributeRequest['options']>;
  /** Why the peers have no such method for this model. */
  readonly missing?: string;
}

const surrogate = (name: string) => SURROGATES.find((method) => method.name === name)!;

/** The methods for a model; `quick` for few steps and samples. */
export function rowsOf(key: CaseName, quick = false): readonly Row[] {
  const text = key === 'encoder';
  const [steps, samples, noisy] = quick ? [4, 4, 4] : [50, 50, 25];
  const [coalitions, subsets] = quick ? [320, 160] : [2048, 1000];
  const stdevs = text ? 0.01 : 0.15;
  const [window, stride] = text ? [1, 1] : [28, 14];
  const features = text ? 'auto' : 'regions';
  const refuses = 'not on BERT: no rule for GELU, layer norm and products of attention';
  return [
    {
      name: `integrated gradients, ${steps} steps`,
      peers: { Captum: 'integrated-gradients' },
      given: { steps },
      method: 'integrated-gradients',
      options: { steps },
    },
    {
      name: `GradientSHAP, ${samples} samples`,
      peers: { Captum: 'expected-gradients' },
      given: { samples },
      method: 'expected-gradients',
      options: { n_samples: samples },
    },
    {
      name: `SmoothGrad, ${noisy} samples`,
      peers: { Captum: 'smooth-grad' },
      given: { samples: noisy, stdevs },
      method: 'smooth-grad',
      options: { nt_samples: noisy, stdevs },
    },
    {
      name: 'DeepLIFT',
      peers: { Captum: 'deep-lift' },
      given: {},
      method: 'deep-lift',
      options: {},
      ...(text ? { missing: refuses } : {}),
    },
    {
      name: 'LRP-epsilon',
      peers: { Captum: 'lrp-epsilon' },
      given: {},
      method: 'lrp-epsilon',
      options: { epsilon: 1e-9 },
      ...(text ? { missing: 'not on BERT: refuses GELU, layer norm and embeddings' } : {}),
    },
    {
      name: text ? 'occlusion, each token' : 'occlusion, 225 windows',
      peers: { Captum: 'occlusion' },
      given: { window, stride },
      method: 'occlusion',
      options: { window, stride },
    },
    {
      name: `Kernel SHAP, ${coalitions} samples`,
      peers: { Captum: 'kernel-shap', shap: 'kernel-shap-package' },
      given: { samples: coalitions },
      method: surrogate('kernel-shap'),
      // Never narrow enough: all samples are run, as by the peers.
      options: { n_samples: coalitions, tolerance: 1e-9, features },
    },
    {
      name: `LIME, ${subsets} samples`,
      peers: { Captum: 'lime', lime: 'lime-package' },
      given: { samples: subsets },
      method: surrogate('lime'),
      options: { n_samples: subsets, features },
    },
  ];
}

/** A real e-mail cut to the length, or a real photograph. */
export async function inputsOf(key: CaseName, model: ExplainableModel): Promise<NamedTensors> {
  if (key === 'image')
    return (await encodeImage(path.join(ROOT, 'zoo/photographs/cat.jpg'), model.inputs, model.folder.preprocessor))
      .tensors;
  const mails = JSON.parse(readFileSync(path.join(CASES.encoder.folder, 'examples.json'), 'utf8')) as {
    text: string;
  }[];
  const tokenizer = loadTokenizer(requireTokenizer(model.folder));
  const { tensors } = encodeText(tokenizer, [mails.map(({ text }) => text).join('\n')], model.inputs, {});
  return Object.fromEntries(
    Object.entries(tensors).map(([name, { type, data }]): [string, DenseTensor] => {
      const all = data as BigInt64Array;
      if (all.length < TOKENS) throw new Error(`the text has only ${all.length} tokens`);
      // The last token, which ends the text, stays.
      return [name, { type, dims: [1, TOKENS], data: BigInt64Array.of(...all.slice(0, TOKENS - 1), all.at(-1)!) }];
    }),
  );
}

/** The class that is explained: spam, and the cat. */
export const TARGETS = { encoder: 1, image: 282 } as const;

/** One row by onnxray: its time, the scores and the model's answer. */
export async function explain(
  key: CaseName,
  model: ExplainableModel,
  inputs: NamedTensors,
  { method, options }: Row,
  seed = 0,
) {
  const target = { label: String(TARGETS[key]), indices: [TARGETS[key]] };
  const started = performance.now();
  const { explanation, answer } = await attribute(model.host, { inputs, method, options, target, seed });
  return { ms: performance.now() - started, scores: explanation.attributions[CASES[key].input]!.data, answer };
}

export const open = (key: CaseName) => ExplainableModel.open(CASES[key].folder, { threads: THREADS, cache: false });

/** A few of the samples or steps, to warm up. */
export const few = <T extends object>(options: T): T => {
  const counts = Object.entries(options).filter(([name]) => /samples|steps/.test(name));
  return { ...options, ...Object.fromEntries(counts.map(([name, count]) => [name, Math.min(160, Number(count))])) };
};
