import type { DenseTensor } from '../onnx/index.ts';
import type { Attribution, AttributionContext } from './method.ts';
import type { Players } from './players.ts';
import { spreadOver } from './players.ts';
import type { Numbers } from './numbers.ts';
import type { ProgramRunner } from './runner.ts';

/** Which players are kept: 1, or replaced by the baseline: 0. */
export type Coalition = Uint8Array;

/** Coalitions handed to the model at once: enough for full batches, few enough that memory stays small. */
const CHUNK = 256;

/**
 * The game "what is the answer when only these players are kept, and the others are as in the baseline".
 * Coalitions run as rows of one program in batches; none is run twice.
 */
export class Game {
  readonly players: Players;
  readonly #runner: ProgramRunner;
  readonly #target: DenseTensor;
  readonly #known = new Map<string, number>();

  private constructor(players: Players, runner: ProgramRunner, target: DenseTensor) {
    this.players = players;
    this.#runner = runner;
    this.#target = target;
  }

  static async open(context: AttributionContext, players: Players): Promise<Game> {
    const runner = await context.open({ rows: 'masks', binary: true, groups: players.groups });
    return new Game(players, runner, await context.target(runner));
  }

  get count(): number {
    return this.players.count;
  }

  all(): Coalition {
    return new Uint8Array(this.count).fill(1);
  }

  none(): Coalition {
    return new Uint8Array(this.count);
  }

  /** The answer for each coalition, in order. */
  async values(coalitions: Iterable<Coalition>): Promise<number[]> {
    const keys: string[] = [];
    let fresh = new Map<string, Coalition>();
    for (const coalition of coalitions) {
      const key = keyOf(coalition);
      keys.push(key);
      if (this.#known.has(key) || fresh.has(key)) continue;
      fresh.set(key, coalition.slice());
      if (fresh.size === CHUNK) {
        await this.#run(fresh);
        fresh = new Map();
      }
    }
    await this.#run(fresh);
    return keys.map((key) => this.#known.get(key)!);
  }

  async value(coalition: Coalition): Promise<number> {
    return (await this.values([coalition]))[0]!;
  }

  async #run(fresh: ReadonlyMap<string, Coalition>): Promise<void> {
    if (fresh.size === 0) return;
    const coalitions = [...fresh.values()];
    const { values } = await this.#runner.run(
      {
        weights: coalitions.map(() => 1),
        masks: (row) => this.#mask(coalitions[row]!),
        inputRow: coalitions.findIndex((coalition) => !coalition.includes(0)),
      },
      this.#target,
    );
    let row = 0;
    for (const key of fresh.keys()) this.#known.set(key, values[row++]!);
  }

  /** With the group that always stays. */
  #mask(coalition: Coalition): Numbers {
    const mask = new Float32Array(this.count + 1).fill(1);
    mask.set(coalition);
    return mask;
  }
}

/** Fifteen players to a character: all below the halves of characters, which are none by themselves. */
function keyOf(coalition: Coalition): string {
  let key = '';
  for (let start = 0; start < coalition.length; start += 15) {
    let code = 0;
    for (let at = start; at < Math.min(start + 15, coalition.length); at++) code = code * 2 + coalition[at]!;
    key += String.fromCharCode(code);
  }
  return key;
}

/** The Shapley values of a game, exactly: all its coalitions are run. */
export async function enumerateGame(game: Game): Promise<Attribution> {
  const values = await game.values(allCoalitions(game.count));
  return {
    scores: spreadOver(game.players, shapleyValues(game.count, values), true),
    value: values.at(-1)!,
    baselineValue: values[0]!,
    sumsTo: 'difference',
    found: { coalitions: values.length, exact: true },
  };
}

/** All 2^n coalitions of n players, empty first. */
export function* allCoalitions(count: number): Generator<Coalition> {
  for (let bits = 0; bits < 2 ** count; bits++)
    yield Uint8Array.from({ length: count }, (_, player) => (bits >> player) & 1);
}

/** Shapley values from the answers of all coalitions in the order of `allCoalitions`. */
export function shapleyValues(count: number, values: readonly number[]): Float64Array {
  // weight[s] = s! (n - s - 1)! / n! for coalitions of s players without the one in question.
  const weight = new Float64Array(count);
  weight[0] = 1 / count;
  for (let size = 1; size < count; size++) weight[size] = (weight[size - 1]! * size) / (count - size);
  const result = new Float64Array(count);
  for (let bits = 0; bits < values.length; bits++) {
    let size = 0;
    for (let rest = bits; rest > 0; rest >>= 1) size += rest & 1;
    for (let player = 0; player < count; player++)
      if (((bits >> player) & 1) === 0)
        result[player]! += weight[size]! * (values[bits | (1 << player)]! - values[bits]!);
  }
  return result;
}
