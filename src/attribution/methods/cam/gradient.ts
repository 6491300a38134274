/** Class activation maps whose channel weights come from the gradient at the layer. */
import { defineMethod } from '../../../programs/index.ts';
import type { MapForm, Method } from '../../../programs/index.ts';
import { MAP_OPTIONS, drawMap } from './draw.ts';

/** A and G are activations and gradient of the target at the layer, [channels, positions]. */
function defineMap(form: MapForm, summary: string): Method {
  return defineMethod({
    name: form,
    summary,
    options: MAP_OPTIONS,
    usesBaseline: false,
    layers: 'own-layer',
    attribute: (context, options) => drawMap(context, { ...options, method: form, form }),
  });
}

/**
 * Grad-CAM: relu(sum_k w_k A_k), w_k the mean of G_k over positions. Known flaw: the mean forgets where a channel
 * mattered, so places that did not matter can light up (HiResCAM's critique).
 * Selvaraju et al. 2017, https://arxiv.org/abs/1610.02391. Cost: one forward pass, and forward and backward behind the layer.
 */
export const gradCam = defineMap('grad-cam', 'channels of a layer weighted by their mean gradient (Grad-CAM)');

/**
 * Grad-CAM++: w_k = sum a G^+ with a = G^2 / (2 G^2 + G^3 sum A_k), 0 where G is 0: for several objects of one class.
 * Derived for the exponential of the score; sums over positions as in the paper. Known flaw: in practice close to a
 * positive Grad-CAM (Lerma & Lucas 2022). Chattopadhay et al. 2018, https://arxiv.org/abs/1710.11063. Cost as Grad-CAM.
 */
export const gradCamPlusPlus = defineMap('grad-cam-plus-plus', 'Grad-CAM with weights for several objects of a class');

/**
 * XGrad-CAM: w_k = sum G A_k / (sum A_k + 1e-7). Known flaw: a channel that sums to nearly 0 gets a huge weight.
 * Fu et al. 2020, https://arxiv.org/abs/2008.02312. Cost as Grad-CAM.
 */
export const xgradCam = defineMap('xgrad-cam', 'Grad-CAM with gradients weighted by the activations’ share');

/**
 * LayerCAM: relu(sum_k G_k^+ A_k), each position with its own gradient: also sharp at early layers.
 * Jiang et al. 2021, https://doi.org/10.1109/TIP.2021.3089943. Cost as Grad-CAM.
 */
export const layerCam = defineMap('layer-cam', 'activations times their own positive gradients: for early layers too');

/**
 * HiResCAM: relu(sum_k G_k A_k). Without the relu it sums to what a linear head makes of the layer, without its bias:
 * faithful where one linear layer follows. Draelos & Carin 2020, https://arxiv.org/abs/2011.08891. Cost as Grad-CAM.
 */
export const hiresCam = defineMap('hires-cam', 'activations times gradients at each place: faithful for a linear head');

/**
 * Eigen-Grad-CAM: the first principal component over channels of G A, centred. Component signs mean nothing: the largest
 * element is made positive. Muhammad & Yeasin's projection with the class put back in, as in pytorch-grad-cam. Cost as Grad-CAM.
 */
export const eigenGradCam = defineMap('eigen-grad-cam', 'first principal component of activations times gradients');

/**
 * Shapley-CAM: Grad-CAM with w_k the mean of G - H A / 2, H the Hessian of the target at the layer: the Shapley value of
 * channels to second order. Equals Grad-CAM where the layer's head is linear. Cai 2025, https://arxiv.org/abs/2501.06261.
 * Cost: Grad-CAM and one more pass behind the layer.
 */
export const shapleyCam = defineMap('shapley-cam', 'Grad-CAM with the second derivative in its weights');

/**
 * Eigen-CAM: the first principal component over channels of A. It looks at no class: known to show the largest object.
 * Muhammad & Yeasin 2020, https://arxiv.org/abs/2008.00299. Cost: one forward pass, and the head again.
 */
export const eigenCam = defineMap('eigen-cam', 'first principal component of a layer, whatever the class');

/**
 * KPCA-CAM: the first component of kernel PCA (sigmoid kernel, gamma 1 / channels) of A. It looks at no class either.
 * Karmani et al. 2024, https://arxiv.org/abs/2410.00267. Cost as Eigen-CAM; the kernel is positions x positions.
 */
export const kpcaCam = defineMap('kpca-cam', 'first component of kernel PCA of a layer, whatever the class');

/**
 * Seg-XRes-CAM: relu(sum_k U(mean over windows of G_k) A_k), for a region of a segmentation (--region): gradients averaged
 * over windows of the layer keep their place. Windows as large as the map are Grad-CAM (Seg-Grad-CAM), of 1 HiResCAM.
 * Hasany, Petitjean & Meriaudeau 2023, https://arxiv.org/abs/2305.15267. Cost as Grad-CAM.
 */
export const segXresCam = defineMethod({
  name: 'seg-xres-cam',
  summary: 'Grad-CAM with gradients averaged over windows: for regions of a segmentation',
  options: {
    ...MAP_OPTIONS,
    window: { kind: 'integer', default: 4, min: 1, help: 'side of the windows, in cells of the layer' },
  },
  usesBaseline: false,
  layers: 'own-layer',
  attribute: (context, { window, ...options }) =>
    drawMap(context, { ...options, method: 'seg-xres-cam', form: 'seg-xres-cam', window }),
});
