"""The zoo's two models in PyTorch, with the weights of the ONNX files."""
import json
from pathlib import Path

import onnx
import torch
from captum.attr._utils.custom_modules import Addition_Module
from onnx import numpy_helper
from torch import nn
from transformers import BertConfig, BertForSequenceClassification


def _read(path):
    graph = onnx.load(path).graph
    return graph, {t.name: torch.from_numpy(numpy_helper.to_array(t).copy()) for t in graph.initializer}


def encoder(folder: Path) -> BertForSequenceClassification:
    """Weights keep their PyTorch names in the file, but those of products, which are found by their node's path."""
    graph, weights = _read(folder / "onnx/model.onnx")
    state = {name: tensor for name, tensor in weights.items() if name.startswith(("bert.", "classifier."))}
    for node in graph.node:
        if node.op_type == "MatMul" and node.input[1] in weights:
            state[node.name.strip("/").replace("/MatMul", "").replace("/", ".") + ".weight"] = weights[node.input[1]].T
    model = BertForSequenceClassification(BertConfig(**json.loads((folder / "config.json").read_text())))
    missing, unexpected = model.load_state_dict(state, strict=False)
    if missing or unexpected:
        raise SystemExit(f"the encoder's weights do not fit: {missing} {unexpected}")
    return model.eval()


class Image(nn.Module):
    """The image model's graph, a module to a node, as Captum's hooks need it."""

    def __init__(self, path: Path):
        super().__init__()
        graph, weights = _read(path)
        self.steps, self.parts = [], nn.ModuleDict()
        for at, node in enumerate(graph.node):
            given = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
            if node.op_type == "Conv":
                weight = weights[node.input[1]]
                part = nn.Conv2d(weight.shape[1] * given["group"], weight.shape[0], given["kernel_shape"],
                                 given["strides"], given["pads"][:2], given["dilations"], given["group"])
                part.weight.data, part.bias.data = weight, weights[node.input[2]]
                assert given["pads"][:2] == given["pads"][2:]
            elif node.op_type == "Clip":
                assert (weights[node.input[1]], weights[node.input[2]]) == (0, 6)
                part = nn.ReLU6()
            elif node.op_type == "Add":
                part = Addition_Module()
            elif node.op_type == "GlobalAveragePool":
                part = nn.AdaptiveAvgPool2d(1)
            elif node.op_type == "Gemm":
                weight = weights[node.input[1]]
                part = nn.Linear(weight.shape[1], weight.shape[0])
                part.weight.data, part.bias.data = weight, weights[node.input[2]]
            else:
                part = None
            if part is not None:
                self.parts[str(at)] = part
            pads = weights[node.input[1]].tolist() if node.op_type == "Pad" else []
            inputs = [name for name in node.input if name not in weights]
            self.steps.append((node.op_type, str(at), inputs, node.output[0], pads))
        self.last = {name: at for at, (_, _, inputs, _, _) in enumerate(self.steps) for name in inputs}

    def forward(self, pixels):
        values = {"pixel_values": pixels}
        for at, (kind, key, inputs, output, pads) in enumerate(self.steps):
            given = [values[name] for name in inputs]
            for name in inputs:
                if self.last[name] == at:
                    values.pop(name, None)
            if kind == "Pad":
                values[output] = nn.functional.pad(given[0], (pads[3], pads[7], pads[2], pads[6]))
            elif kind == "Flatten":
                values[output] = torch.flatten(given[0], 1)
            else:
                values[output] = self.parts[key](*given)
        return values[output]
