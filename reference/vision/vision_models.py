"""Small vision models with random weights that between them have every convolution, norm, pool and resize we test maps on."""
import sys
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

sys.path.insert(0, str(Path(__file__).parent.parent / "attribution"))
from models import Layer, Norm, randomize  # noqa: E402


class Convolutions(nn.Module):
    """Max-pool with padding and ceil, strided, dilated, grouped, depthwise, asymmetrically padded; batch norms; CAM's head."""

    def __init__(self):
        super().__init__()
        self.conv1, self.bn1, self.relu1 = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU()
        self.pool = nn.MaxPool2d(3, 2, padding=1, ceil_mode=True)
        self.dilated, self.relu2 = nn.Conv2d(8, 8, 3, padding=2, dilation=2), nn.ReLU()
        self.grouped, self.bn3, self.relu3 = nn.Conv2d(8, 12, 3, padding=1, groups=4), nn.BatchNorm2d(12), nn.ReLU6()
        self.depthwise, self.relu4 = nn.Conv2d(12, 12, 3, stride=2, groups=12), nn.ReLU6()
        self.point, self.bn5, self.relu5 = nn.Conv2d(12, 10, 1), nn.BatchNorm2d(10), nn.ReLU()
        self.head = nn.Linear(10, 4)

    def forward(self, x):
        x = self.pool(self.relu1(self.bn1(self.conv1(x))))
        x = self.relu2(self.dilated(x))
        x = self.relu3(self.bn3(self.grouped(x)))
        x = self.relu4(self.depthwise(F.pad(x, (0, 1, 0, 1))))
        x = self.relu5(self.bn5(self.point(x)))
        return self.head(x.mean((2, 3)))


class Norms(nn.Module):
    """Instance and group norm, transposed convolution, every resize mode, smooth activations, a head of two layers."""

    def __init__(self):
        super().__init__()
        self.conv1, self.norm1, self.act1 = nn.Conv2d(3, 6, 3, stride=2, padding=1), nn.InstanceNorm2d(6, affine=True), nn.SiLU()
        self.up, self.norm2, self.act2 = nn.ConvTranspose2d(6, 8, 3, stride=2, padding=1, output_padding=1), nn.GroupNorm(4, 8), nn.GELU()
        self.down = nn.Conv2d(8, 8, 3, stride=2, padding=1)
        self.conv3, self.act3 = nn.Conv2d(8, 8, 3, padding=1), nn.ELU()
        self.pool = nn.AvgPool2d((4, 5))
        self.fc1, self.act4, self.fc2 = nn.Linear(32, 10), nn.Tanh(), nn.Linear(10, 4)

    def forward(self, x):
        x = self.act1(self.norm1(self.conv1(x)))
        x = self.act2(self.norm2(self.up(x)))
        x = self.down(x)
        x = F.interpolate(x, size=(12, 12), mode="bilinear", align_corners=False)
        x = F.interpolate(x, size=(6, 9), mode="bilinear", align_corners=True)
        x = F.interpolate(x, scale_factor=2, mode="nearest")
        x = F.interpolate(x, size=(8, 10), mode="bicubic", align_corners=False)
        x = self.act3(self.conv3(x))
        return self.fc2(self.act4(self.fc1(torch.flatten(self.pool(x), 1))))


class Vit(nn.Module):
    """Patches of 4 x 4, a CLS token, norms before each part; the answer is read off the CLS token."""

    def __init__(self, width=16, side=16):
        super().__init__()
        self.patch = nn.Conv2d(3, width, 4, stride=4)
        self.token = nn.Parameter(torch.randn(1, 1, width))
        self.position = nn.Parameter(torch.randn(1, (side // 4) ** 2 + 1, width) * 0.3)
        self.layers = nn.ModuleList(Layer(width, 2, False, True, nn.functional.gelu) for _ in range(2))
        self.norm, self.head = Norm(width), nn.Linear(width, 4)

    def forward(self, x):
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1) + self.position
        for layer in self.layers:
            x = layer(x)
        return self.head(self.norm(x)[:, 0])


class Windows(nn.Module):
    """Channels last, a mean over tokens: the bones of a Swin."""

    def __init__(self, width=12):
        super().__init__()
        self.patch = nn.Conv2d(3, width, 4, stride=4)
        self.norm1, self.mix, self.norm2 = Norm(width), Layer(width, 2, False, True, nn.functional.gelu), Norm(width)
        self.head = nn.Linear(width, 4)

    def forward(self, x):
        x = self.norm1(self.patch(x).permute(0, 2, 3, 1))
        x = torch.flatten(x, 1, 2)
        x = self.norm2(self.mix(x))
        return self.head(x.mean(1))


def random_norms(model, seed):
    generator = torch.Generator().manual_seed(seed + 1000)
    draw = lambda shape: torch.randn(shape, generator=generator)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, (nn.InstanceNorm2d, nn.GroupNorm)):
                module.weight.copy_(draw(module.weight.shape) * 0.2 + 1)
                module.bias.copy_(draw(module.bias.shape) * 0.2)
            if isinstance(module, nn.ConvTranspose2d):
                module.weight.copy_(draw(module.weight.shape) * 0.3)
                module.bias.copy_(draw(module.bias.shape) * 0.2)
    return model


def build(name, seed):
    model = {"convolutions": Convolutions, "norms": Norms, "vit": Vit, "windows": Windows}[name]
    torch.manual_seed(seed)
    return random_norms(randomize(model(), seed), seed).eval()
