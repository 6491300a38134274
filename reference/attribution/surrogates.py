"""The cases of surrogate models and Shapley values in test/attribution/fixtures, against the shap, lime and captum packages.

    npx tsx reference/attribution/draw.ts                                     # what our samplers draw: drawn.json
    python reference/attribution/surrogates.py test/attribution/fixtures      # in place of those the files have

Where there are too many players to run all coalitions, the packages get the coalitions and orders that our seeded samplers
draw, in place of their own: what is compared is then what is made of them.
"""
import itertools
import json
import pathlib
import sys
import warnings
from unittest import mock

import captum
import captum.attr as ca
import numpy as np
import shap
import torch
from lime import lime_base
from lime.lime_image import LimeImageExplainer
from lime.lime_text import LimeTextExplainer
from shap.utils._legacy import convert_to_instance, match_instance_to_data
from sklearn.linear_model import Lasso
from sklearn.metrics import pairwise_distances
from torch import nn

from models import MODELS, Activation, gelu_tanh, randomize

warnings.filterwarnings("ignore")
SHAP, LIME, CAPTUM = f"shap {shap.__version__}", "lime 0.2.0.1", f"captum {captum.__version__}"
DRAWN = json.loads((pathlib.Path(__file__).parent / "drawn.json").read_text())
TARGET = 1


def numbers(values):
    return [float(f"{v:.9g}") for v in np.asarray(values, dtype=float).reshape(-1)]


class Game:
    """The answer of a model with players of an input kept, the others as in the baseline."""

    def __init__(self, model, x, base, groups, name):
        self.model, self.x, self.base, self.name = model, x, base, name
        self.groups = torch.as_tensor(groups).reshape(x.shape)
        self.count = int(self.groups.max()) + 1
        self.sizes = np.bincount(self.groups.reshape(-1).numpy())

    def __call__(self, masks):
        kept = torch.as_tensor(np.asarray(masks, dtype=float) > 0.5)[:, self.groups.reshape(-1)].reshape(-1, *self.x.shape[1:])
        with torch.no_grad():
            return self.model(torch.where(kept, self.x, self.base))[:, TARGET].numpy()

    def case(self, method, reference, scores, options=None, share=True):
        """Scores of players, a player's shared by its elements or given to each."""
        each = np.asarray(scores, dtype=float).reshape(-1) / (self.sizes if share else 1)
        one_each = self.count == self.x.numel()
        groups = {} if one_each else {"groups": self.groups.reshape(-1).tolist()}
        return {"method": method, "options": options or {}, "reference": reference, **groups,
                "scores": {self.name: {"dims": list(self.x.shape), "data": numbers(each[self.groups.reshape(-1).numpy()])}}}


def exact_cases(game):
    """Few enough players that nothing is left to chance."""
    n = game.count
    ones, zeros = np.ones((1, n)), np.zeros((1, n))
    kernel = shap.KernelExplainer(game, zeros).shap_values(ones, nsamples=4096, silent=True)
    yield game.case("kernel-shap", SHAP, kernel)
    exact = shap.explainers.Exact(game, shap.maskers.Independent(zeros))(ones, silent=True).values
    for method, options in (("exact-shapley", {}), ("permutation-shap", {"n_permutations": 10}), ("shapley-sampling", {"n_samples": 26})):
        yield game.case(method, SHAP, exact, options)
    # The lime package's fit on samples in which each subset is drawn 16 times, with its kernel on its distance.
    masks = np.tile(np.array(list(itertools.product([1, 0], repeat=n)), dtype=float), (16, 1))
    yield game.case("lime", LIME, lime_fit(masks, game(masks)), {"n_samples": len(masks)}, share=False)


def lime_fit(masks, answers):
    distances = pairwise_distances(masks, masks[0].reshape(1, -1), metric="cosine").ravel()
    base = lime_base.LimeBase(lambda d: np.sqrt(np.exp(-(d**2) / 0.25**2)))
    _, pairs, _, _ = base.explain_instance_with_data(masks, answers.reshape(-1, 1), distances, 0, masks.shape[1], feature_selection="none")
    return by_player(pairs, masks.shape[1])


def by_player(pairs, count):
    scores = np.zeros(count)
    for index, value in pairs:
        scores[index] = value
    return scores


def owen_case(game):
    merges = np.array([[1, 2, 1, 2], [0, 6, 1, 3], [4, 5, 1, 2], [3, 8, 1, 3], [7, 9, 1, 6]], dtype=float)
    masker = shap.maskers.Partition(np.zeros((1, 6)), clustering=merges)
    owen = shap.explainers.Partition(game, masker)(np.ones((1, 6)), max_evals=4096, silent=True).values
    return game.case("partition-shap", SHAP, owen, {"max_evals": 4096})


def masks_of(rows):
    return np.array([[int(bit) for bit in row] for row in rows], dtype=float)


