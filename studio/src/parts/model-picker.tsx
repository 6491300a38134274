import { useFrame } from '../frame/context.ts';
import { WORDS } from '../frame/words.ts';
import type { ModelSummary } from '../engine/engine.ts';

/** The models that suit a room. */
export function ModelPicker({
  suits,
  model,
  parameter = 'model',
  label,
}: {
  readonly suits: (model: ModelSummary) => boolean;
  readonly model: ModelSummary | undefined;
  readonly parameter?: string;
  readonly label?: string;
}) {
  const { models, state, language } = useFrame();
  const words = WORDS[language];
  return (
    <label class="field">
      <span>{label ?? words.model}</span>
      <select
        value={model?.id ?? ''}
        onChange={(event) =>
          state.change({ [parameter]: event.currentTarget.value, target: undefined, box: undefined })
        }
      >
        {models.filter(suits).map(({ id, name }) => (
          <option key={id} value={id}>
            {name}
          </option>
        ))}
      </select>
    </label>
  );
}
