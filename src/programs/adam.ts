/**
 * Gradient descent by Adam: what it returns takes a step down the gradient, in place, each time it is called.
 * Kingma & Ba 2015, https://arxiv.org/abs/1412.6980, with their defaults.
 */
export function adam<T extends Float32Array | Float64Array>(
  size: number,
  rate: number,
): (values: T, gradient: ArrayLike<number>) => void {
  const [first, second] = [new Float64Array(size), new Float64Array(size)];
  let step = 0;
  return (values, gradient) => {
    step++;
    const [left, squaresLeft] = [1 - 0.9 ** step, 1 - 0.999 ** step];
    for (let at = 0; at < size; at++) {
      const slope = gradient[at]!;
      const mean = 0.9 * first[at]! + 0.1 * slope;
      const square = 0.999 * second[at]! + 0.001 * slope * slope;
      first[at] = mean;
      second[at] = square;
      values[at]! -= (rate * (mean / left)) / (Math.sqrt(square / squaresLeft) + 1e-8);
    }
  };
}
