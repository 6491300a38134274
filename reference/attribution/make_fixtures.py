"""Writes test/attribution/fixtures: each small model as ONNX, and reference attributions of the same weights as JSON.

    python reference/attribution/make_fixtures.py test/attribution/fixtures

Cases of the shap and lime packages are those of surrogates.py. Versions are pinned in reference/requirements.txt. References are computed in float64 and stored with 9 digits.
Methods with noise in them are given the numbers that onnxray draws, which noise.ts prints (this needs Node).
"""
import copy
import json
import pathlib
import subprocess
import sys
import warnings
from unittest import mock

import captum
import captum.attr as ca
import lxt.efficient.rules as lxt
import numpy as np
import torch
import zennit
from captum.log import log_usage
from torch import nn
from zennit.attribution import Gradient
from zennit.canonizers import SequentialMergeBatchNorm
from zennit.composites import EpsilonAlpha2Beta1, EpsilonAlpha2Beta1Flat, EpsilonGammaBox, EpsilonPlus, EpsilonPlusFlat, LayerMapComposite, SpecialFirstLayerMapComposite, layer_map_base
from zennit.rules import AlphaBeta, Epsilon, Flat, Gamma, WSquare, ZBox, ZPlus
from zennit.types import AvgPool, BatchNorm, Convolution, Linear

import surrogates
from models import MODELS, Activation, Attention, Block, Cnn, Norm, for_float64, gelu_tanh, randomize

warnings.filterwarnings("ignore")
CAPTUM, ZENNIT, LXT = f"captum {captum.__version__}", "zennit 0.5.1", "lxt 2.1"
TARGET = 1
HERE = pathlib.Path(__file__).parent


def numbers(tensor):
    t = tensor.detach().reshape(-1)
    return [float(f"{v:.9g}") for v in t.tolist()]


def case(method, reference, tensor, options=None, name="x", **more):
    return {"method": method, "options": options or {}, "reference": reference,
            "scores": {name: {"dims": list(tensor.shape), "data": numbers(tensor)}}, **more}


def gradient_cases(model, x, base, hidden, name, steps=30):
    """Captum's methods that every model has; `hidden` sums over an embedding's axis."""
    total = (lambda t: t.sum(-1)) if hidden else (lambda t: t)
    norm = (lambda t: t.pow(2).sum(-1).sqrt()) if hidden else (lambda t: t.abs())
    saliency = ca.Saliency(model)
    yield case("saliency", CAPTUM, norm(saliency.attribute(x, target=TARGET, abs=False)), name=name)
    if not hidden:  # a norm makes the sum over the embedding's axis zero
        yield case("saliency", CAPTUM, saliency.attribute(x, target=TARGET, abs=False), {"signed": True}, name)
    yield case("input-x-gradient", CAPTUM, total(ca.InputXGradient(model).attribute(x, target=TARGET)), name=name)
    ig = ca.IntegratedGradients(model)
    for rule, theirs in [("gauss-legendre", "gausslegendre"), ("midpoint", "riemann_middle"), ("left", "riemann_left"), ("right", "riemann_right")]:
        scores = ig.attribute(x, base, target=TARGET, n_steps=steps, method=theirs)
        yield case("integrated-gradients", CAPTUM, total(scores), {"steps": steps, "rule": rule}, name)


def relu_cases(model, x, name):
    yield case("guided-backprop", CAPTUM, ca.GuidedBackprop(model).attribute(x, target=TARGET), name=name)
    yield case("deconvnet", CAPTUM, ca.Deconvolution(model).attribute(x, target=TARGET), name=name)


def deep_lift_cases(model, x, base, many, name):
    for method, explainer, baseline, more in (("deep-lift", ca.DeepLift, base, {}), ("deep-lift-shap", ca.DeepLiftShap, many, {"baseline": "many"})):
        scores, delta = explainer(model).attribute(x, baseline, target=TARGET, return_convergence_delta=True)
        # By how much Captum's scores miss the change of the answer: Rescale scores sum to it.
        gap = delta.mean().item()
        if abs(gap) > 1e-6:
            more = {**more, "differs": "Captum's scores miss the change of the answer where a ReLU and a max-pool follow each other", "gap": float(f"{gap:.9g}")}
        yield case(method, CAPTUM, scores, name=name, **more)


