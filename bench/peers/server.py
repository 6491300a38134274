"""The peers' side: reads a request per line of JSON, answers with a line of JSON.

Captum has no entry for ReLU6 in its tables of DeepLIFT and LRP; it is given the one of ReLU.
"""
import base64
import json
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import torch
from captum import attr
from captum._utils.models.linear_model import SkLearnRidge
from captum.attr._core import deep_lift, lrp
from torch import nn

from models import Image, encoder

warnings.filterwarnings("ignore")
deep_lift.SUPPORTED_NON_LINEAR[nn.ReLU6] = deep_lift.nonlinear
lrp.SUPPORTED_NON_LINEAR_LAYERS.append(nn.ReLU6)

ROWS = 16  # of one pass, where the method lets one choose: as onnxray's
WIDTH = 0.25  # of LIME's kernel


def decode(tensor):
    data = np.frombuffer(base64.b64decode(tensor["data"]), tensor["type"])
    return torch.from_numpy(data.reshape(tensor["dims"]).copy())


class Case:
    """A model as a function of what is scored: the pixels, or the embeddings of the tokens."""

    def __init__(self, root, name, inputs, target):
        self.target = target
        self.tokens = name == "encoder"
        folder = Path(root) / "zoo" / ("text-spam" if self.tokens else "image-imagenet")
        inputs = {key: decode(tensor) for key, tensor in inputs.items()}
        if self.tokens:
            self.model = encoder(folder)
            mask, types = inputs["attention_mask"], inputs["token_type_ids"]
            self.input = self.model.bert.embeddings.word_embeddings(inputs["input_ids"]).detach()
            self.forward = lambda embeddings: self.model(
                inputs_embeds=embeddings, attention_mask=mask.expand(len(embeddings), -1),
                token_type_ids=types.expand(len(embeddings), -1)).logits
            self.groups = torch.arange(self.input.shape[1]).view(1, -1, 1)
        else:
            self.model = Image(folder / "onnx/model.onnx").eval()
            self.input = inputs["pixel_values"]
            self.forward = self.model
            side = torch.arange(224) * 8 // 224
            self.groups = (side.view(-1, 1) * 8 + side).view(1, 1, 224, 224)
        for parameter in self.model.parameters():
            parameter.requires_grad_(False)
        self.count = int(self.groups.max()) + 1

    def logits(self):
        with torch.no_grad():
            return self.forward(self.input)

    def scores(self, name, options):
        result = getattr(self, name.replace("-", "_"))(options)
        return result.detach().float().numpy()

    def _sum(self, scores):
        return scores.sum(-1) if self.tokens else scores

    def integrated_gradients(self, o):
        method = attr.IntegratedGradients(self.forward)
        return self._sum(method.attribute(self.input, 0, self.target, n_steps=o["steps"], internal_batch_size=ROWS))

    def expected_gradients(self, o):
        method = attr.GradientShap(self.forward)
        zeros = torch.zeros_like(self.input)
        return self._sum(method.attribute(self.input, zeros, n_samples=o["samples"], target=self.target))

    def smooth_grad(self, o):
        method = attr.NoiseTunnel(attr.Saliency(self.forward))
        scores = method.attribute(self.input, nt_samples=o["samples"], nt_samples_batch_size=ROWS,
                                  stdevs=o["stdevs"], target=self.target)
        return scores.norm(dim=-1) if self.tokens else scores

    def deep_lift(self, _):
        return attr.DeepLift(self.model).attribute(self.input, torch.zeros_like(self.input), target=self.target)

    def lrp_epsilon(self, _):
        return attr.LRP(self.model).attribute(self.input, target=self.target)

    def occlusion(self, o):
        window, stride = o["window"], o["stride"]
        shape = (window, self.input.shape[2]) if self.tokens else (3, window, window)
        steps = (stride, self.input.shape[2]) if self.tokens else (3, stride, stride)
        scores = attr.Occlusion(self.forward).attribute(self.input, shape, steps, 0, self.target,
                                                        perturbations_per_eval=ROWS)
        return scores[..., 0] if self.tokens else scores

    def kernel_shap(self, o):
        return self._first(attr.KernelShap(self.forward).attribute(
            self.input, 0, self.target, feature_mask=self.groups, n_samples=o["samples"], perturbations_per_eval=ROWS))

    def lime(self, o):
        def near(_original, _perturbed, mask, **_):
            return float(np.exp(-(1 - (mask.float().mean() ** 0.5).item()) ** 2 / WIDTH ** 2) ** 0.5)
        method = attr.Lime(self.forward, SkLearnRidge(alpha=1), similarity_func=near)
        return self._first(method.attribute(self.input, 0, self.target, feature_mask=self.groups,
                                            n_samples=o["samples"], perturbations_per_eval=ROWS))

    def _first(self, scores):
        return scores[..., 0] if self.tokens else scores

    def _answers(self, masks):
        """The logits with only the parts kept that a mask [parts] has, ROWS masks to a pass."""
        masks = torch.from_numpy(np.asarray(masks, np.float32))
        with torch.no_grad():
            return torch.cat([self.forward(self.input * part[:, self.groups[0]]) for part in masks.split(ROWS)]).numpy()

    def _spread(self, values):
        values = torch.as_tensor(np.asarray(values, np.float32))[self.groups]
        return values[..., 0] if self.tokens else values.expand_as(self.input)

    def kernel_shap_package(self, o):
        import shap
        explainer = shap.KernelExplainer(lambda masks: self._answers(masks)[:, self.target], np.zeros((1, self.count)))
        values = explainer.shap_values(np.ones((1, self.count)), nsamples=o["samples"], l1_reg=False, silent=True)
        return self._spread(values[0])

    def lime_package(self, o):
        settings = {"num_features": self.count, "num_samples": o["samples"], "labels": (self.target,)}
        if self.tokens:
            from lime.lime_text import LimeTextExplainer
            explainer = LimeTextExplainer(kernel_width=100 * WIDTH, feature_selection="none", bow=False,
                                          split_expression=r"\s+", mask_string="_")
            text = " ".join(f"w{at}" for at in range(self.count))
            found = explainer.explain_instance(
                text, lambda texts: self._answers([[word != "_" for word in each.split()] for each in texts]), **settings)
        else:
            from lime.lime_image import LimeImageExplainer
            explainer = LimeImageExplainer(kernel_width=WIDTH, feature_selection="none")

            def classify(images):
                with torch.no_grad():
                    batch = torch.from_numpy(np.stack(images).transpose(0, 3, 1, 2)).float()
                    return self.forward(batch).numpy()
            found = explainer.explain_instance(
                self.input[0].permute(1, 2, 0).numpy(), classify, top_labels=None, hide_color=0, batch_size=ROWS,
                segmentation_fn=lambda _: self.groups[0, 0].numpy(), **settings)
        values = np.zeros(self.count)
        for part, value in found.local_exp[self.target]:
            values[part] = value
        return self._spread(values)


def peak_mib():
    line = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def main():
    case = None
    answers, sys.stdout = sys.stdout, sys.stderr  # what the packages print is no answer
    for line in sys.stdin:
        request = json.loads(line)
        if request["do"] == "open":
            torch.set_num_threads(request["threads"])
            torch.manual_seed(0)
            np.random.seed(0)
            case = Case(request["root"], request["case"], request["inputs"], request["target"])
            answer = {"logits": case.logits()[0].tolist()}
        elif request["do"] == "peak":
            answer = {"mib": peak_mib()}
        else:
            started = time.perf_counter()
            try:
                scores = case.scores(request["method"], request["options"])
                answer = {"ms": 1000 * (time.perf_counter() - started)}
                if request.get("scores"):
                    answer["scores"] = base64.b64encode(np.ascontiguousarray(scores, np.float32).tobytes()).decode()
            except Exception as error:
                answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers, flush=True)


main()
