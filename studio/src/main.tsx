import { render } from 'preact';
// Vite makes a style sheet of its own of it.
// oxlint-disable-next-line import/no-unassigned-import
import './style.css';
import { App } from './frame/app.tsx';

render(<App />, document.getElementById('app')!);
