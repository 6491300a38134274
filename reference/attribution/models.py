"""Small models with random weights, in plain torch. Token models take embeddings through `from_embedding` too."""
import copy
import math

import torch
from torch import nn
from zennit.layer import Sum


class Mlp(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, 3))

    def forward(self, x):
        return self.layers(x)


class Cnn(nn.Module):
    """Convolution, batch norm, max-pool, average pool."""

    def __init__(self):
        super().__init__()
        self.conv1, self.bn1, self.relu1 = nn.Conv2d(2, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU()
        self.pool1 = nn.MaxPool2d(2)
        self.conv2, self.bn2, self.relu2 = nn.Conv2d(6, 8, 3), nn.BatchNorm2d(8), nn.ReLU()
        self.pool2 = nn.AvgPool2d(2)
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        x = self.pool1(self.relu1(self.bn1(self.conv1(x))))
        x = self.pool2(self.relu2(self.bn2(self.conv2(x))))
        return self.head(torch.flatten(x, 1))


class Block(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv1, self.bn1, self.relu1 = nn.Conv2d(channels, channels, 3, padding=1), nn.BatchNorm2d(channels), nn.ReLU()
        self.conv2, self.bn2, self.relu2 = nn.Conv2d(channels, channels, 3, padding=1), nn.BatchNorm2d(channels), nn.ReLU()
        self.sum = Sum()
        self.plain = False

    def forward(self, x):
        y = self.bn2(self.conv2(self.relu1(self.bn1(self.conv1(x)))))
        # The exported graph has a plain sum; Zennit needs a module to hook.
        y = x + y if self.plain else self.sum(torch.stack([x, y], -1))
        return self.relu2(y)


class ResNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.bn, self.relu = nn.Conv2d(2, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU()
        self.block1, self.block2 = Block(6), Block(6)
        self.pool, self.head = nn.AvgPool2d(8), nn.Linear(6, 3)

    def forward(self, x):
        x = self.block2(self.block1(self.relu(self.bn(self.stem(x)))))
        return self.head(torch.flatten(self.pool(x), 1))


class Norm(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width))
        self.constant_deviation = False

    def forward(self, x):
        if not self.constant_deviation:
            return nn.functional.layer_norm(x, tuple(self.weight.shape), self.weight, self.bias, 1e-5)
        c = x - x.mean(-1, keepdim=True)
        std = torch.sqrt(c.pow(2).mean(-1, keepdim=True) + 1e-5)
        return c / std.detach() * self.weight + self.bias


class Attention(nn.Module):
    def __init__(self, width, heads, causal):
        super().__init__()
        self.q, self.k, self.v, self.o = (nn.Linear(width, width) for _ in range(4))
        self.heads, self.causal = heads, causal
        self.lrp = None

    def forward(self, x):
        n, length, width = x.shape
        split = lambda t: t.view(n, length, self.heads, width // self.heads).transpose(1, 2)
        q, k, v = split(self.q(x)), split(self.k(x)), split(self.v(x))
        if self.lrp is not None:
            q, k, v = self.lrp(q, k, v)
        scores = q @ k.transpose(-1, -2) / math.sqrt(width // self.heads)
        if self.causal:
            mask = torch.triu(torch.full((length, length), -1e9), diagonal=1)
            scores = scores + mask
        y = torch.softmax(scores, -1) @ v
        return self.o(y.transpose(1, 2).reshape(n, length, width))


class Activation(nn.Module):
    def __init__(self, f):
        super().__init__()
        self.f, self.secant = f, False

    def forward(self, x):
        y = self.f(x)
        if self.secant:
            return x * (y / (x + torch.where(x < 0, -1e-10, 1e-10))).detach()
        return y


class Layer(nn.Module):
    def __init__(self, width, heads, causal, pre_norm, f):
        super().__init__()
        self.attention, self.norm1, self.norm2 = Attention(width, heads, causal), Norm(width), Norm(width)
        self.up, self.act, self.down = nn.Linear(width, 2 * width), Activation(f), nn.Linear(2 * width, width)
        self.pre_norm = pre_norm

    def forward(self, x):
        if self.pre_norm:
            x = x + self.attention(self.norm1(x))
            return x + self.down(self.act(self.up(self.norm2(x))))
        x = self.norm1(x + self.attention(x))
        return self.norm2(x + self.down(self.act(self.up(x))))


class Bert(nn.Module):
    """Encoder with norms after each sum, GELU, tanh pooler."""

    def __init__(self, vocabulary=20, width=16):
        super().__init__()
        self.embedding, self.position = nn.Embedding(vocabulary, width), nn.Embedding(12, width)
        self.norm = Norm(width)
        self.layers = nn.ModuleList(Layer(width, 2, False, False, nn.functional.gelu) for _ in range(2))
        self.pooler, self.tanh, self.head = nn.Linear(width, width), Activation(torch.tanh), nn.Linear(width, 3)

    def from_embedding(self, e):
        x = self.norm(e + self.position.weight[: e.shape[1]])
        for layer in self.layers:
            x = layer(x)
        return self.head(self.tanh(self.pooler(x[:, 0])))

    def forward(self, input_ids):
        return self.from_embedding(self.embedding(input_ids))


def gelu_tanh(x):
    return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * torch.pow(x, 3))))


class Gpt(nn.Module):
    """Causal decoder with norms before each part; answers with the last token's logits."""

    def __init__(self, vocabulary=20, width=16):
        super().__init__()
        self.embedding, self.position = nn.Embedding(vocabulary, width), nn.Embedding(12, width)
        self.layers = nn.ModuleList(Layer(width, 2, True, True, gelu_tanh) for _ in range(2))
        self.norm, self.head = Norm(width), nn.Linear(width, vocabulary, bias=False)

    def from_embedding(self, e):
        x = e + self.position.weight[: e.shape[1]]
        for layer in self.layers:
            x = layer(x)
        return self.head(self.norm(x)[:, -1])

    def forward(self, input_ids):
        return self.from_embedding(self.embedding(input_ids))


class Vit(nn.Module):
    def __init__(self, width=16):
        super().__init__()
        self.patch = nn.Conv2d(2, width, 4, stride=4)
        self.token = nn.Parameter(torch.randn(1, 1, width))
        self.position = nn.Parameter(torch.randn(1, 5, width) * 0.3)
        self.layers = nn.ModuleList(Layer(width, 2, False, True, nn.functional.gelu) for _ in range(2))
        self.norm, self.head = Norm(width), nn.Linear(width, 3)

    def forward(self, x):
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1) + self.position
        for layer in self.layers:
            x = layer(x)
        return self.head(self.norm(x[:, 0]))


