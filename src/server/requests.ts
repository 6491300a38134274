/** What the page may ask for, read from JSON with every field checked. */
import { PATCHES, findAnalysis } from '../attention/index.ts';
import { findBaseline } from '../attribution/index.ts';
import type { ExplainOptions, Subject } from '../attribution/index.ts';
import type { AnalysisRequest, PatchingRequest } from '../jobs/index.ts';
import { UsageError } from '../onnx/index.ts';

export interface ExplainBody {
  readonly subject: Subject;
  readonly options: Omit<ExplainOptions, 'signal' | 'onProgress'> & { readonly method: string };
}

/** Bytes of a picture that was sent before, by its id. */
export type PictureLookup = (id: string) => Uint8Array;

export function readExplainBody(body: unknown, pictures: PictureLookup): ExplainBody {
  const fields = record(body, 'the request');
  const target = optionalText(fields, 'target');
  const output = optionalText(fields, 'output');
  const layer = optionalText(fields, 'layer');
  const baseline = optionalText(fields, 'baseline');
  const named = findBaseline(baseline);
  if (baseline !== undefined && named === undefined) throw new UsageError('that baseline is not known');
  const seed = fields['seed'] ?? 0;
  if (typeof seed !== 'number' || !Number.isInteger(seed) || seed < 0) throw new UsageError('"seed" is a whole number');
  return {
    subject: readSubjectBody(fields['subject'], pictures),
    options: {
      method: optionalText(fields, 'method') ?? 'integrated-gradients',
      options: readOptionsBody(fields['options']),
      seed,
      ...(target === undefined ? {} : { target }),
      ...(output === undefined ? {} : { output }),
      ...(layer === undefined ? {} : { layer }),
      ...(named === undefined ? {} : { baseline: named }),
    },
  };
}

export function readAnalysisBody(body: unknown, pictures: PictureLookup): AnalysisRequest {
  const fields = record(body, 'the request');
  const head = fields['head'] ?? undefined;
  if (head !== undefined && (typeof head !== 'number' || !Number.isInteger(head) || head < 0))
    throw new UsageError('"head" is a whole number');
  return {
    subject: readSubjectBody(fields['subject'], pictures),
    analysis: findAnalysis(optionalText(fields, 'analysis') ?? 'probabilities').name,
    layer: optionalText(fields, 'layer'),
    head,
    target: optionalText(fields, 'target'),
    options: readOptionsBody(fields['options']),
  };
}

export function readPatchingBody(body: unknown, pictures: PictureLookup): PatchingRequest {
  const fields = record(body, 'the request');
  const given = optionalText(fields, 'what') ?? 'stream';
  const what = PATCHES.find((each) => each === given);
  if (what === undefined) throw new UsageError(`"what" is one of ${PATCHES.join(', ')}`);
  return {
    clean: readSubjectBody(fields['clean'], pictures),
    corrupted: readSubjectBody(fields['corrupted'], pictures),
    what,
    target: optionalText(fields, 'target'),
  };
}

export function readSubjectBody(value: unknown, pictures: PictureLookup): Subject {
  const fields = record(value, '"subject"');
  const picture = optionalText(fields, 'picture');
  const text = optionalText(fields, 'text');
  if (picture !== undefined)
    return text === undefined ? { image: pictures(picture) } : { image: pictures(picture), text };
  if (text === undefined) throw new UsageError('"subject" has a text or a picture');
  const pair = optionalText(fields, 'pair');
  return pair === undefined ? { text } : { text, pair };
}

function readOptionsBody(value: unknown): Readonly<Record<string, string | number | boolean>> {
  if (value === undefined) return {};
  const options: Record<string, string | number | boolean> = {};
  for (const [name, option] of Object.entries(record(value, '"options"'))) {
    if (typeof option !== 'string' && typeof option !== 'number' && typeof option !== 'boolean')
      throw new UsageError(`option "${name}" is a text, a number, true or false`);
    options[name] = option;
  }
  return options;
}

export function record(value: unknown, what: string): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new UsageError(`${what} is not a JSON object`);
  return Object.fromEntries(Object.entries(value));
}

function optionalText(fields: Readonly<Record<string, unknown>>, name: string): string | undefined {
  const value = fields[name];
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'string') throw new UsageError(`"${name}" is a text`);
  return value;
}
