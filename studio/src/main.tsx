import { render } from 'preact';
// Vite makes a style sheet of its own of it.
// oxlint-disable-next-line import/no-unassigned-import
import './style.css';
import { App } from './frame/app.tsx';
import type { Engine } from './engine/engine.ts';
import { serverEngine } from './engine/server-engine.ts';

/** The page's own server says so in the page; without one, models run in this browser, and its code is loaded then. */
async function chooseEngine(): Promise<Engine> {
  const served = document.querySelector<HTMLMetaElement>('meta[name=onnxray-engine]')?.content === 'server';
  const wanted = new URLSearchParams(location.search).get('engine');
  if (served && wanted !== 'browser') return serverEngine();
  const { browserEngine } = await import('./engine/browser-engine.ts');
  return browserEngine();
}

render(<App engine={chooseEngine()} />, document.getElementById('app')!);
