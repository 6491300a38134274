import { createRequire } from 'node:module';
import { Command } from 'commander';

interface Entry {
  readonly name: string;
  readonly alias?: string;
  readonly description: string;
  /** Its arguments, flags and action; loaded only when the command is asked for, with the rooms it uses. */
  readonly load: () => Promise<(command: Command) => void>;
}

const COMMANDS: readonly Entry[] = [
  {
    name: 'inspect',
    description: 'what a model takes, gives and is made of; where it attends; what can be differentiated',
    load: async () => (await import('./commands/inspect.ts')).addInspect,
  },
  {
    name: 'explain',
    description: 'why a model answers as it does: scores for every token, pixel or number it was given',
    load: async () => (await import('./commands/explain.ts')).addExplain,
  },
  {
    name: 'attention',
    description:
      'where a model attends: every head as it is, what heads do, and what attention carries through the layers',
    load: async () => (await import('./commands/attention.ts')).addAttention,
  },
  {
    name: 'patch',
    description:
      'where a model keeps what it answers by: activations of a clean input put into the run of a corrupted one',
    load: async () => (await import('./commands/intervene.ts')).addPatch,
  },
  {
    name: 'ablate',
    description: 'what parts of a model do for an answer: taken out, read out, or tested as its explanation',
    load: async () => (await import('./commands/intervene.ts')).addAblate,
  },
  {
    name: 'gradient',
    description:
      'write a model that also computes the gradient of one of its values: a plain .onnx any onnxruntime runs',
    load: async () => (await import('./commands/gradient.ts')).addGradient,
  },
  {
    name: 'demo',
    description: 'explain the two models that come along, on several inputs: a page to look at',
    load: async () => (await import('./commands/demo.ts')).addDemo,
  },
  {
    name: 'studio',
    description: 'look inside models in a browser; nothing leaves this machine',
    load: async () => (await import('./commands/studio.ts')).addStudio,
  },
  {
    name: 'visualise',
    alias: 'visualize',
    description:
      'pictures that units of a vision model answer most to: found by gradients, or cut from photographs; or what a layer keeps of one',
    load: async () => (await import('./commands/visualise.ts')).addVisualise,
  },
];

/**
 * All commands, of which those that the arguments name are ready to run; the others are there to be listed. Errors are
 * thrown, never printed here: main.ts prints them in one line.
 */
export async function buildProgram(args: readonly string[]): Promise<Command> {
  const { version } = createRequire(import.meta.url)('../../package.json') as { version: string };
  const program = new Command('onnxray')
    .description('X-ray vision for ONNX models: see why a model answers as it does.')
    .version(version)
    .showHelpAfterError(false)
    .exitOverride()
    .configureOutput({ writeErr: () => undefined, outputError: () => undefined })
    .addHelpText(
      'after',
      `
Examples:
  onnxray demo
  onnxray inspect zoo/text-spam
  onnxray explain zoo/text-spam --text "Claim your free prize now"
  onnxray explain zoo/image-imagenet --image zoo/photographs/cat.jpg --out why.html
  onnxray studio`,
    );
  // The command is the first word; of "help COMMAND" the second.
  const named = new Set(args.slice(0, 2));
  for (const { name, alias, description, load } of COMMANDS) {
    const command = program
      .command(name)
      .description(description)
      .exitOverride()
      .configureOutput({ writeErr: () => undefined, outputError: () => undefined });
    if (alias !== undefined) command.alias(alias);
    if (named.has(name) || (alias !== undefined && named.has(alias))) (await load())(command);
  }
  return program;
}
