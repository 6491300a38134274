import { InvalidArgumentError } from 'commander';
import type { Command } from 'commander';
import { exportSite, startStudio } from '../../server/index.ts';
import type { RuntimeFlags } from '../flags.ts';
import { addRuntimeFlags, hostOptions, readWhole } from '../flags.ts';
import { printJson } from '../output.ts';

interface StudioFlags extends RuntimeFlags {
  readonly port?: number;
  readonly host: string;
  readonly export?: string;
  readonly json?: boolean;
}

export function addStudio(command: Command): void {
  command
    .argument('[models...]', 'models to offer: .onnx files, or folders laid out as on the Hugging Face hub')
    .option('--port <n>', 'port to listen on (default: 4747, or a free one)', portNumber)
    .option(
      '--host <address>',
      'address to listen on; other than this machine’s own, a token is asked for',
      '127.0.0.1',
    )
    .option('--export <folder>', 'write the studio as static files, in which models run in the browser, and end')
    .option('--json', 'print one JSON document with the address');
  addRuntimeFlags(command)
    .addHelpText(
      'after',
      `\nExamples:
  onnxray studio
  onnxray studio zoo/image-selfie --port 8000
  onnxray studio --export site

The Models room can fetch a model from the Hugging Face hub by its name; HF_ENDPOINT names a mirror.`,
    )
    .action(run);
}

function portNumber(text: string): number {
  const port = readWhole(text);
  if (!(port <= 65535)) throw new InvalidArgumentError('it must be 0 to 65535.');
  return port;
}

async function run(models: readonly string[], flags: StudioFlags): Promise<void> {
  // As the hub's own clients are told of a mirror.
  const endpoint = process.env['HF_ENDPOINT'];
  const hub = endpoint ? { hub: endpoint } : {};
  if (flags.export !== undefined) {
    await exportSite(flags.export, hub);
    if (flags.json) printJson(JSON.stringify({ folder: flags.export }));
    else process.stdout.write(`wrote ${flags.export}\n`);
    return;
  }
  const studio = await startStudio({
    models,
    ...hub,
    host: flags.host,
    runtime: hostOptions(flags),
    ...(flags.port === undefined ? {} : { port: flags.port }),
  });
  process.stdout.write(
    flags.json ? `${JSON.stringify({ url: studio.url })}\n` : `onnxray studio: ${studio.url}\nCtrl-C ends it.\n`,
  );
  await new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve());
  });
  await studio.close();
}
