/**
 * The same pictures in notebooks, as an anywidget module (Jupyter, Colab, VS Code, marimo).
 *
 *     import anywidget, traitlets
 *     class Onnxray(anywidget.AnyWidget):
 *         _esm = pathlib.Path("node_modules/onnxray/dist/elements/widget.js")
 *         kind = traitlets.Unicode("text").tag(sync=True)      # text, image or attention
 *         data = traitlets.Unicode("{}").tag(sync=True)        # the JSON that onnxray prints
 *         picture = traitlets.Unicode("").tag(sync=True)       # address of the picture, for kind "image"
 */
import { define } from './elements.tsx';

/** The part of anywidget's model that is used. */
interface WidgetModel {
  get(name: 'kind' | 'data' | 'picture'): unknown;
  on(event: string, listener: () => void): void;
  off(event: string, listener: () => void): void;
}

function renderWidget({ model, el }: { readonly model: WidgetModel; readonly el: HTMLElement }): () => void {
  define();
  const show = (): void => {
    const kind = model.get('kind');
    const name = kind === 'image' || kind === 'attention' ? kind : 'text';
    const element = document.createElement(`onnxray-${name}`);
    const picture = model.get('picture');
    if (typeof picture === 'string' && picture !== '') element.setAttribute('picture', picture);
    (element as HTMLElement & { data: unknown }).data = model.get('data');
    el.replaceChildren(element);
  };
  const changes = ['change:kind', 'change:data', 'change:picture'];
  for (const change of changes) model.on(change, show);
  show();
  return () => {
    for (const change of changes) model.off(change, show);
  };
}

export default { render: renderWidget };
