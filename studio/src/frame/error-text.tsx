import { LANGUAGE_TAGS, errorText } from 'onnxray/views';
import { useLook } from './context.ts';

/** What went wrong, in the reader's language; marked as English where there is no translation. */
export function ErrorText({ error }: { readonly error: string }) {
  const { language } = useLook();
  const said = errorText(error, language);
  return <span {...(said.language === language ? {} : { lang: LANGUAGE_TAGS[said.language] })}>{said.text}</span>;
}
