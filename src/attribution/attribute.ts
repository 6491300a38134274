import type { DenseTensor } from '../onnx/index.ts';
import type { ModelHost } from '../runtime/core.ts';
import type { Explanation } from '../explanation/index.ts';
import { sumOfScores } from '../explanation/index.ts';
import { readOptions } from '../programs/index.ts';
import type { Attribution, OptionValue } from '../programs/index.ts';
import { checkFinite, checkRequest } from './check.ts';
import { findMethod } from './methods/index.ts';
import type { AttributeRequest } from './request.ts';
import { Scene } from './scene.ts';

/** An explanation with the answer it explains, for callers that name classes. */
export interface Attributed {
  readonly explanation: Explanation;
  /** The explained output for the input: [1, ...]. */
  readonly answer: DenseTensor;
}

/**
 * Explains one answer of a model by one method. Scores are shaped like the inputs, or like the layer asked for.
 * Throws a UserError for an unknown method, option, output, layer or target, and for inputs or baselines that do not suit the
 * model, before anything heavy runs; one that names the node where numbers stop being finite; and an abort's reason.
 */
export async function attribute(host: ModelHost, request: AttributeRequest): Promise<Attributed> {
  const method = typeof request.method === 'object' ? request.method : findMethod(request.method);
  const options = readOptions(method.name, method.options, request.options ?? {});
  checkRequest(host, request, method);
  const started = performance.now();
  const scene = new Scene(host, request, method);
  const attribution = await method.attribute(scene, options);
  checkFinite(attribution);
  const answer = await scene.answer();
  return { explanation: describe(scene, options, attribution, performance.now() - started), answer };
}

/** Nothing reacts to nothing: a person should know that this is not what a lack of influence looks like. */
function allZero(scores: Attribution['scores']): readonly string[] {
  return Object.values(scores).every(({ data }) => data.every((score) => score === 0))
    ? [
        'all scores are zero: the answer does not react to the input here, as where a softmax or sigmoid is saturated; explain the values before it, or another target or baseline',
      ]
    : [];
}

/** Scores of a model that does not compute in float64 hold no more than float32 says. */
function inFloat32(scores: Attribution['scores']): Attribution['scores'] {
  return Object.fromEntries(
    Object.entries(scores).map(([input, { dims, data }]) => [input, { dims, data: new Float32Array(data) }]),
  );
}

function describe(
  { host, request, method, output, targetRef, passes, wide }: Scene,
  options: Readonly<Record<string, OptionValue>>,
  { scores: exact, value, baselineValue, sumsTo, found = {}, warnings = [], comparesWithBaseline }: Attribution,
  ms: number,
): Explanation {
  const scores = wide ? exact : inFloat32(exact);
  const baseline =
    request.baselineName ?? (request.baseline === undefined || request.baseline === 'zero' ? 'zero' : 'given');
  const total = sumsTo === null ? undefined : value - (sumsTo === 'value' ? 0 : (baselineValue ?? 0));
  return {
    method: method.name,
    options: {
      ...options,
      ...found,
      ...(method.usesBaseline === false || comparesWithBaseline === false ? {} : { baseline }),
      ...(request.layer === undefined ? {} : { layer: request.layer }),
      ...(request.neuron === undefined ? {} : { neuron: request.neuron.join(',') }),
    },
    model: { path: host.path, sha256: host.sha256 },
    output,
    target: targetRef!,
    value,
    baselineValue,
    convergenceDelta: total === undefined ? null : sumOfScores(scores) - total,
    attributions: scores,
    warnings: [...host.notes, ...warnings, ...allZero(scores)],
    runtime: {
      provider: host.provider,
      threads: host.threads,
      ms,
      passes,
      versions: host.versions,
    },
  };
}
