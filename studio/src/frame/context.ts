import { createContext } from 'preact';
import { useCallback, useContext, useEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { Language, Theme } from 'onnxray/views';
import type { Engine, ModelSummary, Studio } from '../engine/engine.ts';
import type { JobStore } from './jobs.ts';
import type { History, StateStore } from './state.ts';

/** What every room is given by the frame. */
export interface Frame {
  readonly engine: Engine;
  readonly studio: Studio;
  readonly models: readonly ModelSummary[];
  readonly language: Language;
  readonly theme: Theme;
  readonly state: StateStore;
  readonly jobs: JobStore;
  /** Pictures dropped in this session; they are not part of an address. */
  readonly pictures: ReadonlyMap<string, Blob>;
  readonly drop: (files: readonly File[]) => void;
  /** Fetches a model by its name on the hub, and shows it. */
  readonly fetchModel: (name: string) => void;
  /** Forgets a model that was dropped or fetched. */
  readonly removeModel: (model: ModelSummary) => void;
  /** Keeps a picture, and says by which id. */
  readonly keepPicture: (picture: Blob) => string;
  /** What a room does with a picture dropped on the page; without one it goes to the Images room. */
  readonly pictureDrop: { taker: ((id: string) => void) | undefined };
}

/** How things look, for parts that are shown outside of the studio too. */
export interface Look {
  readonly language: Language;
  readonly theme: Theme;
}

export const LookContext = createContext<Look>({ language: 'en', theme: 'light' });

export function useLook(): Look {
  return useContext(LookContext);
}

export const FrameContext = createContext<Frame | undefined>(undefined);

export function useFrame(): Frame {
  const frame = useContext(FrameContext);
  if (frame === undefined) throw new Error('a room is shown outside of the frame');
  return frame;
}

interface Store<T> {
  readonly subscribe: (listener: () => void) => () => void;
  readonly get: () => T;
}

export function useStore<T>(store: Store<T>): T {
  const [value, setValue] = useState(store.get);
  useEffect(() => {
    setValue(store.get());
    return store.subscribe(() => setValue(store.get()));
  }, [store]);
  return value;
}

export function useHistory(): History {
  return useStore<History>(useFrame().state);
}

/** A parameter of the address and how to change it; the default stays out of the address. */
export function useParam(name: string, fallback: string): [string, (value: string) => void] {
  const { state } = useFrame();
  const value = useHistory().state.params[name] ?? fallback;
  return [value, (next) => state.change({ [name]: next === fallback ? undefined : next })];
}

/** The words of a room in the reader's language. */
export function useWords<T>(words: Readonly<Record<Language, T>>): T {
  return words[useFrame().language];
}

/** The model of the address if it suits, else the first that does. */
export function useModel(suits: (model: ModelSummary) => boolean): ModelSummary | undefined {
  const { models } = useFrame();
  const { model } = useHistory().state.params;
  const wanted = models.find(({ id }) => id === model);
  return wanted !== undefined && suits(wanted) ? wanted : models.find(suits);
}

export interface Result<T> {
  readonly value: T | undefined;
  readonly error: string | undefined;
  readonly running: boolean;
  /** The value answers an earlier question. */
  readonly stale: boolean;
  /** The question has ended, well or with an error. */
  readonly settled: boolean;
  /** Asks the same question once more. */
  readonly retry: () => void;
}

/** An earlier run of the same question is given this long to end by itself: stopping one costs a new process. */
const PATIENCE_MS = 700;

/**
 * Runs `work` whenever `key` changes, `delay` ms after the last change; the latest wins, and what is shown stays until it
 * answers. A key of undefined runs nothing.
 */
export function useJob<T>(
  key: string | undefined,
  label: string,
  work: (control: { signal: AbortSignal; onProgress: (done: number, total: number) => void }) => Promise<T>,
  delay = 0,
): Result<T> {
  const { jobs } = useFrame();
  const [result, setResult] = useState<{ key: string | undefined; value: T | undefined; error: string | undefined }>({
    key: undefined,
    value: undefined,
    error: undefined,
  });
  const [attempt, setAttempt] = useState(0);
  const before = useRef<Promise<unknown>>(Promise.resolve());
  const asked = useRef(false);
  const latest = useRef(work);
  latest.current = work;
  useEffect(() => {
    if (key === undefined) return undefined;
    const controller = new AbortController();
    let superseded = false;
    // Nobody types before the first question.
    const wait = asked.current ? delay : 0;
    asked.current = true;
    const timer = setTimeout(() => {
      const run = before.current
        .then(() => (superseded ? undefined : jobs.run(label, (control) => latest.current(control), controller.signal)))
        .then(
          (value) => {
            if (!superseded && value !== undefined) setResult({ key, value, error: undefined });
          },
          (error: unknown) => {
            if (superseded) return;
            setResult((old) => ({ key, value: old.value, error: isCancelled(error) ? '' : messageOf(error) }));
          },
        );
      before.current = run;
    }, wait);
    return () => {
      superseded = true;
      clearTimeout(timer);
      setTimeout(() => controller.abort(new DOMException('superseded', 'AbortError')), PATIENCE_MS);
    };
  }, [key, attempt]);
  const retry = useCallback(() => {
    setResult((old) => ({ key: undefined, value: old.value, error: undefined }));
    setAttempt((now) => now + 1);
  }, []);
  return useMemo(
    () => ({
      value: result.value,
      error: result.key === key ? result.error : undefined,
      running: key !== undefined && result.key !== key,
      stale: result.key !== key || result.error !== undefined,
      settled: key !== undefined && result.key === key,
      retry,
    }),
    [result, key],
  );
}

/** Whether somebody stopped it, rather than something. */
export function isCancelled(error: unknown): boolean {
  return error instanceof DOMException && error.name === 'AbortError';
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
