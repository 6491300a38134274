/** Which token is under the pointer, told to canvases directly: a hover redraws overlays, never components. */
export interface Hovered {
  /** Index of the query, -1 for none. */
  readonly query: number;
  /** Index of the key, -1 for none. */
  readonly key: number;
}

export const NOTHING: Hovered = { query: -1, key: -1 };

export class Hover {
  #now: Hovered = NOTHING;
  #waiting = false;
  readonly #listeners = new Set<(hovered: Hovered) => void>();

  get now(): Hovered {
    return this.#now;
  }

  set(query: number, key = -1): void {
    if (query === this.#now.query && key === this.#now.key) return;
    this.#now = { query, key };
    // Several moves within a frame are one drawing.
    if (this.#waiting) return;
    this.#waiting = true;
    requestAnimationFrame(() => {
      this.#waiting = false;
      for (const listener of this.#listeners) listener(this.#now);
    });
  }

  readonly listen = (listener: (hovered: Hovered) => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };
}

/** Draws now, and again whenever the scroller moves (once a frame) or another token is hovered. Gives what ends that. */
export function drawOnMove(scroller: HTMLElement, hover: Hover, draw: () => void): () => void {
  let frame = 0;
  const scrolled = (): void => {
    frame ||= requestAnimationFrame(() => {
      frame = 0;
      draw();
    });
  };
  draw();
  scroller.addEventListener('scroll', scrolled, { passive: true });
  const silence = hover.listen(draw);
  return () => {
    cancelAnimationFrame(frame);
    scroller.removeEventListener('scroll', scrolled);
    silence();
  };
}
