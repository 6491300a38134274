/** `onnxray attention` as a person runs it: its JSON, its pictures, its refusals. */
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import sharp from 'sharp';
import { describe, expect, it, vi } from 'vitest';
import { analyseAttention } from '../../src/attention/index.ts';
import { ExplainableModel } from '../../src/attribution/index.ts';
import { main } from '../../src/cli/main.ts';
import { int, writeModel } from '../../src/onnx/index.ts';
import { renderAttention } from '../../src/views/index.ts';
import { FOLDER, difference, reference } from '../attention/references.ts';
import { TEXT_MODEL, photograph, testFolder } from '../folder.ts';
import { perceptron } from '../handmade.ts';
import { makeModel, makeNode } from '../models.ts';
import { expectRefusal, onnxray, onnxrayJson } from './onnxray.ts';

const folder = testFolder('attention');
const fixture = (name: string) => path.join(FOLDER, `${name}.onnx`);

/** The first row of a fixture's inputs, as a file. */
function inputsFile(name: string): string {
  const { inputs } = reference(name);
  const first = Object.entries(inputs).map(([input, { type, dims, data }]) => {
    const size = data.length / dims[0]!;
    return [input, { type, dims: [1, ...dims.slice(1)], data: data.slice(0, size) }];
  });
  return folder.write(`${name}.json`, Object.fromEntries(first) as object);
}

interface Numbers {
  readonly dims: number[];
  readonly data: number[];
  readonly axes: string[];
  readonly classes?: string[];
}
interface Printed {
  readonly analysis: string;
  readonly options: Record<string, unknown>;
  readonly blocks: readonly {
    layer: number;
    kind: string;
    heads: number;
    queries: number;
    keys: number;
    only?: number[];
    probabilities?: Numbers;
    measure?: Numbers;
  }[];
  readonly tokens?: string[];
  readonly map?: Numbers;
  readonly maps?: Record<string, Numbers>;
  readonly target?: { label: string };
  readonly output?: string;
  readonly places?: { cluster: number }[];
  readonly sinks?: { mass: number; token: string }[];
  readonly relations?: { relation: string; accuracy: number; baseline: number }[];
  readonly warnings: string[];
}

const MAIL = ['--text', 'Claim your free prize now!'];

