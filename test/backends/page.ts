/** Runs in a page of Chromium, called by the tests. */
import {
  ExplainableModel,
  ModelHost,
  openWebSession,
  readImage,
  renderExplanation,
  topPatches,
  visualisationSheet,
  visualiseFeatures,
} from '../../src/browser.ts';
import type { Explanation, ExplainOptions, Pixels, WebHostOptions } from '../../src/browser.ts';
import type { Program } from './cases.ts';
import type { WireOutcome, WireProgram } from './wire.ts';
import { packOutcome, unpackProgram } from './wire.ts';

/** What a page is asked to explain: typed arrays do not get there. */
export type PageSubject =
  | { readonly text: string }
  | { readonly image: Omit<Pixels, 'data'> & { readonly data: readonly number[] } };

/** Runs programs one after another, in this thread. */
export async function runPrograms(
  programs: readonly WireProgram[],
  provider: 'wasm' | 'webgpu',
): Promise<WireOutcome[]> {
  const outcomes: WireOutcome[] = [];
  for (const program of programs) {
    const { model, feeds, weights } = unpackProgram(program);
    try {
      const session = await openWebSession(model, { provider, threads: 1, files: await filesOf(weights) });
      try {
        outcomes.push(session.fallback ?? packOutcome(await session.run(feeds)));
      } finally {
        await session.release();
      }
    } catch (error) {
      outcomes.push(error instanceof Error ? error.message : String(error));
    }
  }
  return outcomes;
}

/** The files that weights are in, as the server has them. */
const filesOf = (weights: Program['weights']) =>
  Promise.all(
    (weights?.files ?? []).map(async (file) => {
      const data = await (await fetch(`/${weights!.folder}/${file}`)).blob();
      return { path: file, data };
    }),
  );

/** Explains one of the embedded models. */
export async function explain(
  model: string,
  subject: PageSubject,
  host: WebHostOptions,
  options: ExplainOptions,
): Promise<{ readonly explanation: Explanation; readonly scores: readonly number[] }> {
  const open = await ExplainableModel.open(`/zoo/${model}/`, host);
  try {
    const given =
      'text' in subject ? subject : { image: { ...subject.image, data: Uint8Array.from(subject.image.data) } };
    const { explanation } = await open.explain(given, options);
    return { explanation: { ...explanation, attributions: {} }, scores: [...firstScores(explanation)] };
  } finally {
    await open.release();
  }
}

const firstScores = ({ attributions }: Explanation): Iterable<number> => Object.values(attributions)[0]!.data;

/** What excites a channel of an embedded model most: of a photograph, and in a few steps of gradient ascent. */
export async function visualise(model: string, photograph: string, layer: string, channel: number) {
  const open = await ExplainableModel.open(`/zoo/${model}/`);
  try {
    const patches = await topPatches(open, [photograph], { layer, channels: [channel] });
    const found = await visualiseFeatures(open, { layer, channels: [channel] }, { options: { steps: 2 } });
    const [patch] = patches.units[0]!.pictures;
    const { value, startValue } = found.units[0]!.pictures[0]!;
    const sheet = await visualisationSheet(found);
    return {
      patch: { value: patch!.value, ...patch!.source! },
      found: { value, startValue },
      drawn: sheet.slice(0, 4),
    };
  } finally {
    await open.release();
  }
}

export async function decode(url: string): Promise<number[]> {
  return Array.from((await readImage(url)).data);
}

/** Aborts while rows are going through the model, and asks again. */
export async function giveUp(model: string, text: string): Promise<object> {
  const open = await ExplainableModel.open(model);
  const controller = new AbortController();
  let progressed = false;
  const options = { method: 'integrated-gradients', options: { steps: 64 }, memoryBudget: 1 };
  const thrown = await open
    .explain(
      { text },
      {
        ...options,
        signal: controller.signal,
        onProgress(done, total) {
          progressed ||= done < total;
          setTimeout(() => controller.abort('enough'), 1);
        },
      },
    )
    .catch((reason: unknown) => reason);
  const { explanation } = await open.explain({ text }, { method: 'saliency' });
  await open.release();
  return { thrown, progressed, again: explanation.predictions?.[0]?.label };
}

export async function draw(model: string, text: string): Promise<object> {
  const open = await ExplainableModel.open(model);
  const { explanation } = await open.explain({ text }, { method: 'saliency' });
  await open.release();
  const [svg, html] = [
    await renderExplanation(explanation, { format: 'svg' }),
    await renderExplanation(explanation, { format: 'html' }),
  ];
  const png = await renderExplanation(explanation, { format: 'png' });
  return { svg: svg.slice(0, 4), html: html.slice(0, 15), png: Array.from(png.subarray(0, 4)) };
}

/** What a person reads when something is wrong. */
export async function refuse(): Promise<string[]> {
  const message = (error: unknown) => (error instanceof Error ? error.message : String(error));
  return Promise.all([
    ExplainableModel.open('/zoo/nowhere/').then(String, message),
    ModelHost.open(new Uint8Array([1, 2, 3]), { name: 'mine.onnx' }).then(String, message),
    readImage(new Blob(['no picture'])).then(String, message),
  ]);
}
