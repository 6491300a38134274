import { useFrame } from '../frame/context.ts';
import { EXPORTS, save } from '../frame/export.ts';
import type { Exporter } from '../frame/export.ts';
import { WORDS } from '../frame/words.ts';

/** Files of one picture. */
export function ExportMenu({ name, exporter }: { readonly name: string; readonly exporter: Exporter }) {
  const { language } = useFrame();
  const words = WORDS[language];
  return (
    <div class="exports" role="group" aria-label={`${words.export}: ${name}`}>
      {EXPORTS.map((kind) => (
        <button
          key={kind}
          type="button"
          class="quiet"
          title={words.exportAs(kind)}
          onClick={() => void save(name, kind, exporter)}
        >
          {kind}
        </button>
      ))}
    </div>
  );
}
