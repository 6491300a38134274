/**
 * onnxray against its peers: the same model, input, steps and threads in one run, both sides warm, turns alternating.
 *
 *     ONNXRAY_PYTHON=python npm run bench:peers              writes the table into bench/README.md
 *     ONNXRAY_PYTHON=python npm run bench:peers -- --quick   few steps and samples, prints only
 *
 * `--case encoder` measures one model alone and writes its table. `--only TEXT` runs the rows whose name contains it, prints only. A run of more than ten seconds is repeated twice, any other 5
 * times, after a small one that warms up. Peak memory is the high-water mark of a child that does one row once, with at most
 * 160 samples: more of them are further batches in the same memory.
 */
import { spawn, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import {
  ExplainableModel,
  SURROGATES,
  VERSIONS,
  attribute,
  encodeImage,
  encodeText,
  loadTokenizer,
  requireTokenizer,
} from 'onnxray';
import type { AttributeRequest, DenseTensor, Method, NamedTensors } from 'onnxray';
import { table, writeBlock } from '../../scripts/blocks.ts';

const root = path.resolve(import.meta.dirname, '../..');
const THREADS = 2;
const TOKENS = 128;
const CASES = {
  encoder: { name: `encoder, ${TOKENS} tokens`, folder: path.join(root, 'zoo/text-spam'), input: 'input_ids' },
  image: { name: 'image model', folder: path.join(root, 'zoo/image-imagenet'), input: 'pixel_values' },
} as const;
type CaseName = keyof typeof CASES;

const { values: flags } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    only: { type: 'string' },
    case: { type: 'string', multiple: true, default: ['encoder', 'image'] },
    memory: { type: 'string' },
  },
});
const { quick } = flags;
const RUNS = quick ? 1 : 5;
/** Of what takes longer than LONG_MS. */
const LONG_RUNS = quick ? 1 : 2;
const LONG_MS = 10_000;

interface Row {
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

function rowsOf(key: CaseName): readonly Row[] {
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

interface Answer {
  readonly ms?: number;
  readonly mib?: number;
  readonly logits?: readonly number[];
  readonly scores?: string;
  readonly error?: string;
}

/** A Python process that answers one request at a time. */
class Peer {
  readonly #child;
  readonly #lines;
  constructor() {
    const python = process.env['ONNXRAY_PYTHON'] ?? 'python3';
    const threads = String(THREADS);
    this.#child = spawn(python, [path.join(import.meta.dirname, 'server.py')], {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: { ...process.env, OMP_NUM_THREADS: threads, MKL_NUM_THREADS: threads, OPENBLAS_NUM_THREADS: threads },
    });
    this.#lines = createInterface(this.#child.stdout)[Symbol.asyncIterator]();
  }
  async ask(request: object): Promise<Answer> {
    this.#child.stdin.write(`${JSON.stringify(request)}\n`);
    const { value, done } = await this.#lines.next();
    if (done === true) throw new Error('the Python side ended: is ONNXRAY_PYTHON the one with requirements.txt?');
    return JSON.parse(value) as Answer;
  }
  open(key: CaseName, inputs: NamedTensors, target: number): Promise<Answer> {
    const sent = Object.entries(inputs).map(([name, { type, dims, data }]) => {
      const { buffer, byteOffset, byteLength } = data as Float32Array;
      return [name, { type, dims, data: Buffer.from(buffer, byteOffset, byteLength).toString('base64') }];
    });
    return this.ask({ do: 'open', root, case: key, threads: THREADS, target, inputs: Object.fromEntries(sent) });
  }
  close(): void {
    this.#child.stdin.end();
  }
}

/** A real e-mail cut to the length, or a real photograph. */
async function inputsOf(key: CaseName, model: ExplainableModel): Promise<NamedTensors> {
  if (key === 'image')
    return (await encodeImage(path.join(root, 'zoo/photographs/cat.jpg'), model.inputs, model.folder.preprocessor))
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

const TARGETS = { encoder: 1, image: 282 } as const;

async function explain(key: CaseName, model: ExplainableModel, inputs: NamedTensors, { method, options }: Row) {
  const target = { label: String(TARGETS[key]), indices: [TARGETS[key]] };
  const started = performance.now();
  const { explanation, answer } = await attribute(model.host, { inputs, method, options, target });
  return { ms: performance.now() - started, scores: explanation.attributions[CASES[key].input]!.data, answer };
}

const median = (values: readonly number[]) =>
  values.toSorted((left, right) => left - right)[Math.floor(values.length / 2)]!;

function cosine(left: ArrayLike<number>, right: ArrayLike<number>): number {
  if (left.length !== right.length) throw new Error(`${left.length} scores against ${right.length}`);
  let [both, one, other] = [0, 0, 0];
  for (let at = 0; at < left.length; at++) {
    both += left[at]! * right[at]!;
    one += left[at]! ** 2;
    other += right[at]! ** 2;
  }
  return both / Math.sqrt(one * other);
}

/** The high-water mark of this process alone: rusage's is the parent's until a child outgrows it. */
const peakMiB = () => Number(/VmHWM:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))![1]) / 1024;

const open = (key: CaseName) => ExplainableModel.open(CASES[key].folder, { threads: THREADS, cache: false });

