"""Networks written out here, or small settings of torchvision's."""
from functools import partial

import torch
from torch import nn
from torch.nn import functional as F
from torchvision.models.densenet import DenseNet
from torchvision.models.efficientnet import EfficientNet, MBConvConfig
from torchvision.models.mobilenetv3 import InvertedResidualConfig, MobileNetV3


class OfPictures(nn.Module):
    """A network of torchvision's with the names of inputs and outputs that the others have."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, pixel_values):
        return {"logits": self.network(pixel_values)}


def efficientnet():
    settings = [MBConvConfig(1, 3, 1, 8, 8, 1, 1, 1), MBConvConfig(4, 3, 2, 8, 12, 2, 1, 1), MBConvConfig(4, 5, 2, 12, 16, 1, 1, 1)]
    return OfPictures(EfficientNet(settings, dropout=0.2, stochastic_depth_prob=0.0, num_classes=3, last_channel=32))


def mobilenet():
    row = partial(InvertedResidualConfig, width_mult=0.5)
    settings = [row(16, 3, 16, 16, True, "RE", 2, 1), row(16, 3, 32, 24, False, "RE", 2, 1), row(24, 5, 48, 24, True, "HS", 1, 1)]
    return OfPictures(MobileNetV3(settings, last_channel=32, num_classes=3))


def densenet():
    return OfPictures(DenseNet(growth_rate=4, block_config=(2, 2), num_init_features=8, bn_size=2, num_classes=3))


def double(inner, outer):
    return nn.Sequential(nn.Conv2d(inner, outer, 3, padding=1), nn.BatchNorm2d(outer), nn.ReLU(),
                         nn.Conv2d(outer, outer, 3, padding=1), nn.BatchNorm2d(outer), nn.ReLU())


class UNet(nn.Module):
    """Ronneberger et al. 2015, with one transposed and one bilinear way up."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.third = double(3, 8), double(8, 12), double(12, 16)
        self.up = nn.ConvTranspose2d(16, 12, 2, stride=2)
        self.narrow = nn.Conv2d(12, 8, 1)
        self.low, self.high = double(24, 12), double(16, 8)
        self.out = nn.Conv2d(8, 2, 1)

    def forward(self, pixel_values):
        first = self.first(pixel_values)
        second = self.second(F.max_pool2d(first, 2))
        third = self.third(F.max_pool2d(second, 2))
        low = self.low(torch.cat([self.up(third), second], 1))
        wide = F.interpolate(self.narrow(low), scale_factor=2.0, mode="bilinear", align_corners=False)
        return {"mask": torch.sigmoid(self.out(self.high(torch.cat([wide, first], 1))))}


