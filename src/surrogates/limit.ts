import { UserError } from '../onnx/index.ts';
import type { Players } from '../programs/index.ts';

/** Most players a linear model is fitted to: its normal equations take 32 MiB then, and solving them some seconds. */
const MOST_FITTED = 2048;

/** Throws a UserError, before anything runs, where there are too many. */
export function checkFits(method: string, players: Players): Players {
  if (players.count > MOST_FITTED)
    throw new UserError(
      `${method} fits a number to each of at most ${MOST_FITTED} features, and the input has ${players.count}: take features=regions or superpixels of a picture, feature masks, or partition-shap`,
    );
  return players;
}
