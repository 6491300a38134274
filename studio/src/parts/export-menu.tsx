import { useState } from 'preact/hooks';
import { isCancelled, messageOf, useFrame } from '../frame/context.ts';
import { ErrorText } from '../frame/error-text.tsx';
import { EXPORTS, save } from '../frame/export.ts';
import type { ExportKind, Exporter } from '../frame/export.ts';
import { WORDS } from '../frame/words.ts';

/** Files of one picture. */
export function ExportMenu({ name, exporter }: { readonly name: string; readonly exporter: Exporter }) {
  const { jobs, language } = useFrame();
  const words = WORDS[language];
  const [failure, setFailure] = useState<string | undefined>();
  const write = (kind: ExportKind): void => {
    setFailure(undefined);
    jobs
      .run(`${words.exportAs(kind)}: ${name}`, (control) => save(name, kind, exporter, control))
      .catch((error: unknown) => {
        if (!isCancelled(error)) setFailure(messageOf(error));
      });
  };
  return (
    <div class="exports" role="group" aria-label={`${words.export}: ${name}`}>
      {EXPORTS.map((kind) => (
        <button key={kind} type="button" class="quiet" title={words.exportAs(kind)} onClick={() => write(kind)}>
          {kind}
        </button>
      ))}
      {failure !== undefined && (
        <span class="failure" role="alert">
          <ErrorText error={failure} />
        </span>
      )}
    </div>
  );
}
