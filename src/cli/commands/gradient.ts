import { realpathSync } from 'node:fs';
import path from 'node:path';
import type { Command } from 'commander';
import { differentiate } from '../../autodiff/index.ts';
import { UserError, externalWeights, writeModel } from '../../onnx/index.ts';
import { ModelHost } from '../../runtime/index.ts';
import { checkPlace, printJson, writeWhole } from '../output.ts';
import { openModel } from '../../tasks/index.ts';
import { terminalSafe } from '../../views/core.ts';

interface GradientFlags {
  readonly of: string;
  readonly wrt: readonly string[];
  readonly output: string;
  readonly seedInput?: string;
  readonly json?: boolean;
}

export function addGradient(command: Command): void {
  command
    .argument('<model>', 'an .onnx file, or a folder laid out as on the Hugging Face hub')
    .requiredOption('--of <output>', 'the value to differentiate; the gradient is that of the sum of its elements')
    .requiredOption('--wrt <value...>', 'inputs, weights or intermediate values to differentiate with respect to')
    .requiredOption('-o, --output <file>', 'where to write the new model')
    .option('--seed-input <name>', 'add an input of this name, shaped like the value of --of: weights of its elements')
    .option('--json', 'print what was written as one JSON document')
    .addHelpText(
      'after',
      '\nExamples:\n  onnxray gradient zoo/image-imagenet --of logits --wrt pixel_values -o gradient.onnx\n\nThe gradient of VALUE is the output VALUE_grad of the new model.',
    )
    .action(async (model: string, flags: GradientFlags) => {
      await checkPlace(flags.output);
      const file = openModel(model).modelPath;
      if (isSameFile(flags.output, file))
        throw new UserError(`${flags.output} is the model itself: name another file to write the gradient to`);
      const host = await ModelHost.open(file, { cache: false });
      const external = externalWeights(host.model)[0];
      const sameFolder = path.dirname(path.resolve(flags.output)) === path.dirname(path.resolve(file));
      if (external !== undefined && !sameFolder)
        throw new UserError(
          `the weights are in ${external.storage.location}, beside the model: write the new model there too, to ${path.join(path.dirname(file), path.basename(flags.output))}`,
        );
      const seed = flags.seedInput === undefined ? 'ones' : ({ input: flags.seedInput } as const);
      const { model: differentiated, gradients } = differentiate(host.model, { of: flags.of, wrt: flags.wrt, seed });
      await writeWhole(flags.output, writeModel(differentiated));
      const names = Object.fromEntries(gradients);
      if (flags.json) printJson(JSON.stringify({ file: flags.output, gradients: names }));
      else {
        const outputs = Object.entries(names).map(([value, name]) => `d ${flags.of} / d ${value} is output ${name}`);
        process.stdout.write(`${terminalSafe(`${flags.output}: ${outputs.join('; ')}`)}\n`);
      }
    });
}

function isSameFile(output: string, model: string): boolean {
  try {
    return realpathSync(output) === realpathSync(model);
  } catch {
    // What is not there yet is no model.
    return false;
  }
}
