import { describe, expect, it } from 'vitest';
import { explanationsOf, hasTurn, withOutcome } from '../../studio/src/frame/outcomes.ts';
import type { Outcome, Outcomes } from '../../studio/src/frame/outcomes.ts';

const explanation = { method: 'saliency' };
const none: Outcomes<typeof explanation> = new Map();
const answered: Outcome<typeof explanation> = { model: 'spam', subject: 'a text', explanation };

describe('the turns of methods', () => {
  const order = ['saliency', 'occlusion', 'lime'];

  it('wait for those before them', () => {
    expect(hasTurn(none, order, 'saliency', 'spam')).toBe(true);
    expect(hasTurn(none, order, 'occlusion', 'spam')).toBe(false);
    expect(hasTurn(withOutcome(none, 'saliency', answered), order, 'occlusion', 'spam')).toBe(true);
  });

  it('go on after a method that failed or was cancelled', () => {
    const failed = withOutcome(none, 'saliency', { ...answered, explanation: undefined });
    expect(hasTurn(failed, order, 'occlusion', 'spam')).toBe(true);
    expect(hasTurn(failed, order, 'lime', 'spam')).toBe(false);
  });

  it('begin again with another model', () => {
    expect(hasTurn(withOutcome(none, 'saliency', answered), order, 'occlusion', 'emoji')).toBe(false);
  });
});

describe('the results of a room', () => {
  const all = withOutcome(none, 'saliency', answered);

  it('are of the model shown, and where it matters of its text', () => {
    expect(explanationsOf(all, { model: 'spam' }).get('saliency')).toBe(explanation);
    expect(explanationsOf(all, { model: 'spam', subject: 'a text' }).size).toBe(1);
    expect(explanationsOf(all, { model: 'emoji' }).size).toBe(0);
    expect(explanationsOf(all, { model: 'spam', subject: 'another text' }).size).toBe(0);
  });

  it('hold nothing of a method that failed since', () => {
    const failed = withOutcome(all, 'saliency', { ...answered, explanation: undefined });
    expect(explanationsOf(failed, { model: 'spam' }).size).toBe(0);
  });

  it('are the same map where nothing is new', () => {
    expect(withOutcome(all, 'saliency', { ...answered })).toBe(all);
  });
});
