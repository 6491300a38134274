/** Players, and how they fall into two halves. */
export interface Cluster {
  readonly players: readonly number[];
  readonly halves: readonly [Cluster, Cluster] | undefined;
}

/** Halves the players again and again, across the axis along which their places reach furthest. */
export function hierarchy(places: readonly (readonly number[])[]): Cluster {
  return divide(
    places,
    places.map((_, player) => player),
  );
}

function divide(places: readonly (readonly number[])[], players: readonly number[]): Cluster {
  if (players.length < 2) return { players, halves: undefined };
  const axes = places[players[0]!]!.length;
  const reach = (axis: number) => {
    const along = players.map((player) => places[player]![axis] ?? 0);
    return Math.max(...along) - Math.min(...along);
  };
  let longest = 0;
  for (let axis = 1; axis < axes; axis++) if (reach(axis) > reach(longest)) longest = axis;
  const order = players.toSorted((left, right) => (places[left]![longest] ?? 0) - (places[right]![longest] ?? 0));
  const middle = Math.floor(order.length / 2);
  return { players, halves: [divide(places, order.slice(0, middle)), divide(places, order.slice(middle))] };
}