describe('its JSON', () => {
  it('is the contract: blocks with kind, heads, queries, keys and probabilities, equal to the framework’s', async () => {
    const name = 'bart-sdpa';
    const printed = await onnxrayJson<Printed>(['attention', fixture(name), '--inputs', inputsFile(name)]);
    const { blocks } = reference(name);
    expect(printed.analysis).toBe('probabilities');
    expect(printed.blocks.length).toBe(blocks.length);
    printed.blocks.forEach((block, at) => {
      const theirs = blocks[at]!;
      const size = theirs.data.length / 2;
      expect(block).toMatchObject({
        layer: theirs.layer,
        kind: theirs.kind,
        heads: 4,
        queries: theirs.dims[2],
        keys: theirs.dims[3],
      });
      expect(block.probabilities!.dims).toEqual([1, ...theirs.dims.slice(1)]);
      expect(block.probabilities!.axes).toEqual(['batch', 'head', 'query', 'key']);
      expect(difference(block.probabilities!.data, theirs.data.slice(0, size))).toBeLessThan(1e-5);
    });
  });

  it('has the tokens of a text, and only the layer and head asked for', async () => {
    const whole = await onnxrayJson<Printed>(['attention', TEXT_MODEL, ...MAIL]);
    const one = await onnxrayJson<Printed>(['attention', TEXT_MODEL, ...MAIL, '--layer', '2', '--head', '5']);
    expect(whole.tokens).toEqual(['[CLS]', 'claim', 'your', 'free', 'prize', 'now', '!', '[SEP]']);
    expect(whole.blocks.map(({ layer, queries, keys }) => [layer, queries, keys])).toEqual(
      [0, 1, 2, 3].map((layer) => [layer, 8, 8]),
    );
    expect(one.blocks.length).toBe(1);
    expect(one.blocks[0]).toMatchObject({ layer: 2, heads: 12, only: [5] });
    expect(one.blocks[0]!.probabilities!.data).toEqual(whole.blocks[2]!.probabilities!.data.slice(5 * 64, 6 * 64));
  });

  it('gives every analysis under its name, with its options', async () => {
    const expected: Readonly<Record<string, readonly string[]>> = {
      entropy: ['batch', 'head'],
      distance: ['batch', 'head'],
      confidence: ['batch', 'head'],
      masses: ['batch', 'head', 'class'],
      received: ['batch', 'head', 'key'],
      sinks: ['batch', 'head', 'key'],
      top: ['batch', 'head', 'query', 'rank'],
      importance: ['batch', 'head'],
      gradients: ['batch', 'head', 'query', 'key'],
      'gradient-x-attention': ['batch', 'head', 'query', 'key'],
      norms: ['query', 'key'],
      effective: ['batch', 'head', 'query', 'key'],
    };
    const model = await ExplainableModel.open(TEXT_MODEL, { threads: 1 });
    const { tensors } = await model.encode({ text: MAIL[1]! });
    for (const [analysis, axes] of Object.entries(expected)) {
      const { blocks } = await analyseAttention(model.host, { inputs: tensors, analysis });
      expect(blocks.map(({ measure }) => measure!.axes)).toEqual([axes, axes, axes, axes]);
      for (const { measure } of blocks) {
        expect(measure!.data.length).toBe(measure!.dims.reduce((left, right) => left * right, 1));
        expect(measure!.data.every(Number.isFinite)).toBe(true);
      }
    }
    for (const analysis of ['rollout', 'flow', 'alti', 'globenc', 'chefer', 'transformer-attribution']) {
      const { map } = await analyseAttention(model.host, { inputs: tensors, analysis });
      expect(map).toMatchObject({ dims: [8, 8], axes: ['query', 'key'] });
      expect(map!.data.every(Number.isFinite)).toBe(true);
      if (['chefer', 'transformer-attribution'].includes(analysis)) continue;
      expect(Array.from(map!.data.slice(0, 8)).reduce((left, right) => left + right, 0)).toBeCloseTo(1, 4);
    }
    await model.release();
  });

  it('says what gradients were taken of', async () => {
    const printed = await onnxrayJson<Printed>([
      'attention',
      TEXT_MODEL,
      ...MAIL,
      '--analysis',
      'importance',
      '--target',
      'ham',
    ]);
    expect(printed).toMatchObject({ output: 'logits', target: { label: 'ham' } });
    const other = await onnxrayJson<Printed>([
      'attention',
      TEXT_MODEL,
      ...MAIL,
      '--analysis',
      'chefer',
      '--target',
      'spam-ham',
    ]);
    expect(other.target!.label).toBe('spam - ham');
  });

  it('gives cross-attention its own map, and distances to none of it', async () => {
    const name = 'bart-eager';
    const file = inputsFile(name);
    const chefer = await onnxrayJson<Printed>([
      'attention',
      fixture(name),
      '--inputs',
      file,
      '--analysis',
      'chefer',
      '--target',
      '3,5',
    ]);
    expect(Object.keys(chefer.maps!)).toEqual(['encoder', 'decoder', 'cross']);
    expect(chefer.map!.dims).toEqual([4, 6]);
    const distance = await onnxrayJson<Printed>([
      'attention',
      fixture(name),
      '--inputs',
      file,
      '--analysis',
      'distance',
    ]);
    expect(distance.blocks.map(({ kind, measure }) => [kind, measure !== undefined])).toEqual([
      ['encoder', true],
      ['encoder', true],
      ['decoder', true],
      ['cross', false],
    ]);
    expect(distance.warnings[0]).toMatch(/not for cross-attention/);
  });

  it('says of each token of a decoder what came from the source and what from its prefix', async () => {
    const request = ['attention', fixture('t5-eager'), '--inputs', inputsFile('t5-eager'), '--analysis', 'alti-plus'];
    const { map, maps, blocks } = await onnxrayJson<Printed>(request);
    expect(Object.keys(maps!)).toEqual(['source', 'target', 'shares']);
    expect(map!.dims).toEqual([4, 6]);
    expect(blocks.map(({ kind, queries, keys }) => [kind, queries, keys])).toEqual([
      ['encoder', 6, 6],
      ['encoder', 6, 6],
      ['decoder', 4, 4],
      ['cross', 4, 6],
    ]);
    const { stdout } = await onnxray(request);
    expect(stdout).toMatch(/^3: \d+(\.\d+)?% from the source, \d+(\.\d+)?% from the target’s prefix$/m);
    const { stdout: chinese } = await onnxray([...request, '--language', 'zh']);
    expect(chinese).toMatch(/^3：源端 .*，目标端前缀 /m);
  });

  it('clusters heads, names sinks, and scores induction without an input', async () => {
    const clusters = await onnxrayJson<Printed>([
      'attention',
      TEXT_MODEL,
      ...MAIL,
      '--analysis',
      'clusters',
      '--option',
      'clusters=5',
    ]);
    expect(new Set(clusters.places!.map(({ cluster }) => cluster)).size).toBe(5);
    const umap = await onnxrayJson<Printed>([
      'attention',
      TEXT_MODEL,
      ...MAIL,
      '--analysis',
      'clusters',
      '--option',
      'map=umap',
    ]);
    expect(umap.places!.length).toBe(clusters.places!.length);
    expect(umap).not.toHaveProperty('explained');
    const sinks = await onnxrayJson<Printed>([
      'attention',
      TEXT_MODEL,
      ...MAIL,
      '--analysis',
      'sinks',
      '--option',
      'threshold=0.5',
    ]);
    expect(sinks.sinks!.length).toBeGreaterThan(0);
    expect(sinks.sinks!.every(({ mass }) => mass > 0.5)).toBe(true);
    expect(sinks.sinks![0]!.token).toBe('[CLS]');
    const induction = await onnxrayJson<Printed>([
      'attention',
      fixture('gpt2-sdpa'),
      '--analysis',
      'induction',
      '--option',
      'length=5',
    ]);
    expect(induction.blocks[0]!.measure).toMatchObject({ dims: [1, 4, 2], classes: ['induction', 'duplicate'] });
  });

  it('scores heads on a treebank', async () => {
    const treebank = folder.write(
      'trees.conllu',
      '# newdoc\n# text = The dog cannot bark\n1\tThe\t_\t_\t_\t_\t2\tdet\t_\t_\n2\tdog\t_\t_\t_\t_\t5\tnsubj\t_\t_\n' +
        '3-4\tcannot\t_\t_\t_\t_\t_\t_\t_\t_\n3\tcan\t_\t_\t_\t_\t5\taux\t_\t_\n4\tnot\t_\t_\t_\t_\t5\tadvmod\t_\t_\n' +
        '5\tbark\t_\t_\t_\t_\t0\troot\t_\t_\n5.1\tbark\t_\t_\t_\t_\t_\t_\t_\t_\n\n' +
        '1\tThe\t_\t_\t_\t_\t2\tdet\t_\t_\n2\tdog\t_\t_\t_\t_\t3\tnsubj\t_\t_\n3\tbarks\t_\t_\t_\t_\t0\troot\t_\t_\n',
    );
    const printed = await onnxrayJson<Printed>([
      'attention',
      TEXT_MODEL,
      '--analysis',
      'dependencies',
      '--option',
      `treebank=${treebank}`,
      '--option',
      'minimum=1',
    ]);
    expect(printed.relations!.map(({ relation }) => relation).sort()).toEqual(['advmod', 'all', 'aux', 'det', 'nsubj']);
    expect(printed.relations![0]!.accuracy).toBeGreaterThan(0);
  });
});

