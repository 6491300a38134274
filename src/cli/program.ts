import { Command } from 'commander';
import { VERSIONS } from '../runtime/index.ts';
import { addAttention } from './commands/attention.ts';
import { addDemo } from './commands/demo.ts';
import { addExplain } from './commands/explain.ts';
import { addGradient } from './commands/gradient.ts';
import { addInspect } from './commands/inspect.ts';
import { addAblate, addPatch } from './commands/intervene.ts';
import { addStudio } from './commands/studio.ts';
import { addVisualise } from './commands/visualise.ts';

/** All commands. Errors are thrown, never printed here: main.ts prints them in one line. */
export function buildProgram(): Command {
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
  for (const add of [
    addInspect,
    addExplain,
    addAttention,
    addPatch,
    addAblate,
    addGradient,
    addDemo,
    addStudio,
    addVisualise,
  ])
    add(program);
  for (const command of program.commands)
    command.exitOverride().configureOutput({ writeErr: () => undefined, outputError: () => undefined });
  return program;
}
