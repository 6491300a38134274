import { CommanderError } from 'commander';
import { UsageError, UserError } from '../onnx/index.ts';
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
        complain(`give a command: ${names}; see onnxray --help`);
      } else complain(error.message.replace(/^error: /, '').replaceAll('\n', ' '));
      return 2;
    }
    if (error instanceof UserError) {
      complain(error.message);
      return error instanceof UsageError ? 2 : 1;
    }
    // A defect of ours: still one line; the stack is there for whoever asks.
    complain(
      `unexpected: ${error instanceof Error ? error.message.split('\n')[0] : String(error)}; set ONNXRAY_DEBUG=1 for the stack and please report it`,
    );
    if (process.env['ONNXRAY_DEBUG']) console.error(error);
    return 1;
  }
}

function complain(message: string): void {
  process.stderr.write(`onnxray: ${message.replaceAll(/\s*\n\s*/g, ' ')}\n`);
}
