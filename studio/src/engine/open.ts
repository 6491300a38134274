import { ENGINES } from './engine.ts';
import type { Engine, EngineKind } from './engine.ts';
import { serverEngine } from './server-engine.ts';

/** The engines there are for this page: its own server where it has one, which says so in the page. */
export function enginesHere(): readonly EngineKind[] {
  const served = document.querySelector<HTMLMetaElement>('meta[name=onnxray-engine]')?.content === 'server';
  return served ? ENGINES : ENGINES.filter((kind) => kind !== 'server');
}

/** Whether a browser can at all run models in this way. */
export function isAble(kind: EngineKind): boolean {
  return kind !== 'webgpu' || 'gpu' in navigator;
}

/** The code that runs models in a browser is loaded only when it is to. */
export async function openEngine(kind: EngineKind): Promise<Engine> {
  if (kind === 'server') return serverEngine();
  const { browserEngine } = await import('./browser-engine.ts');
  return browserEngine(kind);
}
