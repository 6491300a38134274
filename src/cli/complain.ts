/** One line on stderr. */
export async function complain(message: string): Promise<void> {
  const line = message.replaceAll(/\s*\n\s*/g, ' ');
  // Names out of a model's file may hold anything; what makes them safe is loaded only for those that do.
  const safe = /[\p{C}\u2028\u2029]/u.test(line) ? (await import('../views/core.ts')).terminalSafe(line) : line;
  process.stderr.write(`onnxray: ${safe}\n`);
}
