/**
 * What is shown, as plain data in the address: the room, the model, and the room's own parameters. It lives behind the `#`,
 * so that no server ever sees a text. Every change can be undone.
 */
export interface ViewState {
  readonly room: string;
  readonly params: Readonly<Record<string, string>>;
}

export function readAddress(hash: string): ViewState {
  // A text may hold a question mark of its own: only the first one ends the room.
  const [, room = '', query = ''] = /^#?\/?([^?]*)\??([^]*)$/.exec(hash) ?? [];
  return { room, params: Object.fromEntries(new URLSearchParams(query)) };
}

export function writeAddress({ room, params }: ViewState): string {
  const query = new URLSearchParams(params).toString();
  return `#/${room}${query === '' ? '' : `?${query}`}`;
}

/** Parameters that mean the same in every room: they are taken along from one to another. */
const SHARED: ReadonlySet<string> = new Set(['engine', 'model', 'text', 'picture']);

export function sharedParams(params: ViewState['params']): ViewState['params'] {
  return Object.fromEntries(Object.entries(params).filter(([name]) => SHARED.has(name)));
}

/** Changes of the same key that follow each other this fast are one step to undo, such as the letters of a word. */
const STEP_MS = 1200;

/** The address is written this often at most: Safari refuses more than 100 changes in 30 s. */
const WRITE_MS = 400;
/** Where it was refused, it is tried again after this. */
const RETRY_MS = 5000;

/** As many steps can be undone, fewer where their texts reach so many characters together. */
const MOST_STEPS = 100;
const MOST_CHARACTERS = 4e6;

export interface History {
  readonly state: ViewState;
  readonly canUndo: boolean;
  readonly canRedo: boolean;
}

/** The state with its past and future, in step with the address. */
export class StateStore {
  #past: ViewState[] = [];
  #future: ViewState[] = [];
  #now: ViewState;
  #shown: History;
  #lastKey = '';
  #lastTime = 0;
  #written = Number.NEGATIVE_INFINITY;
  #writing: ReturnType<typeof setTimeout> | undefined;
  readonly #listeners = new Set<() => void>();

  constructor() {
    this.#now = readAddress(location.hash);
    this.#shown = this.#snapshot();
    addEventListener('hashchange', () => {
      const next = readAddress(location.hash);
      if (writeAddress(next) === writeAddress(this.#now)) return;
      this.#remember();
      this.#future = [];
      this.#set(next);
    });
    addEventListener('pagehide', this.flush);
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };
  readonly get = (): History => this.#shown;

  /** Changes parameters; undefined removes one. With `quiet` the change is no step of its own, as for defaults. */
  readonly change = (
    changes: Readonly<Record<string, string | undefined>>,
    { room, quiet = false }: { readonly room?: string; readonly quiet?: boolean } = {},
  ): void => {
    const params = Object.fromEntries(
      Object.entries({ ...this.#now.params, ...changes }).filter(
        (entry): entry is [string, string] => entry[1] !== undefined,
      ),
    );
    const next = { room: room ?? this.#now.room, params };
    if (writeAddress(next) === writeAddress(this.#now)) return;
    const key = `${next.room} ${Object.keys(changes).join()}`;
    const joins = key === this.#lastKey && performance.now() - this.#lastTime < STEP_MS;
    if (!quiet && !joins) this.#remember();
    if (!quiet) this.#future = [];
    this.#lastKey = key;
    this.#lastTime = performance.now();
    this.#set(next);
  };

  readonly undo = (): void => this.#travel(this.#past, this.#future);
  readonly redo = (): void => this.#travel(this.#future, this.#past);

  #travel(from: ViewState[], to: ViewState[]): void {
    const next = from.pop();
    if (next === undefined) return;
    to.push(this.#now);
    this.#lastKey = '';
    this.#set(next);
  }

  #remember(): void {
    this.#past.push(this.#now);
    let [first, characters] = [this.#past.length, 0];
    while (first > 0 && this.#past.length - first < MOST_STEPS && characters < MOST_CHARACTERS)
      characters += charactersOf(this.#past[--first]!);
    this.#past.splice(0, first);
  }

  #set(next: ViewState): void {
    this.#now = next;
    this.#shown = this.#snapshot();
    for (const listener of this.#listeners) listener();
    if (this.#writing !== undefined) return;
    const wait = this.#written + WRITE_MS - performance.now();
    if (wait <= 0) this.flush();
    else this.#writing = setTimeout(this.flush, wait);
  }

  /** Brings the address up to date now, as before it is copied. */
  readonly flush = (): void => {
    clearTimeout(this.#writing);
    this.#writing = undefined;
    this.#written = performance.now();
    const address = writeAddress(this.#now);
    if (address === location.hash) return;
    try {
      history.replaceState(null, '', address);
    } catch {
      // The browser has had enough for now; what is shown does not wait for it.
      this.#writing = setTimeout(this.flush, RETRY_MS);
    }
  };

  #snapshot(): History {
    return { state: this.#now, canUndo: this.#past.length > 0, canRedo: this.#future.length > 0 };
  }
}

function charactersOf({ params }: ViewState): number {
  return Object.values(params).reduce((sum, value) => sum + value.length, 0);
}
