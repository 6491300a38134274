import { useFrame } from '../frame/context.ts';
import { ErrorText } from '../frame/error-text.tsx';
import { WORDS } from '../frame/words.ts';

/** Why there is no answer, and a way to ask again; an empty error is a person's own Cancel. */
export function Failure({ error, onRetry }: { readonly error: string; readonly onRetry: () => void }) {
  const words = WORDS[useFrame().language];
  return (
    <p class="notice" role="alert">
      {error === '' ? <span>{words.cancelled}</span> : <ErrorText error={error} />}
      <button type="button" class="quiet" onClick={onRetry}>
        {words.retry}
      </button>
    </p>
  );
}
