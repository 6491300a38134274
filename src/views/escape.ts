/**
 * Text from models, files and people, made safe to show.
 * Every view passes such text through one of these; nothing else may write it.
 */

/** Direction marks, embeddings, overrides and isolates: invisible, and able to reorder what a reader sees. */
const BIDI = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;
/** C0 and C1 controls except tab and line feed, plus the invisible separators and the byte order mark. */
// eslint-disable-next-line no-control-regex
const CONTROLS = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u2028\u2029\ufeff]/g;
/** ESC [ ... letter; ESC ] ... BEL or ESC \; the other string sequences; two-character sequences; their C1 forms. */
const TERMINAL_SEQUENCES =
  // eslint-disable-next-line no-control-regex
  /(?:\u001b\[|\u009b)[0-?]*[ -/]*[@-~]|(?:\u001b[\]PX^_]|[\u009d\u0090\u0098\u009e\u009f])[^\u0007\u001b\u009c]*(?:\u0007|\u001b\\|\u009c)?|\u001b[ -/]*[0-~]/g;

/** Controls become visible: `⟨U+202E⟩` for a direction control, `␛` and the like for the others. Lone surrogates and non-characters become U+FFFD. */
export function showControls(text: string): string {
  return text
    .replace(/\p{Surrogate}|[\ufffe\uffff]/gu, '\ufffd')
    .replace(/\r\n/g, '\n')
    .replace(BIDI, (char) => `⟨${codePoint(char)}⟩`)
    .replace(CONTROLS, (char) => picture(char));
}

/** For HTML and SVG, both in text and inside quoted attributes. */
export function escapeMarkup(text: string): string {
  return showControls(text).replace(/[&<>"'`]/g, (char) => `&#${char.charCodeAt(0)};`);
}

/** For a terminal: whole escape sequences are removed, remaining controls are shown, tabs and line feeds become spaces. */
export function terminalSafe(text: string): string {
  return showControls(text.replace(TERMINAL_SEQUENCES, '')).replace(/[\t\n]/g, ' ');
}

function picture(char: string): string {
  const code = char.charCodeAt(0);
  if (code < 0x20) return String.fromCharCode(0x2400 + code);
  return code === 0x7f ? '\u2421' : `⟨${codePoint(char)}⟩`;
}

function codePoint(char: string): string {
  return `U+${char.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')}`;
}