def sampled_cases(game):
    n = game.count
    drawn = DRAWN[str(n)]
    ones, zeros = np.ones((1, n)), np.zeros((1, n))
    masks = masks_of(drawn["kernel"])
    yield game.case("kernel-shap", SHAP, kernel_on(game, masks), {"n_samples": len(masks), "tolerance": 1e-12})

    orders = iter(drawn["orders"])
    def next_order(indices):
        indices[:] = next(orders)
    with mock.patch("numpy.random.shuffle", next_order):
        explainer = shap.explainers.Permutation(game, shap.maskers.Independent(zeros))
        values = explainer(ones, max_evals=len(drawn["orders"]) * (2 * n + 1), silent=True).values
    assert next(orders, None) is None
    yield game.case("permutation-shap", SHAP, values, {"n_permutations": len(drawn["orders"])})

    orders = [each for order in drawn["orders"] for each in (order, order[::-1])]
    sampler = ca.ShapleyValueSampling(lambda rows: torch.as_tensor(game(rows.numpy())))
    sampler.permutation_generator = lambda count, samples: iter(orders)
    values = sampler.attribute(torch.ones(1, n).double(), torch.zeros(1, n).double(), n_samples=len(orders))
    yield game.case("shapley-sampling", CAPTUM + " ShapleyValueSampling", values, {"n_samples": len(orders)})

    masks = masks_of(drawn["lime"])
    explain = lime_image if n == 32 else lime_text
    few = n // 4
    for options, more in (
        ({}, {}),
        ({"model": "lasso", "alpha": 0.01}, {"model_regressor": Lasso(alpha=0.01, tol=1e-14, max_iter=10**6)}),
        ({"num_features": few}, {"feature_selection": "lasso_path", "num_features": few}),
    ):
        yield game.case("lime", LIME, explain(game, masks, **more), {"n_samples": len(masks), **options}, share=False)


def kernel_on(game, masks):
    """Kernel SHAP's regression, on these coalitions in place of those it draws."""
    explainer = shap.KernelExplainer(game, np.zeros((1, game.count)))
    explainer.shap_values(np.ones((1, game.count)), nsamples=len(masks), l1_reg=False, silent=True)
    instance = convert_to_instance(np.ones((1, game.count)))
    match_instance_to_data(instance, explainer.data)
    explainer.nsamples = len(masks)
    explainer.nsamplesAdded = explainer.nsamplesRun = 0
    explainer.allocate()
    for mask in masks:
        explainer.addsample(instance.x, mask, 1.0)
    explainer.run()
    return explainer.solve(1, 0)[0]


class Drawn(np.random.RandomState):
    """Gives the lime package subsets in place of random numbers: as bits to its pictures, as words taken away to its texts."""

    def feed(self, masks):
        self.masks, self.rows = masks, iter(masks[1:])
        return self

    def randint(self, low, high=None, size=None):
        if low == 0:
            return self.masks.astype(int).reshape(-1)
        return (1 - self.masks[1:]).sum(1).astype(int)

    def choice(self, a, size=None, replace=True, p=None):
        return np.flatnonzero(next(self.rows) == 0)


def lime_image(game, masks, feature_selection="none", num_features=100000, **more):
    """A picture of 1 where the baseline is hidden by 0: its regions are what the model's input is made of."""
    segments = game.groups[0, 0].numpy()
    explainer = LimeImageExplainer(feature_selection=feature_selection, random_state=Drawn().feed(masks))
    def answers(pictures):
        rows = np.stack([[picture[..., 0][segments == player][0] for player in range(game.count)] for picture in pictures])
        return np.stack([np.zeros(len(rows)), game(rows)], axis=1)
    found = explainer.explain_instance(
        np.ones((*segments.shape, 3)), answers, labels=(1,), top_labels=None, hide_color=0, num_features=num_features,
        num_samples=len(masks), segmentation_fn=lambda _: segments, random_seed=0, **more)
    return by_player(found.local_exp[1], game.count)


def lime_text(game, masks, feature_selection="none", num_features=100000, **more):
    """A text of as many words as there are tokens."""
    words = [f"w{player}" for player in range(game.count)]
    explainer = LimeTextExplainer(bow=False, feature_selection=feature_selection, random_state=Drawn().feed(masks))
    def answers(texts):
        rows = np.array([[token == word for token, word in zip(text.split(" "), words)] for text in texts])
        return np.stack([np.zeros(len(rows)), game(rows)], axis=1)
    found = explainer.explain_instance(" ".join(words), answers, labels=(1,), num_features=num_features, num_samples=len(masks), **more)
    return by_player(found.local_exp[1], game.count)


OWN = ("shap", "lime")


def write(folder):
    for seed, (name, build) in enumerate(MODELS.items()):
        torch.manual_seed(seed)
        model = randomize(build(), seed).double()
        for form in (name, f"{name}-float64"):
            if form != name:  # as the float64 model has it: onnxruntime has no float64 kernel of Erf
                for each in model.modules():
                    if isinstance(each, Activation) and each.f is nn.functional.gelu:
                        each.f = gelu_tanh
            path = folder / f"{form}.json"
            document = json.loads(path.read_text())
            token = document["input"] == "input_ids"
            read = lambda key: torch.tensor(document[key], dtype=torch.int64 if token else torch.float32).reshape(document["dims"])
            x, base = read("data"), read("baseline")
            x, base = (x, base) if token else (x.double(), base.double())
            torch.testing.assert_close(model(x).detach(), torch.tensor([document["answer"]]).double(), rtol=1e-6, atol=1e-6)
            if x.dim() == 4:
                rows, columns = torch.meshgrid(torch.arange(8), torch.arange(8), indexing="ij")
                groups = (rows * 4 + columns // 2).expand(x.shape)
            else:
                groups = torch.arange(x.numel())
            game = Game(model, x, base, groups, document["input"])
            cases = [] if x.dim() == 4 else list(exact_cases(game))
            if name == "mlp":
                cases.append(owen_case(game))
            else:
                cases += sampled_cases(game)
            # Captum sums up in float32.
            cases = [each for each in cases if form == name or not each["reference"].startswith("captum")]
            old = [each for each in document["cases"] if not each["reference"].startswith(OWN) and "ShapleyValueSampling" not in each["reference"]]
            path.write_text(json.dumps({**document, "cases": [*old, *cases]}, separators=(",", ":")) + "\n")
            print(form, len(cases), "cases of surrogates")


if __name__ == "__main__":
    torch.set_num_threads(1)
    write(pathlib.Path(sys.argv[1]))
