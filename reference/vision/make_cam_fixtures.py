"""Writes test/vision/fixtures: small vision models as ONNX, and the class activation maps other libraries draw on them.

    python reference/vision/make_cam_fixtures.py test/vision/fixtures

Maps are those before resizing and before min-max scaling. Computed in float64, stored with 9 digits.
"""
import copy
import json
import pathlib
import sys
import warnings

import captum.attr as ca
import captum
import numpy as np
import pytorch_grad_cam as pgc
import pytorch_grad_cam.base_cam as base_cam
import pytorch_grad_cam.eigen_cam as eigen_cam
import pytorch_grad_cam.eigen_grad_cam as eigen_grad_cam
import pytorch_grad_cam.layer_cam as layer_cam
import torch
from torch import nn
from pytorch_grad_cam.finer_cam import FinerCAM
from pytorch_grad_cam.kpca_cam import KPCA_CAM
from pytorch_grad_cam.shapley_cam import ShapleyCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torchcam import methods as tc

from vision_models import build

warnings.filterwarnings("ignore")
PGC, TORCHCAM, CAPTUM = "grad-cam 1.5.5", "torchcam 0.4.0", f"captum {captum.__version__}"
TARGET = 2

# --- the map before it is scaled and resized -----------------------------------------------------------------------
recorded = []
scale = base_cam.scale_cam_image


def record(cam, target_size=None):
    recorded.append(np.asarray(cam, dtype=np.float64))
    return scale(cam, target_size)


base_cam.scale_cam_image = record


def positive(projection):
    """A component has no sign: ours makes its largest element positive."""
    def fixed(batch):
        maps = projection(batch)
        return np.stack([m * np.sign(m.flat[np.abs(m).argmax()]) for m in maps])
    return fixed


for module in (base_cam, eigen_cam, eigen_grad_cam, layer_cam):
    module.get_2d_projection = positive(module.get_2d_projection)


def raw(method, model, layer, x, reshape=None, finer=False, **options):
    recorded.clear()
    cam = method(model, [layer], reshape_transform=reshape)
    if finer:
        cam(x, None, target_idx=TARGET, **options)
    else:
        cam(x, [ClassifierOutputTarget(TARGET)], **options)
    return torch.tensor(recorded[0])


def smoothed(method, model, layer, x, reshape):
    total = 0
    for mirrored in (False, True):
        for factor in (0.9, 1, 1.1):
            copy = (x.flip(3) if mirrored else x) * factor
            drawn = raw(method, model, layer, copy, reshape)
            total = total + (drawn.flip(2) if mirrored else drawn)
    return total / 6


def full_grad(model, x):
    kept = []
    cam = pgc.FullGrad(model, [])
    compute = cam.compute_cam_per_layer
    cam.compute_cam_per_layer = lambda *given: kept.append(compute(*given)) or kept[0]
    cam(x, [ClassifierOutputTarget(TARGET)])
    return torch.tensor(np.asarray(kept[0]))[:, 0]


def numbers(tensor):
    return [float(f"{v:.9g}") for v in tensor.detach().double().reshape(-1).tolist()]


def case(method, reference, tensor, layer=None, **options):
    return {"method": method, "reference": reference, "options": options, **({"layer": layer} if layer else {}),
            "dims": list(tensor.shape), "data": numbers(tensor)}


GRADIENT = {"grad-cam": pgc.GradCAM, "grad-cam-plus-plus": pgc.GradCAMPlusPlus, "xgrad-cam": pgc.XGradCAM,
            "layer-cam": pgc.LayerCAM, "hires-cam": pgc.HiResCAM, "eigen-cam": pgc.EigenCAM,
            "eigen-grad-cam": pgc.EigenGradCAM, "kpca-cam": KPCA_CAM, "shapley-cam": ShapleyCAM}
TORCHCAMS = {"grad-cam": tc.GradCAM, "layer-cam": tc.LayerCAM, "xgrad-cam": tc.XGradCAM}


def maps(model, x, layers, reshape):
    """`layers`: modules by the path of their node. The first is the one found without --layer."""
    modules = dict(model.named_modules())
    for index, (path, name) in enumerate(layers.items()):
        module = modules[name]
        place = None if index == 0 else path
        for method, reference in GRADIENT.items():
            if method == "shapley-cam" and reshape is not None:
                yield case(method, "Cai 2025, by autograd", shapley(model, module, x, reshape), place)
            else:
                yield case(method, PGC, raw(reference, model, module, x, reshape), place)
        for method in ("grad-cam", "layer-cam"):
            yield case(method, PGC, raw(GRADIENT[method], model, module, x, reshape, eigen_smooth=True), place, eigen_smooth=True)
        yield case("grad-cam", PGC, smoothed(pgc.GradCAM, model, module, x, reshape), place, aug_smooth=True)
        yield case("finer-cam", PGC, raw(FinerCAM, model, module, x, reshape, finer=True), place)
        yield case("finer-cam", PGC, raw(FinerCAM, model, module, x, reshape, finer=True, alpha=0.6, comparison_categories=[1, 2]), place, similar=2, alpha=0.6)
        if reshape is None:
            yield case("score-cam", PGC, raw(pgc.ScoreCAM, model, module, x), place, align_corners=True)
            for method, reference in TORCHCAMS.items():
                with reference(model, target_layer=name) as extractor:
                    yield case(method, TORCHCAM, extractor(TARGET, model(x), normalized=False)[0].double(), place)
            scores = ca.LayerGradCam(model, module).attribute(x, TARGET, relu_attributions=True)
            yield case("grad-cam", CAPTUM, scores[:, 0], place)
            yield case("grad-cam", CAPTUM, ca.LayerGradCam(model, module).attribute(x, TARGET)[:, 0], place, relu=False)
            yield case("ablation-cam", "Desai & Ramaswamy 2020, equation 1", ablation(model, module, x), place)