class Reduced(ca.Saliency):
    """Saliency of tokens: the norm over the embedding's axis, of each noisy copy."""

    @log_usage()
    def attribute(self, inputs, target=None):
        return ca.Saliency.attribute.__wrapped__(self, inputs, target=target, abs=False).pow(2).sum(-1).sqrt()


def noise_cases(model, x, many, hidden, name):
    """NoiseTunnel and GradientShap with the noise, positions and baselines that onnxray draws."""
    samples, share = 12, 0.15
    asked = json.dumps({"seed": 0, "input": name, "rows": samples + 4, "size": x[0].numel()})
    drawn = json.loads(subprocess.run(["npx", "tsx", str(HERE / "noise.ts"), asked], check=True, capture_output=True, cwd=HERE).stdout)
    noise = torch.tensor(drawn["noise"], dtype=torch.float64).reshape(-1, *x.shape[1:])
    same = lambda first: mock.patch("torch.normal", lambda mean, deviation: mean + deviation.double() * noise[first : first + samples])
    names = {"smooth-grad": "smoothgrad", "smooth-grad-squared": "smoothgrad_sq", "var-grad": "vargrad"}
    spread = (x.max() - x.min()).item()
    for method, theirs in names.items():
        with same(0):
            inner = Reduced(model) if hidden else ca.Saliency(model)
            scores = ca.NoiseTunnel(inner).attribute(x, theirs, samples, stdevs=share * spread, target=TARGET)
        yield case(method, CAPTUM + " NoiseTunnel", scores, {"nt_samples": samples}, name)
    with same(0):
        scores = ca.NoiseTunnel(ca.InputXGradient(model)).attribute(x, "smoothgrad", samples, stdevs=0.2, target=TARGET)
    yield case("smooth-grad", CAPTUM + " NoiseTunnel", scores.sum(-1) if hidden else scores, {"of": "input-x-gradient", "nt_samples": samples, "stdevs": 0.2}, name)
    if many is None:
        return
    # onnxray takes baselines in turn, and spreads the positions of each over [0, 1]; its first rows are the baselines.
    turn, each = np.arange(samples) % len(many), samples // len(many)
    positions = (np.arange(samples) // len(many) + np.array(drawn["positions"][:samples])) / each
    for stdevs in (0.0, 0.2):
        with same(len(many)), mock.patch("numpy.random.choice", lambda count, size: turn), mock.patch("numpy.random.uniform", lambda low, high, size: positions):
            scores = ca.GradientShap(model).attribute(x, many, samples, stdevs=stdevs, target=TARGET)
        yield case("expected-gradients", CAPTUM + " GradientShap", scores, {"n_samples": samples, **({"stdevs": stdevs} if stdevs else {})}, name, baseline="many")


def permutation_case(model, x, many, name):
    """Captum's mean over the permutations of a batch that bring the first row each of the others' values."""
    batch = torch.cat([x, many])
    groups = torch.arange(x.numel()).reshape(x.shape) // (1 if x.numel() < 10 else 16)
    scores = []
    for shift in range(1, len(batch)):
        permute = lambda rows, mask: torch.where(mask, rows.roll(-shift, 0), rows)
        scores.append(ca.FeaturePermutation(model, permute).attribute(batch, target=TARGET, feature_mask=groups)[:1])
    yield case("feature-permutation", CAPTUM, torch.stack(scores).mean(0), name=name, groups=groups.reshape(-1).tolist(), baseline="many")


def lrp_cases(model, x, name):
    model = copy.deepcopy(model)
    for module in model.modules():
        if isinstance(module, Block):
            module.plain = False
        if isinstance(module, nn.BatchNorm2d):
            # Zennit merges the norm into the convolution and leaves 1 / sqrt(1 + eps) of it behind; with eps in the variance, none.
            module.running_var += module.eps
            module.eps = 0.0
    low, high = torch.full_like(x, x.min().item()), torch.full_like(x, x.max().item())
    canonizers = [SequentialMergeBatchNorm()]
    # The stabilizer is that of pools and sums.
    everywhere = lambda rule, stabilizer=1e-6: LayerMapComposite([*layer_map_base(stabilizer), (Convolution, rule), (torch.nn.Linear, rule)], canonizers=canonizers)
    boxed = SpecialFirstLayerMapComposite(
        [*layer_map_base(), (Convolution, Epsilon(1e-6)), (torch.nn.Linear, Epsilon(1e-6))],
        [(Convolution, ZBox(low, high)), (torch.nn.Linear, ZBox(low, high))], canonizers=canonizers)
    composites = {
        "lrp-0": everywhere(Epsilon(1e-12), 1e-12),
        "lrp-epsilon": everywhere(Epsilon(1e-6)),
        "lrp-gamma": everywhere(Gamma(0.25)),
        "lrp-alpha1-beta0": everywhere(AlphaBeta(1, 0)),
        "lrp-alpha2-beta1": everywhere(AlphaBeta(2, 1)),
        "lrp-z-plus": everywhere(ZPlus()),
        "lrp-w-square": everywhere(WSquare()),
        "lrp-flat": everywhere(Flat()),
        "lrp-zb": boxed,
        "lrp-epsilon-plus": EpsilonPlus(canonizers=canonizers),
        "lrp-epsilon-plus-flat": EpsilonPlusFlat(canonizers=canonizers),
        "lrp-epsilon-alpha2-beta1": EpsilonAlpha2Beta1(canonizers=canonizers),
        "lrp-epsilon-alpha2-beta1-flat": EpsilonAlpha2Beta1Flat(canonizers=canonizers),
    }
    if any(isinstance(module, nn.Conv2d) for module in model.modules()):
        composites["lrp-epsilon-gamma-box"] = EpsilonGammaBox(low, high, canonizers=canonizers)
    answer = model(x)
    seed = torch.zeros_like(answer)
    seed[0, TARGET] = answer[0, TARGET]
    for method, composite in composites.items():
        with Gradient(model, composite) as attributor:
            _, relevance = attributor(x.clone().requires_grad_(), seed.detach())
        yield case(method, ZENNIT, relevance, name=name)


def attention_cases(model, x, hidden, name):
    """LXT's rules, which edit the gradient; its product with the input is the relevance."""
    for method in ("attn-lrp", "cp-lrp"):
        edited = copy.deepcopy(model)
        for module in edited.modules():
            if isinstance(module, Norm):
                module.constant_deviation = True
            if isinstance(module, Activation):
                module.secant = True
            if isinstance(module, Attention):
                module.lrp = (
                    (lambda q, k, v: (lxt.divide_gradient(q, 4), lxt.divide_gradient(k, 4), lxt.divide_gradient(v, 2)))
                    if method == "attn-lrp"
                    else (lambda q, k, v: (lxt.stop_gradient(q), lxt.stop_gradient(k), v)))
        forward = edited.from_embedding if hidden else edited
        e = x.clone().requires_grad_()
        forward(e)[0, TARGET].backward()
        relevance = e * e.grad
        yield case(method, LXT, relevance.sum(-1) if hidden else relevance, name=name)


def perturbation_cases(model, x, base, name):
    groups = torch.arange(x.numel()).reshape(x.shape) // (1 if x.numel() < 10 else 16)
    ablation = ca.FeatureAblation(model).attribute(x, base, target=TARGET, feature_mask=groups)
    yield case("feature-ablation", CAPTUM, ablation, name=name, groups=groups.reshape(-1).tolist())
    yield case("leave-one-out", CAPTUM, ca.FeatureAblation(model).attribute(x, base, target=TARGET), name=name)
    if x.dim() == 4:
        for window, stride in ((3, 1), (4, 2)):
            scores = ca.Occlusion(model).attribute(
                x, baselines=base, target=TARGET, sliding_window_shapes=(x.shape[1], window, window), strides=(x.shape[1], stride, stride))
            yield case("occlusion", CAPTUM, scores, {"window": window, "stride": stride}, name)
    else:
        exact = ca.ShapleyValues(model).attribute(x, base, target=TARGET)
        for method in ("exact-shapley", "kernel-shap", "permutation-shap", "shapley-sampling"):
            yield case(method, CAPTUM + " ShapleyValues", exact, name=name, exact=True)


def layer_cases(model, layers, x, base, neuron, path_of):
    for layer in layers:
        module = dict(model.named_modules())[layer]
        place = {"layer": path_of(layer)}
        name = place["layer"]
        attr = ca.LayerActivation(model, module).attribute(x)
        at = tuple(neuron[: attr.dim() - 1])
        scores = ca.LayerIntegratedGradients(model, module).attribute(x, base, target=TARGET, n_steps=30)
        yield case("integrated-gradients", CAPTUM, scores, {"steps": 30, "rule": "gauss-legendre"}, name, **place)
        yield case("input-x-gradient", CAPTUM, ca.LayerGradientXActivation(model, module).attribute(x, target=TARGET), name=name, **place)
        scores = ca.InternalInfluence(model, module).attribute(x, base, target=TARGET, n_steps=30)
        yield case("internal-influence", CAPTUM, scores, {"steps": 30}, name, **place)
        scores = ca.LayerConductance(model, module).attribute(x, base, target=TARGET, n_steps=30, method="riemann_trapezoid")
        yield case("layer-conductance", CAPTUM, scores, {"steps": 30}, name, **place)
        scores = ca.NeuronConductance(model, module).attribute(x, at, base, target=TARGET, n_steps=30, method="gausslegendre")
        yield case("neuron-conductance", CAPTUM, scores, {"steps": 30}, "x", **place, neuron=list(at))
        scores = ca.NeuronIntegratedGradients(model, module).attribute(x, at, base, n_steps=30)
        yield case("integrated-gradients", CAPTUM, scores, {"steps": 30, "rule": "gauss-legendre"}, "x", **place, neuron=list(at))
        scores = ca.NeuronGradient(model, module).attribute(x, at)
        yield case("saliency", CAPTUM, scores, {"signed": True}, "x", **place, neuron=list(at))


def export(model, x, name, folder, dtype=torch.float32):
    plain = copy.deepcopy(model).to(dtype)
    for module in plain.modules():
        if isinstance(module, Block):
            module.plain = True
    token = name.split("-")[0] in ("bert", "gpt")
    inputs = ["input_ids" if token else "x"]
    axes = {inputs[0]: {0: "batch", **({1: "length"} if token else {})}, "logits": {0: "batch"}}
    torch.onnx.export(
        plain, (x if token else x.to(dtype),), str(folder / f"{name}.onnx"), input_names=inputs, output_names=["logits"],
        dynamic_axes=axes, opset_version=17, dynamo=False, training=torch.onnx.TrainingMode.PRESERVE)


def main(folder):
    folder.mkdir(parents=True, exist_ok=True)
    for seed, (name, build) in enumerate(MODELS.items()):
        torch.manual_seed(seed)
        model = randomize(build(), seed).double()
        generator = torch.Generator().manual_seed(100 + seed)
        token = name in ("bert", "gpt")
        if token:
            ids = torch.randint(1, 20, (1, 7), generator=generator)
            base_ids = torch.zeros_like(ids)
            export(model, ids, name, folder)
            x, base = model.embedding(ids).detach(), model.embedding(base_ids).detach()
            cases = [*gradient_cases(model.from_embedding, x, base, True, "input_ids"), *attention_cases(model, x, True, "input_ids"),
                     *noise_cases(model.from_embedding, x, None, True, "input_ids")]
            document = {"input": "input_ids", "dims": list(ids.shape), "type": "int64", "data": ids.reshape(-1).tolist(),
                        "baseline": base_ids.reshape(-1).tolist(), "answer": numbers(model(ids))}
        else:
            shape = {"mlp": (6,), "cnn": (2, 8, 8), "resnet": (2, 8, 8), "vit": (2, 8, 8)}[name]
            draw = lambda n: torch.randn((n, *shape), generator=generator).float().double()
            x, base, many = draw(1), draw(1) * 0.3, (draw(4) * 0.3).float().double()
            base = base.float().double()
            export(model, x, name, folder)
            cases = list(gradient_cases(model, x, base, False, "x"))
            if name != "vit":
                cases += [*relu_cases(copy.deepcopy(model), x, "x"), *deep_lift_cases(copy.deepcopy(model), x, base, many, "x"), *lrp_cases(model, x, "x")]
            else:
                cases += attention_cases(model, x, False, "x")
            cases += perturbation_cases(model, x, base, "x")
            cases += [*noise_cases(model, x, many, False, "x"), *permutation_case(model, x, many, "x")]
            if name == "mlp":
                cases += layer_cases(model, ["layers.0", "layers.2"], x, base, (2, 1, 1), lambda layer: {"layers.0": "layers.layers.0.Gemm", "layers.2": "layers.layers.2.Gemm"}[layer])
            if name == "cnn":
                cases += layer_cases(model, ["relu1"], x, base, (2, 1, 1), lambda layer: f"{layer}.Relu")
            document = {"input": "x", "dims": list(x.shape), "type": "float32", "data": numbers(x), "baseline": numbers(base),
                        "baselines": numbers(many), "answer": numbers(model(x))}
        (folder / f"{name}.json").write_text(json.dumps({**document, "target": TARGET, "cases": cases}, separators=(",", ":")) + "\n")
        print(name, len(cases), "cases")
        double = f"{name}-float64"
        gelus = [each for each in model.modules() if isinstance(each, Activation) and each.f is nn.functional.gelu]
        for each in gelus:  # onnxruntime has no float64 kernel of Erf: the tanh form of GELU
            each.f = gelu_tanh
        if gelus and token:
            cases = [*gradient_cases(model.from_embedding, x, base, True, "input_ids"), *attention_cases(model, x, True, "input_ids"),
                     *noise_cases(model.from_embedding, x, None, True, "input_ids")]
        elif gelus:
            cases = [*gradient_cases(model, x, base, False, "x"), *attention_cases(model, x, False, "x"), *perturbation_cases(model, x, base, "x"),
                     *noise_cases(model, x, many, False, "x"), *permutation_case(model, x, many, "x")]
        plain = for_float64(model)
        if token:
            document["answer"] = numbers(model(ids))
        else:
            # Boxes and flat shares would see the padding among the gathered patches, and composites ask for convolutions.
            convolved = ("lrp-zb", "lrp-flat", "lrp-w-square", "lrp-epsilon-") if name in ("cnn", "resnet") else ()
            cases = [each for each in cases if "layer" not in each and not each["method"].startswith(convolved)]
            # Captum's Shapley values are summed up in float32.
            cases = [each for each in cases if "ShapleyValues" not in each["reference"]]
            document |= {"type": "float64", "answer": numbers(model(x))}
        torch.testing.assert_close(plain(ids if token else x), model(ids if token else x))
        export(plain, ids if token else x, double, folder, torch.float64)
        (folder / f"{double}.json").write_text(json.dumps({**document, "target": TARGET, "cases": cases}, separators=(",", ":")) + "\n")
        print(double, len(cases), "cases")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(pathlib.Path(sys.argv[1]))
    surrogates.write(pathlib.Path(sys.argv[1]))
