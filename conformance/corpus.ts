/** ONNX's own backend node tests: where they are, and one case as models and tensors. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readdirSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';
import type { DenseTensor } from '../src/onnx/index.ts';
import { readTensor } from '../src/onnx/index.ts';

/** The release of the `onnx` package whose tests are run. */
export const ONNX_VERSION = '1.21.0';

/** What a schema says of an operator. */
export interface OperatorSchema {
  readonly since: number;
  /** Of each input: whether the schema marks it differentiable. */
  readonly inputs: readonly ('yes' | 'no' | 'unknown')[];
  readonly variadic: boolean;
  /** Whether any input may be of floats. */
  readonly floats: boolean;
}

export interface Corpus {
  readonly onnx: string;
  readonly opset: number;
  /** Folder of the cases. */
  readonly cases: string;
  readonly operators: Readonly<Record<string, OperatorSchema>>;
}

const cacheFolder = () =>
  path.join(process.env['XDG_CACHE_HOME'] ?? path.join(homedir(), '.cache'), 'onnxray', 'conformance', ONNX_VERSION);

/** The corpus; the first time, the pinned package is installed into a cache folder outside the repository. */
export function openCorpus(): Corpus {
  const folder = cacheFolder();
  const file = path.join(folder, 'schemas.json');
  if (!existsSync(file)) {
    mkdirSync(folder, { recursive: true });
    const python = process.env['ONNXRAY_PYTHON'] ?? path.join(folder, 'venv', 'bin', 'python');
    if (!existsSync(python)) {
      execFileSync('python3', ['-m', 'venv', path.join(folder, 'venv')], { stdio: 'inherit' });
      execFileSync(python, ['-m', 'pip', 'install', '--quiet', `onnx==${ONNX_VERSION}`], { stdio: 'inherit' });
    }
    execFileSync(python, [path.join(import.meta.dirname, 'schemas.py'), file], { stdio: 'inherit' });
  }
  return JSON.parse(readFileSync(file, 'utf8')) as Corpus;
}

export function caseNames(corpus: Corpus): string[] {
  return readdirSync(corpus.cases).sort();
}

/** One test: a model, and what it gives for its inputs. */
export interface CaseFiles {
  readonly name: string;
  /** The operator it is of, where the model itself does not tell. */
  readonly operator?: string;
  readonly bytes: Uint8Array;
  /** In the order of the graph's inputs and outputs; undefined for what is not a tensor. */
  readonly inputs: readonly (DenseTensor | undefined)[];
  readonly outputs: readonly (DenseTensor | undefined)[];
}

export function readCase(folder: string, name: string): CaseFiles {
  const data = path.join(folder, name, 'test_data_set_0');
  const files = existsSync(data) ? readdirSync(data) : [];
  const tensors = (kind: 'input' | 'output') =>
    Array.from({ length: files.filter((file) => file.startsWith(`${kind}_`)).length }, (_, index) => {
      try {
        return readTensor(readFileSync(path.join(data, `${kind}_${index}.pb`)));
      } catch {
        // Sequences, optionals and maps are stored in other messages.
        return undefined;
      }
    });
  return {
    name,
    bytes: readFileSync(path.join(folder, name, 'model.onnx')),
    inputs: tensors('input'),
    outputs: tensors('output'),
  };
}
