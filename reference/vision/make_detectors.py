"""Writes test/vision/detectors: one detector by hand-set weights, with the outputs of each kind we read.

    python reference/vision/make_detectors.py test/vision/detectors

Pictures are 3 x 32 x 32, from 0 to 1. Class 0 is what is red, class 1 what is green, over cells of 8 x 8. Boxes are a little
larger than their cells, so that neighbours overlap.
"""
import json
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
        prototypes = torch.cat([nn.functional.avg_pool2d(self.relu(self.conv(x)), 2), nn.functional.avg_pool2d(x, 2)], 1)
        weights = torch.cat([8 * logits.tanh(), -3 * scores.mean(2, keepdim=True).expand(-1, -1, 2), scores[:, :, :1] - 1], 2)
        if self.kind == "yolov8-seg":
            return torch.cat([centres, sides, scores, weights], 2).transpose(1, 2), prototypes
        if self.kind == "yolov5-seg":
            return torch.cat([centres, sides, logits.amax(2, keepdim=True).sigmoid(), scores, weights], 2), prototypes
        boxes = torch.cat([centres - sides / 2, centres + sides / 2], 2)
        if self.kind == "mask-rcnn":
            best, labels = scores[0].max(1)
            kept = torchvision.ops.nms(boxes[0], best, 0.5)
            masks = torch.einsum("nk,khw->nhw", weights[0][kept], prototypes[0]).sigmoid()[:, None]
            return boxes[0][kept], labels[kept], best[kept], masks
        if self.kind == "ssd":
            none = torch.full_like(logits[:, :, :1], 0.0)
            return torch.cat([none, logits], 2).softmax(2), boxes / 32
        # Torchvision's way: NMS in the graph, no batch axis.
        best, labels = scores[0].max(1)
        kept = torchvision.ops.nms(boxes[0], best, 0.5)
        return boxes[0][kept], labels[kept], best[kept]


OUTPUTS = {"yolov8": ["output0"], "yolov5": ["output0"], "detr": ["logits", "pred_boxes"], "ssd": ["scores", "boxes"],
           "nms": ["boxes", "labels", "scores"], "yolov8-seg": ["output0", "output1"], "yolov5-seg": ["output0", "output1"],
           "mask-rcnn": ["boxes", "labels", "scores", "masks"]}


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


def picture():
    """The one of test/vision/tasks.test.ts."""
    x = torch.empty(3, 32, 32, dtype=torch.float64)
    for row in range(32):
        for column in range(32):
            cell = (column // 8, row // 8)
            colour = (240, 10, 10) if cell == (2, 1) else (20, 200, 20) if cell == (0, 3) else (40, 40, 40)
            for channel in range(3):
                x[channel, row, column] = (colour[channel] + (column * 7 + row * 13) % 9) / 255
    return x[None]


def mask_gradients(kind):
    """Gradients, by autograd, of the best box's class score and of the mean over its mask (inside the box) of what makes it."""
    x = picture().requires_grad_()
    model = Detector(kind).double().eval()
    out = model(x)
    if kind == "mask-rcnn":
        boxes, _, scores, masks = out
        best = scores.argmax()
        score, corners, values, least = scores[best], boxes[best].detach(), masks[best, 0], 0.5
    else:
        table = out[0][0].T if kind == "yolov8-seg" else out[0][0]
        first = 4 if kind == "yolov8-seg" else 5
        ranks = table[:, first:first + 2].amax(1) * (1 if first == 4 else table[:, 4])
        row = table[ranks.argmax()]
        score, (cx, cy, w, h) = row[first:first + 2].max(), row[:4].detach()
        corners = torch.stack([cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2])
        values, least = torch.einsum("k,khw->hw", row[first + 2:], out[1][0]), 0
    ys, xs = torch.meshgrid(torch.arange(values.shape[0]), torch.arange(values.shape[1]), indexing="ij")
    x0, y0, x1, y1 = corners * values.shape[0] / 32
    inside = (values > least) & (xs >= x0) & (xs < x1) & (ys >= y0) & (ys < y1)
    mean = values[inside].mean()
    found = {}
    for name, value in (("class", score), ("mask", mean)):
        gradient = torch.autograd.grad(value, x, retain_graph=True)[0]
        found[name] = {"value": float(value), "gradient": [float(f"{each:.6g}") for each in gradient.flatten().tolist()]}
    return found


def main(folder):
    folder.mkdir(parents=True, exist_ok=True)
    x = torch.rand((1, 3, 32, 32))
    for kind, names in OUTPUTS.items():
        axes = {"images": {0: "batch"}, **{name: {0: "batch"} for name in names}} if kind not in ("nms", "mask-rcnn") else {n: {0: "found"} for n in names}
        torch.onnx.export(Detector(kind).eval(), (x,), str(folder / f"{kind}.onnx"), input_names=["images"], output_names=names,
                          dynamic_axes=axes, opset_version=17, dynamo=False)
    torch.onnx.export(Segmenter().eval(), (x,), str(folder / "segmenter.onnx"), input_names=["images"], output_names=["classes"],
                      dynamic_axes={"images": {0: "batch"}, "classes": {0: "batch"}}, opset_version=17, dynamo=False)
    (folder / "masks.json").write_text(json.dumps({kind: mask_gradients(kind) for kind in ("yolov8-seg", "yolov5-seg", "mask-rcnn")}) + "\n")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
