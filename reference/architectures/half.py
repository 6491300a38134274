"""How well PyTorch itself does in float16: the bound that float16 exports are held to.

    python reference/architectures/half.py CACHE [--only detr,resnet]

For each architecture the gradients that make.py takes, in float64 and by the same model in float16 on the CPU: the largest
difference over the largest value, and the smallest cosine. A rectifier or a maximum whose inputs lie within float16's rounding decides
otherwise there and lets whole parts of a gradient through or not, so the decisions that differ are counted, and what is left of
the error when float64 takes float16's decisions is measured too. Written to CACHE/ARCH/half.json; null where float16 does not run.
"""
import argparse
import json
from pathlib import Path

import torch
import torch.nn.functional as F

import make
from catalogue import ARCHITECTURES, build, inputs_of


class Decisions:
    """Records what every rectifier and max-pool decides, or makes them decide as recorded and counts the differences."""

    def __init__(self, recorded=None):
        self.recorded, self.replaying = recorded or [], recorded is not None
        self.flipped = self.kinks = self.at = 0

    def decide(self, own):
        if not self.replaying:
            self.recorded.append(own)
            return own
        taken, self.at = self.recorded[self.at], self.at + 1
        self.flipped += int((taken != own).sum())
        self.kinks += own.numel()
        return taken

    def __enter__(self):
        self.before = F.relu, F.max_pool2d
        with_indices = F.max_pool2d_with_indices

        def relu(x, inplace=False):
            return x * self.decide(x.detach() > 0)

        def max_pool2d(x, *args, return_indices=False, **kwargs):
            y, indices = with_indices(x, *args, **kwargs)
            return x.flatten(2).gather(2, self.decide(indices).flatten(2)).reshape(y.shape)

        F.relu, F.max_pool2d = relu, max_pool2d
        return self

    def __exit__(self, *_):
        F.relu, F.max_pool2d = self.before


def gradients(architecture, dtype, decisions):
    model = build(architecture, "eager").to(dtype)
    inputs = {key: value.to(dtype).requires_grad_() if value.is_floating_point() else value for key, value in inputs_of(architecture).items()}
    torch.set_default_dtype(dtype)  # for masks that models make themselves
    try:
        with make.Recorder({key: value for key, value in inputs.items() if key.endswith("input_ids")}) as recorder, decisions:
            out = model(**inputs)
        points = [*(value for value in inputs.values() if value.is_floating_point()), *recorder.found.values()]
        generator, found = torch.Generator().manual_seed(5), []
        for output in architecture.outputs:
            seed = torch.randn(out[output].shape, generator=generator, dtype=torch.float32).to(dtype)
            found += torch.autograd.grad((out[output] * seed).sum(), points, retain_graph=True)
        return [each.double() for each in found]
    finally:
        torch.set_default_dtype(torch.float32)


def worst(ours, theirs):
    error = max(((a - b).abs().max() / b.abs().max()).item() for a, b in zip(ours, theirs))
    return error, min(F.cosine_similarity(a.flatten(), b.flatten(), 0).item() for a, b in zip(ours, theirs))


def half(architecture):
    recorded = Decisions()
    low = gradients(architecture, torch.float16, recorded)
    exact = gradients(architecture, torch.float64, Decisions())
    replayed = Decisions(recorded.recorded)
    same = gradients(architecture, torch.float64, replayed)
    error, cosine = worst(low, exact)
    return {"gradient": error, "cosine": cosine, "flipped": replayed.flipped, "kinks": replayed.kinks, "unflipped": worst(low, same)[0]}


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("cache", type=Path)
    parser.add_argument("--only", default="")
    arguments = parser.parse_args()
    for name in [each for each in arguments.only.split(",") if each] or list(ARCHITECTURES):
        try:
            found = half(ARCHITECTURES[name])
        except RuntimeError as error:
            print(f"{name}: {str(error).splitlines()[0]}", flush=True)
            found = None
        folder = arguments.cache / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "half.json").write_text(json.dumps(found) + "\n")
        print(name, found, flush=True)
