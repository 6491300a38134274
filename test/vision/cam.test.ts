import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { attribute } from '../../src/attribution/index.ts';
import type { Explanation } from '../../src/explanation/index.ts';
import { numbersToData } from '../../src/onnx/index.ts';
import { ModelHost } from '../../src/runtime/index.ts';

const FOLDER = path.join(import.meta.dirname, 'fixtures');

interface Case {
  readonly method: string;
  readonly reference: string;
  readonly options: Readonly<Record<string, string | number | boolean>>;
  readonly layer?: string;
  readonly dims: readonly number[];
  readonly data: readonly number[];
}

interface Fixture {
  readonly name: string;
  readonly dims: readonly number[];
  readonly data: readonly number[];
  readonly answer: readonly number[];
  readonly target: number;
  /** The layer that is found without --layer. */
  readonly found: string;
  readonly cases: readonly Case[];
}

const fixtures = readdirSync(FOLDER)
  .filter((file) => file.endsWith('.json'))
  .map((file): Fixture => {
    const document = JSON.parse(readFileSync(path.join(FOLDER, file), 'utf8')) as Omit<Fixture, 'name'>;
    return Object.assign(document, { name: path.basename(file, '.json') });
  });

async function draw(host: ModelHost, fixture: Fixture, { method, options, layer }: Case): Promise<Explanation> {
  const request = {
    inputs: { x: { type: 'float32', dims: fixture.dims, data: numbersToData('float32', fixture.data) } },
    method,
    options,
    target: { label: String(fixture.target), indices: [fixture.target] },
    ...(layer === undefined ? {} : { layer }),
  } as const;
  return (await attribute(host, request)).explanation;
}

describe.each(fixtures)('maps of the model “$name” equal those of the references', (fixture) => {
  let host: ModelHost;
  beforeAll(async () => {
    host = await ModelHost.open(path.join(FOLDER, `${fixture.name}.onnx`), { cache: false, threads: 1 });
  });
  afterAll(() => host.release());

  test.each(fixture.cases)('$method $options at $layer ($reference)', async (each) => {
    const { attributions, options, value } = await draw(host, fixture, each);
    const [key, scores] = Object.entries(attributions)[0]!;
    expect(Object.keys(attributions)).toHaveLength(1);
    // Maps over the picture are at the input, the others at their layer.
    if (each.dims.length === 4) expect(key).toBe('x');
    else expect(key).toBe(each.layer ?? fixture.found);
    if (each.method !== 'full-grad') expect(options['layer']).toBe(each.layer ?? fixture.found);
    expect(value).toBeCloseTo(fixture.answer[fixture.target]!, 4);
    expect(scores!.dims).toEqual(each.dims);
    let [difference, size] = [0, 0];
    each.data.forEach((theirs, at) => {
      difference += (scores!.data[at]! - theirs) ** 2;
      size += theirs ** 2;
    });
    expect(Math.sqrt(difference / Math.max(size, 1e-12))).toBeLessThan(1e-4);
  });
});
