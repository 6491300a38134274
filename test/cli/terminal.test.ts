/** What reaches a terminal or a pipe: nothing that a model's file wrote into its names, and no stack when the reader leaves. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { repository, testFolder } from '../folder.ts';
import { perceptron } from '../handmade.ts';
import { makeModel } from '../models.ts';
import { onnxray } from './onnxray.ts';

const folder = testFolder('terminal');

/** Sets the title, colours, forges a line, turns the reading direction, and starts a sequence with one C1 control. */
const HOSTILE = '\u001b]0;pwned\u0007\u001b[31m\n root@host:~# \u009b2J\u202e\r';
const name = (plain: string) => `${plain}${HOSTILE}`;
const hostile = makeModel({
  inputs: [{ name: name('x'), type: 'float32', dims: [name('batch'), 2] }],
  outputs: [{ name: name('y'), type: 'float32', dims: [name('batch'), 2] }],
  nodes: [
    { name: name('a'), operator: 'Tanh', domain: '', inputs: [name('x')], outputs: [name('h')], attributes: {} },
    { name: name('b'), operator: 'Neg', domain: '', inputs: [name('h')], outputs: [name('y')], attributes: {} },
  ],
});
const file = folder.write('hostile.onnx', { ...hostile, producer: name('maker') });
const unknown = folder.write('unknown.onnx', {
  ...hostile,
  producer: name('maker'),
  graph: {
    ...hostile.graph,
    nodes: hostile.graph.nodes.map((node, at) =>
      at === 0 ? { ...node, operator: name('Wobble'), domain: 'x' } : node,
    ),
  },
});
const inputs = folder.write('inputs.json', { [name('x')]: { dims: [1, 2], type: 'float32', data: [1, 2] } });

describe('names in a hostile model do nothing to the terminal', () => {
  const subject = ['--inputs', inputs];
  const cases: readonly (readonly [string, readonly string[]])[] = [
    ['inspect', ['inspect', file]],
    ['inspect, of operators without rules', ['inspect', unknown]],
    ['gradient', ['gradient', file, '--of', name('y'), '--wrt', name('x'), '-o', folder.at('gradient.onnx')]],
    ['gradient, refused', ['gradient', file, '--of', 'z', '--wrt', 'x', '-o', folder.at('never.onnx')]],
    ['explain', ['explain', file, ...subject, '--option', 'steps=2']],
    ['explain, of an output it has not', ['explain', file, ...subject, '--output', 'z']],
    ['explain, of an operator nobody knows', ['explain', unknown, ...subject]],
    ['inspect, as JSON', ['inspect', file, '--json']],
    ['explain, as JSON', ['explain', file, ...subject, '--option', 'steps=2', '--json']],
    ['attention, of which there is none', ['attention', file, ...subject]],
    ['patch', ['patch', file, ...subject, '--corrupted', inputs]],
    ['ablate', ['ablate', file, ...subject]],
    ['visualise', ['visualise', file, '--layer', 'z', '--channel', '0']],
  ];
  it.each(cases)('%s', async (_, args) => {
    const { stdout, stderr } = await onnxray(args);
    expect(`${stdout}${stderr}`.length).toBeGreaterThan(0);
    for (const text of [stdout, stderr]) {
      // oxlint-disable-next-line no-control-regex -- the controls are what is looked for
      expect(text).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e]/);
      expect(text).not.toMatch(/^ ?root@host/m);
    }
  });
});

it('JSON holds the same names to who reads it', async () => {
  const { stdout } = await onnxray(['inspect', file, '--json']);
  expect((JSON.parse(stdout) as { inputs: { name: string }[] }).inputs[0]!.name).toBe(name('x'));
});

/** A line of shell, with `$ONNXRAY` for the program. */
function shell(line: string): Promise<{ code: number; stderr: string }> {
  const program = `${process.execPath} ${path.join(repository, 'dist/cli/bin.js')}`;
  return new Promise((resolve) => {
    execFile('bash', ['-c', line.replace('$ONNXRAY', program)], { cwd: repository }, (error, _, stderr) =>
      resolve({ code: error === null ? 0 : Number(error.code), stderr }),
    );
  });
}

describe('a reader that goes away', () => {
  const model = folder.write('perceptron.onnx', perceptron());
  const row = folder.write('row.json', { x: { dims: [1, 4], type: 'float32', data: [1, 2, -3, 0.5] } });

  it.each(['inspect', 'explain'])('ends %s quietly', async (command) => {
    const subject = command === 'explain' ? ` --inputs ${row}` : '';
    const { stderr } = await shell(`$ONNXRAY ${command} ${model}${subject} --json | true`);
    expect(stderr).toBe('');
  });

  it.runIf(existsSync('/dev/full'))('is not a disk that is full: that is said in one line', async () => {
    const { code, stderr } = await shell(`$ONNXRAY inspect ${model} --json > /dev/full`);
    expect(stderr).toBe('onnxray: cannot write to standard output: the disk is full\n');
    expect(code).toBe(1);
  });
});
