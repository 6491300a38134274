/** How many loaded models are kept at once: each has its own copy of the weights and, isolated, a process of its own. */

export interface LoadedLimits {
  /** Sessions kept loaded. */
  readonly sessions: number;
  /** Bytes they may take, as far as that can be told beforehand. */
  readonly bytes: number;
}

/** What of a session this needs to know. */
export interface Loadable {
  /** Whether it runs, waits to, or is being loaded or put to rest. */
  readonly busy: boolean;
  /** Whether its process ended: then it takes nothing any more. */
  readonly closed: boolean;
  /** Gives its memory back until it is run again. */
  rest(): Promise<void>;
}

/**
 * Sessions that are loaded, of one model or of several that share a limit. When one more is loaded, those longest unused
 * rest until all fit; never one that is busy, so that the limit is passed while that many run at once.
 */
export class LoadedSessions {
  readonly #limits: LoadedLimits;
  /** Bytes of each, the one longest unused first. */
  readonly #sessions = new Map<Loadable, number>();

  constructor(limits: LoadedLimits) {
    this.#limits = limits;
  }

  /** Makes room for a session that is about to be loaded. */
  async add(session: Loadable, bytes: number): Promise<void> {
    this.#sessions.delete(session);
    this.#sessions.set(session, bytes);
    for (const other of this.#sessions.keys()) if (other.closed) this.#sessions.delete(other);
    for (const other of this.#sessions.keys()) {
      if (this.#fits()) return;
      if (other === session || other.busy || !this.#sessions.delete(other)) continue;
      await other.rest();
    }
  }

  /** Says that a session is used now. */
  use(session: Loadable): void {
    const bytes = this.#sessions.get(session);
    if (bytes === undefined) return;
    this.#sessions.delete(session);
    this.#sessions.set(session, bytes);
  }

  /** Says that a session takes nothing any more. */
  remove(session: Loadable): void {
    this.#sessions.delete(session);
  }

  /** Gives back the memory of all. */
  async rest(): Promise<void> {
    await Promise.all([...this.#sessions.keys()].map((session) => session.rest()));
  }

  #fits(): boolean {
    let bytes = 0;
    for (const each of this.#sessions.values()) bytes += each;
    return this.#sessions.size <= this.#limits.sessions && bytes <= this.#limits.bytes;
  }
}
