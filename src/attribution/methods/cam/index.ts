/**
 * Class activation maps: a layer's channels, weighted and summed over a picture's positions.
 *
 * `target-layer.ts` finds the layer and how its values fold to channels over positions (token sequences of a ViT
 * included); `draw.ts` runs the model to the layer and the small program behind it, in which `programs/maps.ts` makes the
 * map; the other modules are a method each.
 */
import type { Method } from '../../../programs/index.ts';
import { cam } from './cam.ts';
import { finerCam } from './finer.ts';
import { fullGrad } from './full-grad.ts';
import {
  eigenCam,
  eigenGradCam,
  gradCam,
  gradCamPlusPlus,
  hiresCam,
  kpcaCam,
  layerCam,
  segXresCam,
  shapleyCam,
  xgradCam,
} from './gradient.ts';
import { guidedGradCam } from './guided.ts';
import { ablationCam, scoreCam } from './score.ts';

export const CAM_METHODS: readonly Method[] = [
  cam,
  gradCam,
  gradCamPlusPlus,
  xgradCam,
  layerCam,
  hiresCam,
  scoreCam,
  ablationCam,
  eigenCam,
  eigenGradCam,
  kpcaCam,
  fullGrad,
  guidedGradCam,
  finerCam,
  shapleyCam,
  segXresCam,
];
