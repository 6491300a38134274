"""Grad-CAM, Score-CAM (pytorch-grad-cam), occlusion (Captum) and RISE (plain torch, by its paper) on timm's EfficientNet-Lite0
with random weights, on PyTorch's CPU: milliseconds by method, as one JSON line. The weights do not change the time.

    python bench/peers/vision.py THREADS MASKS [--short]
"""
import contextlib
import io
import json
import sys
import time

import torch

threads, masks, short = int(sys.argv[1]), int(sys.argv[2]), "--short" in sys.argv
torch.set_num_threads(threads)

import captum.attr as ca  # noqa: E402
import timm  # noqa: E402
from pytorch_grad_cam import GradCAM, ScoreCAM  # noqa: E402
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget  # noqa: E402

model = timm.create_model("tf_efficientnet_lite0", pretrained=False).eval()
x, target = torch.randn(1, 3, 224, 224), [ClassifierOutputTarget(282)]
layer = [model.bn2]


def timed(run, times):
    run()
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        run()
        taken.append((time.perf_counter() - started) * 1000)
    return sorted(taken)[len(taken) // 2]


def rise():
    side, cells = 224, 7
    total = torch.zeros(1, 1, side, side)
    size = -(-side // cells)
    with torch.no_grad():
        for start in range(0, masks, 16):
            count = min(16, masks - start)
            grids = (torch.rand(count, 1, cells, cells) < 0.5).float()
            large = torch.nn.functional.interpolate(grids, size=((cells + 1) * size,) * 2, mode="bilinear", align_corners=False)
            kept = torch.stack([large[i, :, a:a + side, b:b + side] for i, (a, b) in enumerate(torch.randint(0, size, (count, 2)).tolist())])
            total += (model(x * kept)[:, 282].reshape(-1, 1, 1, 1) * kept).sum(0, keepdim=True)
    return total


with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
    results = {"grad-cam": timed(lambda: GradCAM(model, layer)(x, target), 3 if short else 21)}
    started = time.perf_counter()
    rise()
    results["rise"] = (time.perf_counter() - started) * 1000
    occlusion = ca.Occlusion(model)
    with torch.no_grad():
        results["occlusion"] = timed(
            lambda: occlusion.attribute(x, target=282, sliding_window_shapes=(3, 32, 32), strides=(3, 16, 16), perturbations_per_eval=16), 1)
    if not short:
        started = time.perf_counter()
        ScoreCAM(model, layer)(x, target)
        results["score-cam"] = (time.perf_counter() - started) * 1000
print(json.dumps(results))
