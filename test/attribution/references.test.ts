import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ModelHost } from '../../src/runtime/index.ts';
import { attributeCase, fixtures, hasMethod, openFixture, relativeError } from './references.ts';

/** What float32 allows, and float64: references are computed in float64 on the same weights. */
const tolerance = (name: string) => (name.endsWith('-float64') ? 1e-6 : 1e-4);

describe.each(fixtures())('on the $name the scores equal those of the reference', (fixture) => {
  let host: ModelHost;
  beforeAll(async () => {
    host = await openFixture(fixture);
  });
  afterAll(() => host.release());

  for (const each of fixture.cases.filter(({ method }) => hasMethod(method))) {
    const place = [each.layer, each.neuron?.join()].filter(Boolean).join(' ');
    const options = Object.entries(each.options).map(([key, value]) => `${key}=${value}`);
    test(`${[each.method, ...options, place].filter(Boolean).join(' ')} (${each.reference}${each.differs ? `, on purpose not: ${each.differs}` : ''})`, async () => {
      const explanation = await attributeCase(host, fixture, each);
      for (const { data } of Object.values(explanation.attributions))
        expect(data).toBeInstanceOf(fixture.name.endsWith('-float64') ? Float64Array : Float32Array);
      if (each.neuron === undefined) expect(explanation.value).toBeCloseTo(fixture.answer[fixture.target]!, 4);
      if (each.differs === undefined) expect(relativeError(explanation, each)).toBeLessThan(tolerance(fixture.name));
      // Where the reference is not complete, ours is.
      else {
        const theirs = each.scores[fixture.input]!.data.reduce((sum, score) => sum + score, 0);
        const change = explanation.value - explanation.baselineValue!;
        expect(Math.abs(each.gap!)).toBeGreaterThan(1e-2);
        expect(theirs - change).toBeCloseTo(each.gap!, 5);
        expect(Math.abs(explanation.convergenceDelta!)).toBeLessThan(1e-5);
      }
    });
  }
});
