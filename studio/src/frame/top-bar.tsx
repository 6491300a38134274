import { useEffect, useRef, useState } from 'preact/hooks';
import type { Language, Theme } from 'onnxray/views';
import type { EngineKind } from '../engine/engine.ts';
import { isAble } from '../engine/open.ts';
import { useStore } from './context.ts';
import { ROOMS } from './rooms.ts';
import type { StateStore } from './state.ts';
import { sharedParams, writeAddress } from './state.ts';
import type { Words } from './words.ts';

interface TopBarProps {
  readonly room: string;
  readonly language: Language;
  readonly setLanguage: (language: Language) => void;
  readonly theme: Theme;
  readonly setTheme: (theme: Theme) => void;
  readonly state: StateStore;
  readonly engine: EngineKind;
  /** Those that can be chosen; the first is the default. */
  readonly engines: readonly EngineKind[];
  readonly words: Words;
}

export function TopBar({ room, language, setLanguage, theme, setTheme, state, engine, engines, words }: TopBarProps) {
  const { canUndo, canRedo, state: view } = useStore(state);
  const shared = sharedParams(view.params);
  const nav = useRef<HTMLElement>(null);
  // Where the rooms do not fit in one line, the one that is open is in sight.
  useEffect(() => {
    nav.current?.querySelector('[aria-current]')?.scrollIntoView({ block: 'nearest', inline: 'nearest' });
  }, [room, language]);
  return (
    <header class="top">
      <p class="wordmark">
        onnxray <span>studio</span>
      </p>
      <nav ref={nav} aria-label={words.rooms}>
        {ROOMS.map(({ id, title }) => (
          <a key={id} href={writeAddress({ room: id, params: shared })} aria-current={id === room ? 'page' : undefined}>
            {title[language]}
          </a>
        ))}
      </nav>
      <div class="tools">
        <select
          class="engine"
          aria-label={words.engine}
          title={words.engineHints[engine]}
          value={engine}
          onChange={(event) => {
            const chosen = event.currentTarget.value;
            state.change({ engine: chosen === engines[0] ? undefined : chosen, model: undefined });
          }}
        >
          {engines.map((each) => (
            <option key={each} value={each} disabled={!isAble(each)}>
              {words.engines[each]}
            </option>
          ))}
        </select>
        <ShareButton words={words} onCopy={state.flush} />
        <HistoryButton
          label={words.undo}
          path="M9 7H15a5 5 0 0 1 0 10H8M9 7l3-3M9 7l3 3"
          enabled={canUndo}
          onClick={state.undo}
        />
        <HistoryButton
          label={words.redo}
          path="M15 7H9a5 5 0 0 0 0 10h7M15 7l-3-3M15 7l-3 3"
          enabled={canRedo}
          onClick={state.redo}
        />
        <button
          type="button"
          class="icon"
          onClick={() => setTheme(theme === 'light' ? 'dark' : 'light')}
          aria-label={theme === 'light' ? words.toDark : words.toLight}
          title={theme === 'light' ? words.toDark : words.toLight}
        >
          <Icon
            path={
              theme === 'light'
                ? 'M19 14.5A7.5 7.5 0 0 1 9.5 5 7.5 7.5 0 1 0 19 14.5Z'
                : 'M12 4v2M12 18v2M4 12h2M18 12h2M6.3 6.3l1.4 1.4M16.3 16.3l1.4 1.4M6.3 17.7l1.4-1.4M16.3 7.7l1.4-1.4M15.5 12a3.5 3.5 0 1 1-7 0 3.5 3.5 0 0 1 7 0Z'
            }
          />
        </button>
        <button
          type="button"
          class="quiet"
          lang={language === 'en' ? 'zh-CN' : 'en'}
          onClick={() => setLanguage(language === 'en' ? 'zh' : 'en')}
          aria-label={words.languageLabel}
        >
          {words.language}
        </button>
      </div>
    </header>
  );
}

function HistoryButton({
  label,
  path,
  enabled,
  onClick,
}: {
  readonly label: string;
  readonly path: string;
  readonly enabled: boolean;
  readonly onClick: () => void;
}) {
  return (
    <button type="button" class="icon" onClick={onClick} disabled={!enabled} aria-label={label} title={label}>
      <Icon path={path} />
    </button>
  );
}

function ShareButton({ words, onCopy }: { readonly words: Words; readonly onCopy: () => void }) {
  const [copied, setCopied] = useState(false);
  const [said, setSaid] = useState('');
  const copy = async (): Promise<void> => {
    onCopy();
    try {
      // Not there on a page of another machine that is not served over https.
      await navigator.clipboard.writeText(location.href);
      setCopied(true);
      setSaid(words.copied);
    } catch {
      setSaid(words.notCopied);
    }
    setTimeout(() => {
      setCopied(false);
      setSaid('');
    }, 1600);
  };
  return (
    <>
      <button
        type="button"
        class="icon"
        onClick={() => void copy()}
        aria-label={words.share}
        title={`${words.share}. ${words.shareHint}`}
      >
        <Icon
          path={
            copied
              ? 'M5 12.5l4.5 4.5L19 7.5'
              : 'M10 14a4 4 0 0 0 5.7 0l2.8-2.8a4 4 0 0 0-5.7-5.7L11.5 7M14 10a4 4 0 0 0-5.7 0l-2.8 2.8a4 4 0 0 0 5.7 5.7l1.3-1.5'
          }
        />
      </button>
      <span class="hidden" role="status">
        {said}
      </span>
    </>
  );
}

export function Icon({ path }: { readonly path: string }) {
  return (
    <svg
      viewBox="0 0 24 24"
      width="20"
      height="20"
      fill="none"
      stroke="currentColor"
      stroke-width="1.6"
      stroke-linecap="round"
      stroke-linejoin="round"
      aria-hidden="true"
    >
      <path d={path} />
    </svg>
  );
}
