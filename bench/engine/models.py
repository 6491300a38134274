"""Five models with random weights, as PyTorch modules and as the .onnx files exported from them."""
import warnings
from pathlib import Path

import torch
import torchvision
from torch import nn
from torch.nn import functional as F

TOKENS = 128
VOCABULARY = 8192


class Block(nn.Module):
    """A transformer's layer; attention as the framework does it best."""

    def __init__(self, hidden, heads, causal):
        super().__init__()
        self.heads, self.causal = heads, causal
        self.q, self.k, self.v, self.out = (nn.Linear(hidden, hidden) for _ in range(4))
        self.up, self.down = nn.Linear(hidden, 4 * hidden), nn.Linear(4 * hidden, hidden)
        self.norms = nn.ModuleList([nn.LayerNorm(hidden), nn.LayerNorm(hidden)])

    def forward(self, x):
        y = self.norms[0](x)
        q, k, v = (part(y).unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in (self.q, self.k, self.v))
        x = x + self.out(F.scaled_dot_product_attention(q, k, v, is_causal=self.causal).transpose(1, 2).flatten(2))
        return x + self.down(F.gelu(self.up(self.norms[1](x))))


class Text(nn.Module):
    def __init__(self, layers, hidden, heads, causal):
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, hidden)
        self.positions = nn.Parameter(torch.randn(TOKENS, hidden) * 0.02)
        self.blocks = nn.ModuleList(Block(hidden, heads, causal) for _ in range(layers))
        self.norm, self.head = nn.LayerNorm(hidden), nn.Linear(hidden, 2)

    def start(self, ids):
        return self.embedding(ids).detach()

    def body(self, x):
        x = x + self.positions
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x)[:, -1])

    def forward(self, ids):
        return self.body(self.embedding(ids))


class Pixels(nn.Module):
    def start(self, pixels):
        return pixels

    def forward(self, pixels):
        return self.body(pixels)


class Vit(Pixels):
    def __init__(self, layers, hidden, heads):
        super().__init__()
        self.patches = nn.Conv2d(3, hidden, 16, 16)
        self.token = nn.Parameter(torch.randn(1, 1, hidden) * 0.02)
        self.positions = nn.Parameter(torch.randn(197, hidden) * 0.02)
        self.blocks = nn.ModuleList(Block(hidden, heads, False) for _ in range(layers))
        self.norm, self.head = nn.LayerNorm(hidden), nn.Linear(hidden, 1000)

    def body(self, x):
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1) + self.positions
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x)[:, 0])


class Vision(Pixels):
    def __init__(self, net):
        super().__init__()
        self.body = net


MODELS = {
    "encoder": lambda: Text(6, 768, 12, False),
    "decoder": lambda: Text(6, 768, 12, True),
    "resnet-50": lambda: Vision(torchvision.models.resnet50()),
    "efficientnet-b0": lambda: Vision(torchvision.models.efficientnet_b0()),
    "vit-s-16": lambda: Vit(12, 384, 6),
}


def make(name, folder):
    """The model with the weights that were exported, which are made here the first time."""
    torch.manual_seed(0)
    model = MODELS[name]().eval()
    kept = Path(folder) / f"{name}.pt"
    if kept.exists():
        model.load_state_dict(torch.load(kept, weights_only=True))
    else:
        # Statistics of a batch, as after training: else a deep net's values and gradients die out.
        norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
        for module in norms:
            module.momentum = 1.0
            module.train()
        with torch.no_grad():
            model(inputs(name, 4))
        model.eval()
        torch.save(model.state_dict(), kept)
    return model.requires_grad_(False)


def inputs(name, batch):
    if name in ("encoder", "decoder"):
        return (torch.arange(batch * TOKENS) * 37 % VOCABULARY).view(batch, TOKENS)
    # In double, as JavaScript reckons: in float32 the angles alone would differ by more than rectifiers forgive.
    return torch.sin(torch.arange(batch * 3 * 224 * 224, dtype=torch.float64) / 300).float().view(batch, 3, 224, 224)


def export(folder):
    for name in MODELS:
        path = Path(folder) / f"{name}.onnx"
        if path.exists():
            continue
        text = name in ("encoder", "decoder")
        given = "input_ids" if text else "pixel_values"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(make(name, folder), (inputs(name, 2),), path.with_suffix(".partial"), dynamo=False, opset_version=17,
                              input_names=[given], output_names=["logits"],
                              dynamic_axes={given: {0: "batch"}, "logits": {0: "batch"}})
        path.with_suffix(".partial").rename(path)