def randomize(model, seed):
    """Weights large enough that non-linearities matter; batch norms with statistics of their own."""
    generator = torch.Generator().manual_seed(seed)
    draw = lambda shape: torch.randn(shape, generator=generator)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, (nn.Linear, nn.Conv2d)):
                fan = module.weight[0].numel()
                module.weight.copy_(draw(module.weight.shape) * 1.4 / math.sqrt(fan))
                if module.bias is not None:
                    module.bias.copy_(draw(module.bias.shape) * 0.2)
            if isinstance(module, nn.Embedding):
                module.weight.copy_(draw(module.weight.shape) * 0.7)
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.copy_(draw(module.running_mean.shape) * 0.3)
                module.running_var.copy_(draw(module.running_var.shape).abs() + 0.5)
                module.weight.copy_(draw(module.weight.shape) * 0.3 + 1)
                module.bias.copy_(draw(module.bias.shape) * 0.2)
            if isinstance(module, Norm):
                module.weight.copy_(draw(module.weight.shape) * 0.2 + 1)
                module.bias.copy_(draw(module.bias.shape) * 0.1)
    return model.eval()


MODELS = {"mlp": Mlp, "cnn": Cnn, "resnet": ResNet, "bert": Bert, "gpt": Gpt, "vit": Vit}


class Patches(nn.Module):
    """A convolution over pictures of one size, and the batch norm after it, as a product with gathered patches."""

    def __init__(self, conv, side, norm=None):
        super().__init__()
        self.norm = nn.Identity()
        if norm is not None:
            self.norm = nn.BatchNorm1d(conv.out_channels, eps=norm.eps).double().eval()
            self.norm.load_state_dict(norm.state_dict())
        (kernel, _), (stride, _), (padding, _) = conv.kernel_size, conv.stride, conv.padding
        self.conv, self.side = conv, (side + 2 * padding - kernel) // stride + 1
        places = torch.arange(1, conv.in_channels * side * side + 1).view(1, conv.in_channels, side, side).double()
        patches = nn.functional.unfold(places, kernel, padding=padding, stride=stride)  # 0 where there is padding
        self.register_buffer("places", patches[0].T.long().reshape(-1))

    def forward(self, x):
        x = x.flatten(1)
        x = torch.cat([x[:, :1] * 0, x], 1)[:, self.places].view(-1, self.conv.weight[0].numel())
        y = self.norm(nn.functional.linear(x, self.conv.weight.flatten(1), self.conv.bias))
        return y.view(-1, self.side**2, y.shape[-1]).transpose(1, 2).reshape(-1, y.shape[-1], self.side, self.side)


class Mean2(nn.Module):
    def forward(self, x):
        return x.mean((2, 3), keepdim=True)


def for_float64(model):
    """The same function without what onnxruntime has no float64 kernel of: convolutions and average pools."""
    model = copy.deepcopy(model)
    if isinstance(model, Cnn):
        model.conv1, model.bn1 = Patches(model.conv1, 8, model.bn1), nn.Identity()
        model.conv2, model.bn2 = Patches(model.conv2, 4, model.bn2), nn.Identity()
        model.pool2 = Mean2()
    if isinstance(model, ResNet):
        model.stem, model.bn, model.pool = Patches(model.stem, 8, model.bn), nn.Identity(), Mean2()
        for block in (model.block1, model.block2):
            block.conv1, block.bn1 = Patches(block.conv1, 8, block.bn1), nn.Identity()
            block.conv2, block.bn2 = Patches(block.conv2, 8, block.bn2), nn.Identity()
    if isinstance(model, Vit):
        model.patch = Patches(model.patch, 8)
    return model