class ConvSilu(nn.Module):
    def __init__(self, inner, outer, kernel=1, stride=1):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(inner, outer, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(outer)

    def forward(self, x):
        return F.silu(self.norm(self.conv(x)))


class CrossStage(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.enter, self.leave = ConvSilu(width, width), ConvSilu(width + width // 2, width)
        self.body = nn.Sequential(ConvSilu(width // 2, width // 2, 3), ConvSilu(width // 2, width // 2, 3))

    def forward(self, x):
        left, right = self.enter(x).chunk(2, 1)
        return self.leave(torch.cat([left, right, right + self.body(right)], 1))


class Yolo(nn.Module):
    """A one-stage detector of the YOLO family: cross-stage blocks, pooling pyramid, two scales, distances as a distribution."""

    BINS, CLASSES = 4, 3

    def __init__(self):
        super().__init__()
        self.stem, self.down1, self.stage1 = ConvSilu(3, 8, 3, 2), ConvSilu(8, 12, 3, 2), CrossStage(12)
        self.down2, self.stage2 = ConvSilu(12, 16, 3, 2), CrossStage(16)
        self.before, self.after = ConvSilu(16, 8), ConvSilu(32, 16)
        self.neck = ConvSilu(28, 12)
        self.heads = nn.ModuleList([nn.Conv2d(12, 4 * self.BINS + self.CLASSES, 1), nn.Conv2d(16, 4 * self.BINS + self.CLASSES, 1)])

    def forward(self, pixel_values):
        high = self.stage1(self.down1(self.stem(pixel_values)))
        deep = self.before(self.stage2(self.down2(high)))
        pools = [deep]
        for _ in range(3):
            pools.append(F.max_pool2d(pools[-1], 5, 1, 2))
        deep = self.after(torch.cat(pools, 1))
        high = self.neck(torch.cat([F.interpolate(deep, scale_factor=2.0, mode="nearest"), high], 1))
        return {"predictions": torch.cat([self.decode(head(x), stride) for head, x, stride in zip(self.heads, (high, deep), (4, 8))], 2)}

    def decode(self, raw, stride):
        batch, _, height, width = raw.shape
        boxes, classes = raw.flatten(2).split([4 * self.BINS, self.CLASSES], 1)
        shares = boxes.view(batch, 4, self.BINS, height * width).softmax(2)
        sides = (shares * torch.arange(self.BINS, dtype=raw.dtype).view(1, 1, -1, 1)).sum(2)
        y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
        centre = torch.stack([x, y]).flatten(1)[None]
        corners = torch.cat([centre - sides[:, :2], centre + sides[:, 2:]], 1) * stride
        return torch.cat([corners, classes.sigmoid()], 1)


class NanoGpt(nn.Module):
    """A decoder with its causal mask as a constant triangle (eager), or left to scaled_dot_product_attention (sdpa)."""

    def __init__(self, implementation):
        super().__init__()
        self.fused = implementation == "sdpa"
        self.embed, self.places = nn.Embedding(40, 32), nn.Embedding(16, 32)
        part = lambda *sizes: nn.ModuleList([nn.Linear(*sizes) for _ in range(2)])
        self.norms = nn.ModuleList([nn.LayerNorm(32) for _ in range(4)])
        self.joint, self.project, self.wide, self.narrow = part(32, 96), part(32, 32), part(32, 48), part(48, 32)
        self.head = nn.Linear(32, 40, bias=False)
        self.register_buffer("triangle", torch.tril(torch.ones(16, 16))[None, None], persistent=False)
        self.attentions = []

    def forward(self, input_ids):
        self.attentions = []
        x = self.embed(input_ids) + self.places(torch.arange(input_ids.shape[1], device=input_ids.device))
        for layer in range(2):
            x = x + self.project[layer](self.attend(self.joint[layer](self.norms[2 * layer](x))))
            x = x + self.narrow[layer](F.gelu(self.wide[layer](self.norms[2 * layer + 1](x)), approximate="tanh"))
        return {"logits": self.head(x)}

    def attend(self, joint):
        batch, length, _ = joint.shape
        q, k, v = (part.view(batch, length, 4, 8).transpose(1, 2) for part in joint.split(32, 2))
        if self.fused:
            mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        else:
            scores = (q @ k.transpose(-2, -1)) / 8**0.5
            probabilities = scores.masked_fill(self.triangle[:, :, :length, :length] == 0, float("-inf")).softmax(-1)
            self.attentions.append(("decoder", probabilities))
            mixed = probabilities @ v
        return mixed.transpose(1, 2).reshape(batch, length, 32)


class TorchTransformer(nn.Module):
    """PyTorch's own nn.Transformer layers: attention over [batch * heads], a constant triangular mask."""

    HEADS = 4

    def __init__(self):
        super().__init__()
        self.embed, self.places = nn.Embedding(40, 32), nn.Embedding(16, 32)
        self.encoder = nn.ModuleList([nn.TransformerEncoderLayer(32, 4, 48, batch_first=True) for _ in range(2)])
        self.decoder = nn.ModuleList([nn.TransformerDecoderLayer(32, 4, 48, batch_first=True) for _ in range(2)])
        self.head = nn.Linear(32, 40)
        self.attentions = []

    def get_input_embeddings(self):
        return self.embed

    def forward(self, input_ids, decoder_input_ids):
        self.attentions = []
        place = lambda ids: self.embed(ids) + self.places.weight[: ids.shape[1]]
        memory, x = place(input_ids), place(decoder_input_ids)
        triangle = torch.triu(torch.full((x.shape[1], x.shape[1]), float("-inf")), diagonal=1)
        for layer in self.encoder:
            memory = layer.norm1(memory + self.attend("encoder", layer.self_attn, memory, memory))
            memory = layer.norm2(memory + layer.linear2(F.relu(layer.linear1(memory))))
        for layer in self.decoder:
            x = layer.norm1(x + self.attend("decoder", layer.self_attn, x, x, triangle))
            x = layer.norm2(x + self.attend("cross", layer.multihead_attn, x, memory))
            x = layer.norm3(x + layer.linear2(F.relu(layer.linear1(x))))
        return {"logits": self.head(x)}

    def attend(self, kind, layer, queries, keys, mask=None):
        mixed, probabilities = layer(queries, keys, keys, attn_mask=mask, need_weights=True, average_attn_weights=False)
        self.attentions.append((kind, probabilities))
        return mixed