describe('its pictures', () => {
  it('are whole documents in every format and both languages, with the note beside them', async () => {
    for (const [language, words] of [
      ['en', 'not by itself an explanation'],
      ['zh', '它本身不是解释'],
    ] as const) {
      const out = folder.at(`heads-${language}.html`);
      const { code } = await onnxray(['attention', TEXT_MODEL, ...MAIL, '--out', out, '--language', language]);
      expect(code).toBe(0);
      const page = readFileSync(out, 'utf8');
      expect(page.replaceAll(/<[^>]+>/g, ' ').replaceAll(/\s+/g, ' ')).toContain(
        language === 'en' ? 'It is not by itself an' : words,
      );
      expect(page).not.toMatch(/https?:\/\/(?!www\.w3\.org)/);
      expect(page).toContain('class="head-view"');
    }
    const svg = folder.at('entropy.svg');
    expect((await onnxray(['attention', TEXT_MODEL, ...MAIL, '--analysis', 'entropy', '--out', svg])).stdout).toBe(
      `wrote ${svg}\n`,
    );
    expect(readFileSync(svg, 'utf8')).toMatch(/^<svg [^>]*xmlns/);
    const model = await ExplainableModel.open(TEXT_MODEL, { threads: 1 });
    const encoded = await model.encode({ text: MAIL[1]! });
    if (encoded.kind !== 'text') throw new Error('a text is encoded as a text');
    const { tokens, offsets } = encoded.encoding;
    const text = { tokens, special: offsets.map((range) => range === null) };
    for (const [analysis, layer, head] of [
      ['probabilities', '1'],
      ['probabilities', '1', 3],
      ['neuron', '1', 3],
      ['masses'],
      ['received'],
      ['clusters'],
      ['rollout'],
    ] as const) {
      const result = await analyseAttention(model.host, {
        inputs: encoded.tensors,
        text,
        analysis,
        ...(layer === undefined ? {} : { layer }),
        ...(head === undefined ? {} : { head }),
      });
      const { width, height } = await sharp(await renderAttention(result, { format: 'png' })).metadata();
      expect(width).toBeGreaterThan(400);
      expect(height).toBeGreaterThan(200);
    }
    await model.release();
  });

  it('draw rollout of a model of pictures over the picture', async () => {
    const vision = folder.at('vit');
    mkdirSync(path.join(vision, 'onnx'), { recursive: true });
    copyFileSync(fixture('vit-sdpa'), path.join(vision, 'onnx/model.onnx'));
    writeFileSync(
      path.join(vision, 'preprocessor_config.json'),
      JSON.stringify({ do_resize: true, size: { height: 8, width: 8 }, do_normalize: true, do_rescale: true }),
    );
    writeFileSync(path.join(vision, 'config.json'), '{}');
    const png = folder.at('cat.png');
    const { stderr, code } = await onnxray([
      'attention',
      vision,
      '--image',
      photograph('cat.jpg'),
      '--analysis',
      'rollout',
      '--out',
      png,
    ]);
    expect([stderr, code]).toEqual(['', 0]);
    expect((await sharp(png).metadata()).height).toBeGreaterThan(600);
  });

  it('say in the terminal what there is to say, without colours in a pipe', async () => {
    const { stdout } = await onnxray(['attention', TEXT_MODEL, ...MAIL, '--analysis', 'masses']);
    expect(stdout).toContain('layer 3, encoder');
    expect(stdout).toMatch(/head 11 .*\[SEP\] \d/);
    expect(stdout).not.toContain('\u001b');
  });
});

