/** The state of the page, without a page: the address and the history of a browser are stood in for. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { StateStore } from '../../studio/src/frame/state.ts';

let replaceState: ReturnType<typeof vi.fn>;

beforeEach(() => {
  vi.useFakeTimers();
  replaceState = vi.fn();
  vi.stubGlobal('location', { hash: '#/text' });
  vi.stubGlobal('history', { replaceState });
  vi.stubGlobal('addEventListener', vi.fn());
});
afterEach(() => {
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

const address = (): unknown => replaceState.mock.lastCall?.[2];

describe('the state of the page', () => {
  it('is in the address at once, and while it keeps changing a few times a second at most', () => {
    const store = new StateStore();
    store.change({ text: 'a' });
    expect(address()).toBe('#/text?text=a');
    for (let i = 0; i < 300; i++) {
      store.change({ text: `a${i}` });
      vi.advanceTimersByTime(100);
    }
    // Safari refuses more than 100 in 30 s.
    expect(replaceState.mock.calls.length).toBeLessThan(90);
    vi.runAllTimers();
    expect(address()).toBe('#/text?text=a299');
  });

  it('is in the address when somebody is about to copy it', () => {
    const store = new StateStore();
    store.change({ text: 'a' });
    store.change({ text: 'ab' });
    store.flush();
    expect(address()).toBe('#/text?text=ab');
  });

  it('is told to the page even where the browser refuses the address, which is tried again', () => {
    replaceState.mockImplementationOnce(() => {
      throw new Error('SecurityError');
    });
    const store = new StateStore();
    const told = vi.fn();
    store.subscribe(told);
    store.change({ text: 'a' });
    expect(told).toHaveBeenCalledTimes(1);
    expect(store.get().state.params).toEqual({ text: 'a' });
    vi.runAllTimers();
    expect(replaceState).toHaveBeenCalledTimes(2);
  });

  it('remembers a bounded past', () => {
    const steps = (store: StateStore): number => {
      let undone = 0;
      for (; store.get().canUndo; undone++) store.undo();
      return undone;
    };
    const many = new StateStore();
    for (let i = 0; i < 500; i++) {
      many.change({ layer: String(i) });
      vi.advanceTimersByTime(2000);
    }
    expect(steps(many)).toBe(100);
    const long = new StateStore();
    for (let i = 0; i < 20; i++) {
      long.change({ text: String(i).repeat(500_000) });
      vi.advanceTimersByTime(2000);
    }
    expect(steps(long)).toBeLessThan(10);
    expect(steps(long)).toBe(0);
  });
});
