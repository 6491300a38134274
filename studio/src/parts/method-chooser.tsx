import type { MethodSummary } from '../engine/engine.ts';

interface MethodChooserProps {
  /** Names of the methods that are shown; at least one stays. */
  readonly methods: readonly string[];
  /** Those that can be added. */
  readonly available: readonly MethodSummary[];
  readonly words: {
    readonly methods: string;
    readonly addMethod: string;
    readonly remove: (method: string) => string;
  };
  readonly onChange: (methods: readonly string[]) => void;
}

/** The methods shown side by side: each can be taken away, others added. */
export function MethodChooser({ methods, available, words, onChange }: MethodChooserProps) {
  return (
    <>
      <h2>{words.methods}</h2>
      <div class="chips" role="group" aria-label={words.methods}>
        {methods.map((name) => (
          <button
            key={name}
            type="button"
            class="chip removable"
            aria-label={words.remove(name)}
            disabled={methods.length === 1}
            onClick={() => onChange(methods.filter((each) => each !== name))}
          >
            {name} <span aria-hidden="true">×</span>
          </button>
        ))}
      </div>
      <label class="field">
        <span>{words.addMethod}</span>
        <select value="" onChange={(event) => onChange([...methods, event.currentTarget.value])}>
          <option value="" disabled>
            …
          </option>
          {available.map(({ name }) => (
            <option key={name} value={name}>
              {name}
            </option>
          ))}
        </select>
      </label>
    </>
  );
}
