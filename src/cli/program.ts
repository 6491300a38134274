import { Command } from 'commander';
import { VERSIONS } from '../runtime/index.ts';

type Add = (program: Command) => void;

/** Where each command is: what a command needs is read when it is asked for, since reading everything takes longer than most of them. */
const COMMANDS: Readonly<Record<string, () => Promise<Add>>> = {
  inspect: async () => (await import('./commands/inspect.ts')).addInspect,
  explain: async () => (await import('./commands/explain.ts')).addExplain,
  attention: async () => (await import('./commands/attention.ts')).addAttention,
  patch: async () => (await import('./commands/intervene.ts')).addPatch,
  ablate: async () => (await import('./commands/intervene.ts')).addAblate,
  gradient: async () => (await import('./commands/gradient.ts')).addGradient,
  demo: async () => (await import('./commands/demo.ts')).addDemo,
  studio: async () => (await import('./commands/studio.ts')).addStudio,
  visualise: async () => (await import('./commands/visualise.ts')).addVisualise,
};

/**
 * The command that `args` name, or all where they name none, as help does. Errors are thrown, never printed here: main.ts
 * prints them in one line.
 */
export async function buildProgram(args: readonly string[]): Promise<Command> {
  const program = new Command('onnxray')
    .description('X-ray vision for ONNX models: see why a model answers as it does.')
    .version(VERSIONS['onnxray']!)
    .showHelpAfterError(false)
    .exitOverride()
    .configureOutput({ writeErr: () => undefined, outputError: () => undefined })
    .addHelpText(
      'after',
      `
Examples:
  onnxray demo
  onnxray inspect model.onnx
  onnxray explain zoo/text-spam --text "Claim your free prize now"
  onnxray explain zoo/image-imagenet --image cat.jpg --out why.html
  onnxray studio`,
    );
  const named = COMMANDS[args.find((each) => !each.startsWith('-')) ?? ''];
  const adding = named === undefined ? Object.values(COMMANDS) : [named];
  for (const load of adding) (await load())(program);
  for (const command of program.commands)
    command.exitOverride().configureOutput({ writeErr: () => undefined, outputError: () => undefined });
  return program;
}
