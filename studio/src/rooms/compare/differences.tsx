import { useMemo } from 'preact/hooks';
import { barsSvg, svgDocument } from 'onnxray/views';
import type { Language, Theme } from 'onnxray/views';
import type { Explanation } from '../../engine/engine.ts';
import { useFrame, useWords } from '../../frame/context.ts';
import { svgExporter } from '../../frame/export.ts';
import { Bars } from '../../parts/bars.tsx';
import { ExportMenu } from '../../parts/export-menu.tsx';
import { pairWords, wordsOf } from './align.ts';
import { COMPARE_WORDS } from './words.ts';

const SHOWN = 12;

/** The words whose scores differ most between two texts, or two readings of one. */
export function Differences({ first, second }: { readonly first: Explanation; readonly second: Explanation }) {
  const { language, theme } = useFrame();
  const words = useWords(COMPARE_WORDS);
  const rows = useMemo(
    () =>
      pairWords(wordsOf(first), wordsOf(second))
        .map((pair) => ({
          label:
            pair.first === undefined
              ? words.onlySecond(pair.second!.text)
              : pair.second === undefined
                ? words.onlyFirst(pair.first.text)
                : pair.first.text,
          score: (pair.second?.score ?? 0) - (pair.first?.score ?? 0),
        }))
        .sort((a, b) => Math.abs(b.score) - Math.abs(a.score))
        .slice(0, SHOWN),
    [first, second, words],
  );
  const limit = Math.max(1e-9, ...rows.map(({ score }) => Math.abs(score)));
  return (
    <article class="card wide">
      <header>
        <h3>{words.differences}</h3>
        <ExportMenu
          name="differences"
          exporter={svgExporter(
            words.differences,
            () => drawDifferences(first, rows, { title: words.differences, theme, language }),
            () => ({
              method: first.method,
              models: [first.model, second.model],
              targets: [first.target, second.target],
              rows,
            }),
          )}
        />
      </header>
      <p class="what">{words.differencesHint}</p>
      <Bars rows={rows} limit={limit} label={words.differences} />
    </article>
  );
}

const DRAWN_WIDTH = 560;
const MARGIN = 16;

/** The same bars by the library's views; both explanations have one unit. */
function drawDifferences(
  first: Explanation,
  rows: readonly { readonly label: string; readonly score: number }[],
  { title, theme, language }: { readonly title: string; readonly theme: Theme; readonly language: Language },
): string {
  const bars = { by: 'word', kind: 'diverging', bars: rows, others: { count: 0, score: 0 } } as const;
  const drawing = barsSvg(first, bars, { width: DRAWN_WIDTH, theme, language });
  return svgDocument(drawing, { theme, title, margin: MARGIN, lang: language });
}
