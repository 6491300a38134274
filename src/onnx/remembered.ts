import type { Model } from './model.ts';

/**
 * A memory of what is worked out from models: `compute` runs once for each model and key, and what it gave is kept for as
 * long as the model is. Models are never changed, so nothing goes out of date. What throws is not kept.
 */
export function remembered<T>(): (model: Model, key: string, compute: () => T) => T {
  const known = new WeakMap<Model, Map<string, { readonly result: T }>>();
  return (model, key, compute) => {
    const own = known.get(model) ?? new Map<string, { readonly result: T }>();
    known.set(model, own);
    const before = own.get(key);
    if (before !== undefined) return before.result;
    const result = compute();
    own.set(key, { result });
    return result;
  };
}
