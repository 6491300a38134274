import { useEffect, useState } from 'preact/hooks';
import { useStore } from './context.ts';
import type { JobStore } from './jobs.ts';
import type { Words } from './words.ts';

/** Anything shorter than this comes and goes unannounced. */
const SHOWN_AFTER_MS = 500;

/** Whatever takes longer than half a second, with its progress and a way to stop it. */
export function JobBar({ jobs: store, words }: { readonly jobs: JobStore; readonly words: Words }) {
  const jobs = useStore(store);
  const [now, setNow] = useState(performance.now());
  const busy = jobs.length > 0;
  useEffect(() => {
    if (!busy) return undefined;
    const timer = setInterval(() => setNow(performance.now()), 250);
    return () => clearInterval(timer);
  }, [busy]);
  const long = jobs.filter(({ started }) => now - started > SHOWN_AFTER_MS);
  return (
    <aside class="jobs" aria-label={words.running}>
      {long.map(({ id, label, done, total, cancel }) => (
        <div class="job" key={id}>
          <span>{label}</span>
          {total > 1 ? <progress value={done} max={total} aria-label={label} /> : <progress aria-label={label} />}
          <button type="button" class="quiet" onClick={cancel}>
            {words.cancel}
          </button>
        </div>
      ))}
    </aside>
  );
}