describe('it refuses in one line', () => {
  const bert = fixture('bert-eager');
  const given = inputsFile('bert-eager');
  const multilayer = folder.write('perceptron.onnx', perceptron());
  const x = folder.write('x.json', { x: { dims: [1, 4], type: 'float32', data: [1, 2, 3, 4] } });
  const sealed = writeModel(
    makeModel({
      inputs: [
        { name: 'q', type: 'float32', dims: [1, 3, 8] },
        { name: 'k', type: 'float32', dims: [1, 3, 8] },
      ],
      outputs: [{ name: 'y', type: 'float32', dims: [1, 3, 8] }],
      nodes: [makeNode('SparseAttention', ['q', 'k', 'k'], ['y'], { num_heads: int(2) }, 'com.microsoft')],
    }),
  );
  const sealedFile = folder.at('sealed.onnx');
  writeFileSync(sealedFile, sealed);
  const qk = folder.write('qk.json', {
    q: { dims: [1, 3, 8], type: 'float32', data: Array(24).fill(0.5) },
    k: { dims: [1, 3, 8], type: 'float32', data: Array(24).fill(0.5) },
  });
  it.each([
    ['a model that attends nowhere', [multilayer, '--inputs', x], 1, /the model attends nowhere/],
    [
      'a fused kernel that cannot be opened',
      [sealedFile, '--inputs', qk],
      1,
      /inside a fused com\.microsoft::SparseAttention that cannot be opened/,
    ],
    [
      'a layer out of range',
      [bert, '--inputs', given, '--layer', '7'],
      1,
      /no attention in layer 7: the model attends in layers 0 to 1/,
    ],
    ['a path that is none', [bert, '--inputs', given, '--layer', 'bert.x'], 1, /no attention at "bert\.x"/],
    ['a head out of range', [bert, '--inputs', given, '--head', '4'], 1, /no head 4 in .*: it has heads 0 to 3/],
    [
      'a head out of range of a decoder',
      [fixture('gpt2-sdpa'), '--inputs', inputsFile('gpt2-sdpa'), '--analysis', 'entropy', '--head', '9'],
      1,
      /no head 9 in .*: it has heads 0 to 3/,
    ],
    ['a head that is no number', [bert, '--inputs', given, '--head', '-1'], 2, /whole number/],
    [
      'an unknown analysis',
      [bert, '--inputs', given, '--analysis', 'rolout'],
      2,
      /unknown analysis "rolout"; nearest: rollout/,
    ],
    [
      'an unknown option',
      [bert, '--inputs', given, '--analysis', 'rollout', '--option', 'k=1'],
      2,
      /rollout has no option "k"; it has residual/,
    ],
    [
      'a residual beyond 1',
      [bert, '--inputs', given, '--analysis', 'rollout', '--option', 'residual=2'],
      2,
      /residual of rollout must be a number from 0 to 1/,
    ],
    [
      'a layer of an analysis of all',
      [bert, '--inputs', given, '--analysis', 'rollout', '--layer', '1'],
      1,
      /leave --layer and --head out/,
    ],
    ['nothing to look at', [bert], 2, /say what to explain/],
    [
      'a stack there is none of',
      [bert, '--inputs', given, '--analysis', 'alti', '--option', 'stack=decoder'],
      1,
      /no decoder self-attention/,
    ],
    ['an unknown target', [TEXT_MODEL, ...MAIL, '--analysis', 'chefer', '--target', 'x'], 1, /unknown target "x"/],
    [
      'more random tokens than the model reads',
      [fixture('gpt2-sdpa'), '--analysis', 'induction'],
      1,
      /does not read 50 tokens, 25 and the same again: give induction a smaller length/,
    ],
    [
      'ALTI+ of a model without cross-attention',
      [fixture('gpt2-sdpa'), '--inputs', inputsFile('gpt2-sdpa'), '--analysis', 'alti-plus'],
      1,
      /no cross-attention: use alti/,
    ],
    [
      'a treebank that is none',
      [TEXT_MODEL, '--analysis', 'dependencies', '--option', `treebank=${folder.write('bad.conllu', '1\tThe\n')}`],
      1,
      /bad\.conllu, line 1 is not CoNLL-U/,
    ],
    ['a treebank that is not given', [TEXT_MODEL, '--analysis', 'dependencies'], 1, /needs a treebank/],
    [
      'a treebank that is not there',
      [TEXT_MODEL, '--analysis', 'dependencies', '--option', 'treebank=no.conllu'],
      1,
      /cannot read no\.conllu/,
    ],
    ['neuron without its head', [TEXT_MODEL, ...MAIL, '--analysis', 'neuron'], 1, /choose it with --layer and --head/],
    [
      'GlobEnc of layers that norm before',
      [fixture('gpt2-sdpa'), '--inputs', inputsFile('gpt2-sdpa'), '--analysis', 'globenc'],
      1,
      /norm after their sums/,
    ],
    [
      'a format that is none',
      [TEXT_MODEL, ...MAIL, '--out', folder.at('x.gif')],
      2,
      /name it \.html, \.svg, \.png or \.json/,
    ],
  ] as const)('%s', async (_, args, code, message) => {
    const stdout = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
    const stderr = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
    const started = performance.now();
    const exit = await main(['attention', ...args, '--json']);
    const written = (spy: typeof stderr) => spy.mock.calls.map(([text]) => String(text)).join('');
    const outcome = { code: exit, stdout: written(stdout), stderr: written(stderr), ms: performance.now() - started };
    // A process of its own would be over now, and with it what waits for Ctrl-C.
    process.removeAllListeners('SIGINT');
    stdout.mockRestore();
    stderr.mockRestore();
    expectRefusal(outcome, code, message);
  });
});
