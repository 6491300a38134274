/** Explanations to JSON and back. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Explanation, Scores } from '../../src/explanation/index.ts';
import { parseExplanation, serializeExplanation } from '../../src/explanation/index.ts';
import { sizeOf } from '../../src/onnx/index.ts';

// JSON has no -0.
const plain = (value: number) => (Object.is(value, -0) ? 0 : value);
const finite = fc.double({ noNaN: true, noDefaultInfinity: true }).map(plain);
const name = fc.string({ minLength: 1, unit: 'grapheme' }).filter((text) => text !== '__proto__');
const dims = fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 4 });
const scores: fc.Arbitrary<Scores> = fc.tuple(dims, fc.boolean()).chain(([shape, double]) => {
  const values = double ? finite : fc.float({ noNaN: true, noDefaultInfinity: true }).map(plain);
  const size = sizeOf(shape);
  return fc
    .array(values, { minLength: size, maxLength: size })
    .map((data) => ({ dims: shape, data: double ? Float64Array.from(data) : Float32Array.from(data) }));
});
const explanation: fc.Arbitrary<Explanation> = fc.record({
  method: fc.constantFrom('integrated-gradients', 'saliency'),
  options: fc.dictionary(name, fc.oneof(finite, fc.string(), fc.boolean(), fc.constant(null))),
  model: fc.record({ path: fc.string(), sha256: fc.string() }),
  output: fc.string(),
  target: fc.record(
    { label: fc.string({ unit: 'grapheme' }), indices: fc.array(fc.nat()), minus: fc.array(fc.nat()) },
    { requiredKeys: ['label', 'indices'] },
  ),
  value: finite,
  baselineValue: fc.option(finite),
  convergenceDelta: fc.option(finite),
  attributions: fc.dictionary(name, scores),
  tokens: fc.array(fc.string({ unit: 'binary' })),
  warnings: fc.array(fc.string()),
  runtime: fc.record({
    provider: fc.constant('cpu'),
    threads: fc.nat(),
    ms: finite,
    passes: fc.nat(),
    versions: fc.constant({ onnxray: '0.1.0' }),
  }),
});

const example = fc.sample(explanation, { numRuns: 1, seed: 1 })[0]!;

describe('an explanation', () => {
  it('reads back from JSON as it was, every score to the last bit', () => {
    fc.assert(
      fc.property(explanation, (given) => {
        // fast-check's dictionaries have no prototype; documents have.
        expect(parseExplanation(serializeExplanation(given))).toEqual(structuredClone(given));
      }),
    );
  });

  it.each([
    ['a score', { attributions: { x: { dims: [2], data: Float32Array.of(1, Number.NaN) } } }],
    ['a value', { value: Number.POSITIVE_INFINITY }],
    ['a gap', { convergenceDelta: Number.NaN }],
    ['a time', { runtime: { ...example.runtime, ms: Number.NaN } }],
  ])('with %s that is not a finite number is refused', (_, part) => {
    expect(() => serializeExplanation({ ...example, ...part })).toThrow(/cannot hold (?:NaN|Infinity)/);
  });

  it.each([
    ['something else', '[]', /JSON object/],
    ['a document without its method', '{}', /"method" is missing/],
    ['scores without dims', change({ x: { data: [1] } }), /"attributions\.x" needs number arrays/],
    ['scores that are no numbers', change({ x: { dims: [1], data: [null] } }), /needs number arrays/],
    ['too few scores', change({ x: { dims: [2, 2], data: [1] } }), /1 scores for dims \[2, 2\]/],
  ])('is not read from %s', (_, json, message) => {
    expect(() => parseExplanation(json)).toThrow(message);
  });
});

function change(attributions: object): string {
  return JSON.stringify({ ...(JSON.parse(serializeExplanation(example)) as object), attributions });
}
