import { stat } from 'node:fs/promises';
import type { Command } from 'commander';
import { ModelHost } from '../../runtime/index.ts';
import { openModel } from '../../tasks/index.ts';
import { inspectModel } from '../../inspection/index.ts';
import type { Inspection, ValueReport } from '../../inspection/index.ts';
import { terminalSafe } from '../../views/core.ts';
import { printJson } from '../output.ts';

export function addInspect(command: Command): void {
  command
    .argument('<model>', 'an .onnx file, or a folder laid out as on the Hugging Face hub')
    .option('--json', 'print one JSON document')
    .addHelpText('after', '\nExamples:\n  onnxray inspect zoo/text-spam\n  onnxray inspect zoo/text-spam --json')
    .action(async (model: string, { json }: { json?: boolean }) => {
      const file = openModel(model).modelPath;
      const host = await ModelHost.open(file, { cache: false });
      const { size } = await stat(file);
      const inspection = inspectModel(host.original, host.model, size);
      if (json) printJson(JSON.stringify(inspection));
      else process.stdout.write(describe(inspection, file));
    });
}

function describe(inspection: Inspection, file: string): string {
  const { attention, differentiable, layers, operators } = inspection;
  const value = ({ name, type, dims }: ValueReport) =>
    `    ${name}: ${type} [${dims?.map((dim) => dim ?? '?').join(', ') ?? '?'}]`;
  const counts = Object.entries(operators).sort(([, left], [, right]) => right - left);
  const missing = [...new Set(differentiable.missing.map(({ operator }) => operator))];
  const lines = [
    file,
    `  opset ${inspection.opset}, IR ${inspection.irVersion}, made by ${inspection.producer || 'an unnamed tool'}`,
    `  ${inspection.parameters.toLocaleString('en')} parameters, ${inspection.bytes.toLocaleString('en')} bytes`,
    '  inputs',
    ...inspection.inputs.map(value),
    '  outputs',
    ...inspection.outputs.map(value),
    `  operators: ${counts.map(([name, count]) => `${name} ${count}`).join(', ')}`,
    attention.length === 0 ? '  attention: none found' : `  attention: ${attention.length} blocks`,
    ...attention.map((block) => `    ${block.index}: ${block.path} (${block.kind}, ${block.heads ?? '?'} heads)`),
    missing.length === 0
      ? `  differentiable: all ${differentiable.covered} nodes`
      : `  differentiable: ${differentiable.covered} nodes; no gradient rule for ${missing.join(', ')}`,
    `  layers: ${layers.length}; --json lists their paths`,
  ];
  return `${lines.map(terminalSafe).join('\n')}\n`;
}