def shapley(model, module, x, reshape):
    """pytorch-grad-cam's own does not fold tokens to a grid."""
    kept = {}
    handle = module.register_forward_hook(lambda _m, _i, out: kept.update(a=out))
    answer = model(x.clone().requires_grad_())[0, TARGET]
    handle.remove()
    a = kept["a"]
    g, = torch.autograd.grad(answer, a, create_graph=True)
    h = torch.autograd.grad(g, a, grad_outputs=a.detach(), allow_unused=True)[0] if g.requires_grad else None
    h = torch.zeros_like(a) if h is None else h
    weights = reshape(g - 0.5 * h).mean((2, 3), keepdim=True)
    return (weights * reshape(a)).sum(1).clamp(min=0).detach()


def ablation(model, module, x):
    """By the paper: a channel is zeroed. pytorch-grad-cam puts min - 1e7 in its place wherever the layer has negative values."""
    kept = {}
    handle = module.register_forward_hook(lambda _m, _i, out: kept.update(a=out.detach()))
    value = model(x)[0, TARGET].item()
    handle.remove()
    total = 0
    for channel in range(kept["a"].shape[1]):
        def zero(_m, _i, out, channel=channel):
            out = out.clone()
            out[:, channel] = 0
            return out
        handle = module.register_forward_hook(zero)
        total = total + (value - model(x)[0, TARGET].item()) / value * kept["a"][:, channel]
        handle.remove()
    return total.clamp(min=0)


PLACES = {
    "convolutions": ({"relu5.Relu": "relu5", "relu2.Relu": "relu2", "relu1.Relu": "relu1"}, None),
    "norms": ({"act3.Elu": "act3", "act2.Mul_1": "act2"}, None),
    "vit": ({"layers.1.norm1.LayerNormalization": "layers.1.norm1", "layers.0.norm2.LayerNormalization": "layers.0.norm2"},
            lambda t: t[:, 1:].reshape(t.shape[0], 4, 4, -1).permute(0, 3, 1, 2)),
    "windows": ({"norm2.LayerNormalization": "norm2", "norm1.LayerNormalization": "norm1"},
                lambda t: (t if t.dim() == 4 else t.reshape(t.shape[0], 4, 4, -1)).permute(0, 3, 1, 2)),
}


def main(folder):
    folder.mkdir(parents=True, exist_ok=True)
    for seed, (name, (layers, reshape)) in enumerate(PLACES.items()):
        model = build(name, seed)
        x = torch.randn((1, 3, 16, 16), generator=torch.Generator().manual_seed(50 + seed))
        torch.onnx.export(model, (x,), str(folder / f"{name}.onnx"), input_names=["x"], output_names=["logits"],
                          dynamic_axes={"x": {0: "batch"}, "logits": {0: "batch"}}, opset_version=17, dynamo=False,
                          training=torch.onnx.TrainingMode.PRESERVE)
        model, x = model.double(), x.double()
        cases = list(maps(model, x, layers, reshape))
        if name == "convolutions":
            with tc.CAM(model, target_layer="relu5", fc_layer="head") as extractor:
                cases.append(case("cam", TORCHCAM, extractor(TARGET, model(x), normalized=False)[0]))
            # Captum guides no ReLU6.
            known = copy.deepcopy(model)
            known.relu3, known.relu4 = (nn.Sequential(nn.ReLU(), nn.Hardtanh(-1, 6)) for _ in range(2))
            guided = lambda mode: ca.GuidedGradCam(known, known.relu5).attribute(x, TARGET, interpolate_mode=mode)
            cases += [case("guided-grad-cam", CAPTUM, guided(mode), interpolation=mode) for mode in ("nearest", "bilinear")]
            cases.append(case("full-grad", PGC, full_grad(model, x)[:, None], normalize="channel"))
        document = {"dims": list(x.shape), "data": numbers(x), "answer": numbers(model(x)), "target": TARGET,
                    "found": next(iter(layers)), "cases": cases}
        (folder / f"{name}.json").write_text(json.dumps(document, separators=(",", ":")) + "\n")
        print(name, len(cases), "cases")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(pathlib.Path(sys.argv[1]))
