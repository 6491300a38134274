"""Writes test/vision/detectors: one detector by hand-set weights, with the outputs of each kind we read.

    python reference/vision/make_detectors.py test/vision/detectors

Pictures are 3 x 32 x 32, from 0 to 1. Class 0 is what is red, class 1 what is green, over cells of 8 x 8. Boxes are a little
larger than their cells, so that neighbours overlap.
"""
import pathlib
import sys

import torch
import torchvision
from torch import nn


class Detector(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.kind = kind
        self.conv, self.relu = nn.Conv2d(3, 2, 3, padding=1), nn.ReLU()
        self.head = nn.Conv2d(2, 2, 8, stride=8)
        with torch.no_grad():
            self.conv.weight.zero_()
            self.conv.bias.zero_()
            for channel in range(2):
                self.conv.weight[channel, channel] = 1 / 9
                self.conv.weight[channel, 1 - channel] = -1 / 9
                self.conv.weight[channel, 2] = -1 / 9
            self.head.weight.zero_()
            for channel in range(2):
                self.head.weight[channel, channel] = 12 / 64
            self.head.bias.fill_(-4)
        ys, xs = torch.meshgrid(torch.arange(4) * 8.0 + 4, torch.arange(4) * 8.0 + 4, indexing="ij")
        self.register_buffer("centres", torch.stack([xs.reshape(-1), ys.reshape(-1)], 1))

    def forward(self, x):
        logits = self.head(self.relu(self.conv(x))).flatten(2).transpose(1, 2)  # [n, 16, 2]
        scores = logits.sigmoid()
        centres = self.centres + 0.0 * logits[:, :, :1]
        sides = 9 + 2 * scores.mean(2, keepdim=True).expand(-1, -1, 2)
        if self.kind == "yolov8":
            return torch.cat([centres, sides, scores], 2).transpose(1, 2)
        if self.kind == "yolov5":
            objectness = logits.amax(2, keepdim=True).sigmoid()
            return torch.cat([centres, sides, objectness, scores], 2)
        if self.kind == "detr":
            none = torch.full_like(logits[:, :, :1], 0.0)
            return torch.cat([logits, none], 2), torch.cat([centres, sides], 2) / 32
        boxes = torch.cat([centres - sides / 2, centres + sides / 2], 2)
        if self.kind == "ssd":
            none = torch.full_like(logits[:, :, :1], 0.0)
            return torch.cat([none, logits], 2).softmax(2), boxes / 32
        # Torchvision's way: NMS in the graph, no batch axis.
        best, labels = scores[0].max(1)
        kept = torchvision.ops.nms(boxes[0], best, 0.5)
        return boxes[0][kept], labels[kept], best[kept]


OUTPUTS = {"yolov8": ["output0"], "yolov5": ["output0"], "detr": ["logits", "pred_boxes"], "ssd": ["scores", "boxes"],
           "nms": ["boxes", "labels", "scores"]}


class Segmenter(nn.Module):
    """Scores of nothing, red and green at every pixel, off a coarser map."""

    def __init__(self):
        super().__init__()
        self.conv, self.relu, self.up = nn.Conv2d(3, 2, 3, stride=2, padding=1), nn.ReLU(), nn.Upsample(scale_factor=2, mode="bilinear")
        with torch.no_grad():
            self.conv.weight.zero_()
            self.conv.bias.zero_()
            for channel in range(2):
                self.conv.weight[channel, channel] = 1 / 9
                self.conv.weight[channel, 1 - channel] = -1 / 9

    def forward(self, x):
        colours = self.up(self.relu(self.conv(x)))
        return torch.cat([torch.full_like(colours[:, :1], 0.3), colours], 1)


def main(folder):
    folder.mkdir(parents=True, exist_ok=True)
    x = torch.rand((1, 3, 32, 32))
    for kind, names in OUTPUTS.items():
        axes = {"images": {0: "batch"}, **{name: {0: "batch"} for name in names}} if kind != "nms" else {n: {0: "found"} for n in names}
        torch.onnx.export(Detector(kind).eval(), (x,), str(folder / f"{kind}.onnx"), input_names=["images"], output_names=names,
                          dynamic_axes=axes, opset_version=17, dynamo=False)
    torch.onnx.export(Segmenter().eval(), (x,), str(folder / "segmenter.onnx"), input_names=["images"], output_names=["classes"],
                      dynamic_axes={"images": {0: "batch"}, "classes": {0: "batch"}}, opset_version=17, dynamo=False)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
