import { CommanderError } from 'commander';
import { UsageError, UserError, fileProblem } from '../onnx/index.ts';
import { buildProgram } from './program.ts';

/** Runs one command line. Resolves to the exit code: 0 good, 1 failure, 2 usage. */
export async function main(args: readonly string[]): Promise<number> {
  watchOutput();
  const program = buildProgram();
  try {
    await program.parseAsync(args as string[], { from: 'user' });
    return 0;
  } catch (error) {
    if (error instanceof CommanderError) {
      if (error.exitCode === 0) return 0;
      if (error.code === 'commander.help') {
        const names = program.commands.map((command) => command.name()).join(', ');
        await complain(`give a command: ${names}; see onnxray --help`);
      } else await complain(error.message.replace(/^error: /, '').replaceAll('\n', ' '));
      return 2;
    }
    if (error instanceof UserError) {
      await complain(error.message);
      return error instanceof UsageError ? 2 : 1;
    }
    // A defect of ours: still one line; the stack is there for whoever asks.
    await complain(
      `unexpected: ${error instanceof Error ? error.message.split('\n')[0] : String(error)}; set ONNXRAY_DEBUG=1 for the stack and please report it`,
    );
    if (process.env['ONNXRAY_DEBUG']) console.error(error);
    return 1;
  }
}

/** One line on stderr. */
async function complain(message: string): Promise<void> {
  const line = message.replaceAll(/\s*\n\s*/g, ' ');
  // Names out of a model's file may hold anything; what makes them safe is loaded only for those that do.
  const safe = /[\p{C}\u2028\u2029]/u.test(line) ? (await import('../views/core.ts')).terminalSafe(line) : line;
  process.stderr.write(`onnxray: ${safe}\n`);
}

/** Ends the process when its output can go nowhere: quietly when the reader left, as `head` does, or else with the reason. */
function watchOutput(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0);
    process.stderr.write(`onnxray: cannot write to standard output: ${fileProblem(error)}\n`);
    process.exit(1);
  });
  process.stderr.on('error', () => undefined);
}
