import { LANGUAGE_TAGS, cautions, completenessSentence, factsOf, warningText } from 'onnxray/views';
import type { Explanation } from '../engine/engine.ts';
import { useLook } from '../frame/context.ts';
import { WORDS } from '../frame/words.ts';

/** How far an explanation can be trusted: whether it adds up, what to know, what it cost. */
export function Judgement({ explanation }: { readonly explanation: Explanation }) {
  const { language } = useLook();
  const words = WORDS[language];
  const warnings = [
    ...explanation.warnings.map((warning) => warningText(warning, language)),
    ...cautions(explanation, language).map((text) => ({ text, language })),
  ];
  return (
    <div class="judgement">
      <p class="verdict">{completenessSentence(explanation, language)}</p>
      {warnings.length > 0 && (
        <div class="cautions">
          <h4>{words.warnings}</h4>
          <ul>
            {warnings.map((warning) => (
              <li
                key={warning.text}
                {...(warning.language === language ? {} : { lang: LANGUAGE_TAGS[warning.language] })}
              >
                {warning.text}
              </li>
            ))}
          </ul>
        </div>
      )}
      <details>
        <summary>{words.facts}</summary>
        <dl>
          {factsOf(explanation, language).map(({ name, value }) => (
            <div key={name}>
              <dt>{name}</dt>
              <dd>{value}</dd>
            </div>
          ))}
        </dl>
      </details>
    </div>
  );
}