/** What a child process does to have its memory measured. */
async function measureMemory(key: CaseName, at: number): Promise<void> {
  const model = await open(key);
  const row = rowsOf(key)[at]!;
  await explain(key, model, await inputsOf(key, model), { ...row, options: few(row.options) });
  console.log(peakMiB());
}

function ourMemory(key: CaseName, at: number): number {
  const tsx = fileURLToPath(import.meta.resolve('tsx'));
  const args = ['--import', tsx, import.meta.filename, '--memory', `${key}:${at}`, ...(quick ? ['--quick'] : [])];
  const child = spawnSync(process.execPath, args, { encoding: 'utf8' });
  if (child.status !== 0) throw new Error(child.stderr);
  return Number(child.stdout);
}

async function peerMemory(key: CaseName, inputs: NamedTensors, method: string, options: Row['given']): Promise<number> {
  const peer = new Peer();
  await peer.open(key, inputs, TARGETS[key]);
  await peer.ask({ do: 'explain', method, options });
  const { mib } = await peer.ask({ do: 'peak' });
  peer.close();
  return mib!;
}

/** A few of the samples or steps, to warm up. */
const few = <T extends object>(options: T): T => {
  const counts = Object.entries(options).filter(([name]) => /samples|steps/.test(name));
  return { ...options, ...Object.fromEntries(counts.map(([name, count]) => [name, Math.min(160, Number(count))])) };
};

async function compare(key: CaseName): Promise<string[][]> {
  const [model, peer] = [await open(key), new Peer()];
  const inputs = await inputsOf(key, model);
  const { logits } = await peer.open(key, inputs, TARGETS[key]);
  const ask = async (method: string, options: Row['given']): Promise<Answer> => {
    const answer = await peer.ask({ do: 'explain', method, options, scores: true });
    if (answer.error !== undefined) throw new Error(`${method} on the ${key}: ${answer.error}`);
    return answer;
  };
  const result: string[][] = [];
  for (const [at, row] of rowsOf(key).entries()) {
    if (flags.only !== undefined && !`${key} ${row.name}`.includes(flags.only)) continue;
    const peers = row.missing === undefined ? Object.entries(row.peers) : [];
    const first = await explain(key, model, inputs, { ...row, options: few(row.options) });
    const off = Math.max(...Array.from(first.answer.data as Float32Array, (each, i) => Math.abs(each - logits![i]!)));
    if (!(off < 1e-4)) throw new Error(`the two ${key} models differ by ${off}`);
    for (const [, call] of peers) await ask(call, few(row.given));
    const ours: number[] = [];
    const theirs = peers.map((): number[] => []);
    const found = { ours: first.scores as ArrayLike<number>, peers: peers.map(() => new Float32Array()) };
    let runs = RUNS;
    for (let run = 0; run < runs; run++) {
      for (const [each, [, call]] of peers.entries()) {
        const { ms, scores } = await ask(call, row.given);
        theirs[each]!.push(ms!);
        found.peers[each] = new Float32Array(Uint8Array.from(Buffer.from(scores!, 'base64')).buffer);
      }
      const { ms, scores } = await explain(key, model, inputs, row);
      ours.push(ms);
      found.ours = scores;
      if (ms > LONG_MS) runs = LONG_RUNS;
    }
    const [o, om] = [median(ours), ourMemory(key, at)];
    if (row.missing !== undefined)
      result.push([row.name, CASES[key].name, row.missing, o.toFixed(0), '', '', om.toFixed(0), '']);
    for (const [each, [name, call]] of peers.entries()) {
      const [p, pm] = [median(theirs[each]!), await peerMemory(key, inputs, call, few(row.given))];
      const cells = [
        `${row.name}, against ${name}`,
        CASES[key].name,
        p.toFixed(0),
        o.toFixed(0),
        `${(p / o).toFixed(2)} x`,
      ];
      result.push([...cells, pm.toFixed(0), om.toFixed(0), cosine(found.ours, found.peers[each]!).toFixed(4)]);
    }
    console.error(
      result
        .slice(-Math.max(1, peers.length))
        .map((cells) => cells.join(' | '))
        .join('\n'),
    );
  }
  peer.close();
  await model.release();
  return result;
}

if (flags.memory !== undefined) {
  const [key, at] = flags.memory.split(':');
  await measureMemory(key as CaseName, Number(at));
} else {
  const pinned = readFileSync(path.join(import.meta.dirname, 'requirements.txt'), 'utf8');
  const versions = [...pinned.matchAll(/^(torch|captum|shap|lime)==(.+)$/gm)].map(([, name, version]) =>
    [name, version].join(' '),
  );
  // A block for each model: an interrupted run leaves the half that is done.
  for (const key of ['encoder', 'image'] as const) {
    if (!flags.case.includes(key)) continue;
    const report = [
      `onnxruntime-node ${VERSIONS['onnxruntime']} against ${versions.join(', ')}; ${THREADS} threads, medians of ${RUNS} alternating runs (${LONG_RUNS} where one takes over ${LONG_MS / 1000} s), ${new Date().toISOString().slice(0, 10)}.`,
      table(
        [
          'method',
          'model',
          'peer, ms',
          'onnxray, ms',
          'peer / onnxray',
          'peer, MiB',
          'onnxray, MiB',
          'cosine of scores',
        ],
        await compare(key),
      ),
    ].join('\n\n');
    console.log(report);
    if (!quick && flags.only === undefined) writeBlock(path.join(root, 'bench/README.md'), `peers-${key}`, report);
  }
}
