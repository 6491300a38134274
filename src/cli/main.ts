import { CommanderError } from 'commander';
import { complain } from './complain.ts';
import { buildProgram } from './program.ts';

/** Runs one command line. Resolves to the exit code: 0 good, 1 failure, 2 usage. */
export async function main(args: readonly string[]): Promise<number> {
  const program = await buildProgram(args);
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
    // Loaded only now: a command that goes well has what it needs of it anyway.
    const { UsageError, UserError } = await import('../onnx/index.ts');
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

/** Ends the process when its output can go nowhere: quietly when the reader left, as `head` does, or else with the reason. */
export function watchOutput(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0);
    void complainOfOutput(error).finally(() => process.exit(1));
  });
  process.stderr.on('error', () => undefined);
}

async function complainOfOutput(error: Error): Promise<void> {
  const { fileProblem } = await import('../onnx/index.ts');
  await complain(`cannot write to standard output: ${fileProblem(error)}`);
}
