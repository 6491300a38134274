/** What is running: shown with its progress, and stopped, when it takes longer than half a second. */
export interface Job {
  readonly id: number;
  readonly label: string;
  readonly started: number;
  readonly done: number;
  readonly total: number;
  readonly cancel: () => void;
}

export class JobStore {
  #jobs: readonly Job[] = [];
  #next = 1;
  readonly #listeners = new Set<() => void>();

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };
  readonly get = (): readonly Job[] => this.#jobs;

  /** Runs something long under a label until it ends or `signal` or the person stops it. */
  async run<T>(
    label: string,
    work: (control: { signal: AbortSignal; onProgress: (done: number, total: number) => void }) => Promise<T>,
    signal?: AbortSignal,
  ): Promise<T> {
    const id = this.#next++;
    const controller = new AbortController();
    const abort = (): void => controller.abort(signal?.reason);
    signal?.addEventListener('abort', abort);
    const cancel = (): void => controller.abort(new DOMException('cancelled', 'AbortError'));
    this.#set([...this.#jobs, { id, label, started: performance.now(), done: 0, total: 0, cancel }]);
    try {
      return await work({
        signal: controller.signal,
        onProgress: (done, total) =>
          this.#set(this.#jobs.map((job) => (job.id === id ? { ...job, done, total } : job))),
      });
    } finally {
      signal?.removeEventListener('abort', abort);
      this.#set(this.#jobs.filter((job) => job.id !== id));
    }
  }

  #set(jobs: readonly Job[]): void {
    this.#jobs = jobs;
    for (const listener of this.#listeners) listener();
  }
}
