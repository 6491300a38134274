import type { ComponentType } from 'preact';
import { useCallback, useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { levelStyles } from 'onnxray/views';
import type { Language, Theme } from 'onnxray/views';
import type { Control, Engine, ModelSummary, Studio } from '../engine/engine.ts';
import { enginesHere, openEngine } from '../engine/open.ts';
import { FrameContext, LookContext, isCancelled, messageOf, useStore } from './context.ts';
import type { Frame } from './context.ts';
import { ErrorText } from './error-text.tsx';
import { JobStore } from './jobs.ts';
import { mark } from './marks.ts';
import { readChoice } from './params.ts';
import { ROOMS } from './rooms.ts';
import { StateStore } from './state.ts';
import { JobBar } from './job-bar.tsx';
import { DropVeil, filesOf, kindOfDrop } from './drop.tsx';
import { TopBar } from './top-bar.tsx';
import { WORDS } from './words.ts';
import type { Words } from './words.ts';

const state = new StateStore();
const jobs = new JobStore();
const engines = enginesHere();

export function App() {
  const [running, setRunning] = useState<{ engine: Engine; studio: Studio } | undefined>();
  const [failure, setFailure] = useState<string | undefined>();
  const [taken, setTaken] = useState<readonly ModelSummary[]>([]);
  const [removed, setRemoved] = useState<ReadonlySet<string>>(new Set());
  const [pictures, setPictures] = useState<ReadonlyMap<string, Blob>>(new Map());
  const kept = useRef(0);
  const pictureDrop = useRef<Frame['pictureDrop']>({ taker: undefined }).current;
  const [notice, setNotice] = useState<string | undefined>();
  const [language, setLanguage] = useSetting<Language>('language', ['en', 'zh'], () =>
    navigator.language.toLowerCase().startsWith('zh') ? 'zh' : 'en',
  );
  const [theme, setTheme] = useSetting<Theme>('theme', ['light', 'dark'], () =>
    matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light',
  );
  const { state: view } = useStore(state);
  const words = WORDS[language];
  const kind = readChoice(view.params['engine'], engines, engines[0]!);
  const started = running?.engine.kind === kind ? running : undefined;

  useEffect(() => {
    mark('app');
    let gone = false;
    const opening = openEngine(kind);
    opening
      .then(async (engine) => {
        const studio = await engine.start();
        mark('engine');
        if (!gone) setRunning({ engine, studio });
      })
      .catch((error: unknown) => {
        if (!gone) setFailure(messageOf(error));
      });
    return () => {
      gone = true;
      setTaken([]);
      setRemoved(new Set());
      setFailure(undefined);
      void opening.then((engine) => engine.close()).catch(() => undefined);
    };
  }, [kind]);
  useEffect(() => applyTheme(theme), [theme]);
  useEffect(() => {
    document.documentElement.lang = language === 'zh' ? 'zh-CN' : 'en';
  }, [language]);
  useEffect(() => {
    const keys = (event: KeyboardEvent): void => {
      const field = event.target instanceof HTMLElement && event.target.matches('input,textarea,select');
      if (field || !(event.ctrlKey || event.metaKey) || event.key.toLowerCase() !== 'z') return;
      event.preventDefault();
      if (event.shiftKey) state.redo();
      else state.undo();
    };
    addEventListener('keydown', keys);
    return () => removeEventListener('keydown', keys);
  }, []);

  const room = ROOMS.find(({ id }) => id === view.room) ?? ROOMS[0]!;
  // Fetched beside the engine, not after it; the room itself says when that fails.
  useEffect(() => void room.load().catch(() => undefined), [room]);
  const models = useMemo(
    () => [...(started?.studio.models ?? []), ...taken].filter(({ id }) => !removed.has(id)),
    [started, taken, removed],
  );
  /** Opens a model under a label, and shows it in its room. */
  const take = useCallback(
    (name: string, open: (control: Control) => Promise<ModelSummary>) => {
      setNotice(undefined);
      jobs.run(WORDS[language].opening(name), open).then(
        (model) => {
          setTaken((all) => [...all, model]);
          state.change({ model: model.id }, { room: 'models' });
        },
        (error: unknown) => setNotice(isCancelled(error) ? WORDS[language].cancelled : messageOf(error)),
      );
    },
    [language],
  );
  const fetchModel = useCallback(
    (name: string) => started && take(name, (control) => started.engine.fetchModel(name, control)),
    [started, take],
  );
  const removeModel = useCallback(
    ({ id }: ModelSummary) => {
      setNotice(undefined);
      started?.engine.remove(id).then(
        () => {
          setRemoved((all) => new Set([...all, id]));
          const { params } = state.get().state;
          // Its target and box go with it; a step of undo would only lead back to a model that is gone.
          if (params['model'] === id)
            state.change({ model: undefined, target: undefined, box: undefined }, { quiet: true });
          if (params['model2'] === id) state.change({ model2: undefined }, { quiet: true });
        },
        (error: unknown) => setNotice(messageOf(error)),
      );
    },
    [started],
  );
  const keepPicture = useCallback((picture: Blob): string => {
    const id = `dropped:${++kept.current}`;
    setPictures((all) => new Map([...all, [id, picture]]));
    return id;
  }, []);
  const drop = useCallback(
    (files: readonly File[]) => {
      if (started === undefined || files.length === 0) return;
      if (kindOfDrop(files) === 'picture') {
        setNotice(undefined);
        const id = keepPicture(files[0]!);
        if (pictureDrop.taker === undefined) state.change({ picture: id, box: undefined }, { room: 'images' });
        else pictureDrop.taker(id);
        return;
      }
      const name = files.find((file) => file.name.endsWith('.onnx'))?.name ?? files[0]!.name;
      take(name, (control) => started.engine.drop(files, control));
    },
    [started, take, keepPicture],
  );
  const frame = useMemo<Frame | undefined>(
    () =>
      started && {
        ...started,
        models,
        language,
        theme,
        state,
        jobs,
        pictures,
        pictureDrop,
        drop,
        fetchModel,
        removeModel,
        keepPicture,
      },
    [started, models, language, theme, pictures, drop, fetchModel, removeModel],
  );

  const look = useMemo(() => ({ language, theme }), [language, theme]);
  return (
    <FrameContext.Provider value={frame}>
      <LookContext.Provider value={look}>
        <a class="skip" href="#main">
          {words.skip}
        </a>
        <TopBar
          {...{ language, setLanguage, theme, setTheme, state, words }}
          room={room.id}
          engine={kind}
          engines={engines}
        />
        <main id="main" tabIndex={-1}>
          {notice !== undefined && (
            <p class="notice" role="alert">
              <ErrorText error={notice} />
              <button type="button" class="quiet" onClick={() => setNotice(undefined)} aria-label={words.dismiss}>
                ×
              </button>
            </p>
          )}
          {failure !== undefined ? (
            <p class="notice" role="alert">
              {words.failed}: <ErrorText error={failure} />
            </p>
          ) : frame === undefined ? (
            <p class="empty" role="status">
              {words.loading}…
            </p>
          ) : (
            <Room key={`${kind} ${room.id}`} load={room.load} title={room.title[language]} words={words} />
          )}
        </main>
        <JobBar jobs={jobs} words={words} />
        <DropVeil
          words={words}
          onDrop={(transfer) => filesOf(transfer).then(drop, (error: unknown) => setNotice(messageOf(error)))}
        />
      </LookContext.Provider>
    </FrameContext.Provider>
  );
}

function Room({
  load,
  title,
  words,
}: {
  readonly load: () => Promise<{ default: ComponentType }>;
  readonly title: string;
  readonly words: Words;
}) {
  const [failed, setFailed] = useState(false);
  const [Loaded, setLoaded] = useState<{ component: ComponentType } | undefined>();
  useEffect(() => {
    let gone = false;
    load().then(
      (module) => {
        mark('room');
        if (!gone) setLoaded({ component: module.default });
      },
      () => {
        if (!gone) setFailed(true);
      },
    );
    return () => {
      gone = true;
    };
  }, [load]);
  useEffect(() => {
    document.title = `${title} · onnxray`;
  }, [title]);
  return (
    <>
      <h1 class="hidden">{title}</h1>
      {failed && (
        <p class="notice" role="alert">
          <span>{words.roomFailed}</span>
          {/* A module that failed stays failed until the page is loaded anew. */}
          <button type="button" class="quiet" onClick={() => location.reload()}>
            {words.reload}
          </button>
        </p>
      )}
      {Loaded !== undefined && <Loaded.component />}
    </>
  );
}

/** A choice that outlives the page; the browser's own preference until one is made. */
function useSetting<T extends string>(name: string, choices: readonly T[], initial: () => T): [T, (value: T) => void] {
  const key = `onnxray.${name}`;
  const [value, setValue] = useState<T>(() => readChoice(stored(key), choices, initial()));
  return [
    value,
    (next) => {
      setValue(next);
      try {
        localStorage.setItem(key, next);
      } catch {
        // A browser that keeps nothing still shows what was chosen.
      }
    },
  ];
}

function stored(key: string): string | undefined {
  try {
    return localStorage.getItem(key) ?? undefined;
  } catch {
    return undefined;
  }
}

const levels = new CSSStyleSheet();

function applyTheme(theme: Theme): void {
  document.documentElement.dataset['theme'] = theme;
  levels.replaceSync(levelStyles(theme));
  if (!document.adoptedStyleSheets.includes(levels)) document.adoptedStyleSheets.push(levels);
}
