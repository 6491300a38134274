import { useState } from 'preact/hooks';
import { useFrame, useWords } from '../../frame/context.ts';
import { MODEL_WORDS } from './words.ts';

/** A model by its name on the hub; nothing is asked of the hub before the button is pressed. */
export function HubField() {
  const { studio, fetchModel } = useFrame();
  const words = useWords(MODEL_WORDS);
  const [name, setName] = useState('');
  if (studio.hub === undefined) return <p class="hint">{words.hubElsewhere}</p>;
  return (
    <form
      class="hub"
      onSubmit={(event) => {
        event.preventDefault();
        if (name.trim() !== '') fetchModel(name.trim());
      }}
    >
      <label class="field">
        <span>{words.hub}</span>
        <input
          type="text"
          value={name}
          placeholder="Xenova/all-MiniLM-L6-v2"
          autocomplete="off"
          autocapitalize="off"
          spellcheck={false}
          onInput={(event) => setName(event.currentTarget.value)}
        />
      </label>
      <button type="submit" class="chip" disabled={name.trim() === ''}>
        {words.fetch}
      </button>
      <p class="hint">{words.hubHint(new URL(studio.hub).host)}</p>
    </form>
  );
}
