/** Players, and how they fall into two halves. */
export interface Cluster {
  readonly players: readonly number[];
  readonly halves: readonly [Cluster, Cluster] | undefined;
}

type Places = readonly (readonly number[])[];

/**
 * Halves the players again and again: first between the inputs they are of, since places in one say nothing of those in
 * another, then across the axis along which their places reach furthest.
 */
export function hierarchy(inputs: readonly Places[]): Cluster {
  const places = inputs.flat();
  let first = 0;
  const clusters = inputs
    .map((own) => own.map(() => first++))
    .filter((players) => players.length > 0)
    .map((players) => divide(places, players));
  return join(clusters);
}

function join(clusters: readonly Cluster[]): Cluster {
  if (clusters.length === 1) return clusters[0]!;
  const middle = Math.floor(clusters.length / 2);
  const halves = [join(clusters.slice(0, middle)), join(clusters.slice(middle))] as const;
  return { players: halves.flatMap(({ players }) => players), halves };
}

function divide(places: Places, players: readonly number[]): Cluster {
  if (players.length < 2) return { players, halves: undefined };
  const axes = places[players[0]!]!.length;
  const reach = (axis: number) => {
    let [low, high] = [Infinity, -Infinity];
    for (const player of players) {
      const place = places[player]![axis] ?? 0;
      [low, high] = [Math.min(low, place), Math.max(high, place)];
    }
    return high - low;
  };
  let longest = 0;
  for (let axis = 1; axis < axes; axis++) if (reach(axis) > reach(longest)) longest = axis;
  const order = players.toSorted((left, right) => (places[left]![longest] ?? 0) - (places[right]![longest] ?? 0));
  const middle = Math.floor(order.length / 2);
  return { players, halves: [divide(places, order.slice(0, middle)), divide(places, order.slice(middle))] };
}
