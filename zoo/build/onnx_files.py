"""What every ONNX file in the zoo has to satisfy, checked when it is made."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

TOLERANCE = 1e-4


def export(model: torch.nn.Module, inputs: tuple, path: Path, *, input_names: list[str],
           dynamic_axes: dict, opset: int, output: str = "logits") -> None:
    """One float32 ONNX file with one named output, by the TorchScript exporter.

    That exporter is the one most files in the wild came from, and it keeps module paths
    in the node names, which is what a person asks for when naming a layer.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.onnx.export(model, inputs, str(path), input_names=input_names, output_names=[output],
                      dynamic_axes=dynamic_axes, opset_version=opset, dynamo=False)
    _tidy(path)


def _tidy(path: Path) -> None:
    """Folds what the exporter left unfolded, stores weights as raw bytes, checks the file.

    Raw bytes let a reader view the weights in place.
    """
    model = onnx.load(path)
    _fold(model.graph, model.opset_import)
    for tensor in model.graph.initializer:
        if not tensor.HasField("raw_data"):
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor), tensor.name))
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


def _fold(graph: onnx.GraphProto, opsets) -> None:
    """Turns every node that depends on no input into initializers.

    The exporter writes each padding as a dozen nodes of list arithmetic over constants.
    """
    constant = {tensor.name for tensor in graph.initializer}
    folded, kept = [], []
    for node in graph.node:
        settled = all(name in constant or not name for name in node.input)
        (folded if settled else kept).append(node)
        if settled:
            constant.update(node.output)
    used = {name for node in kept for name in node.input} | {value.name for value in graph.output}
    written = {name for node in kept for name in node.output}
    made = [name for node in folded for name in node.output if name in used]
    if made:
        outputs = [onnx.ValueInfoProto(name=name) for name in made]
        part = onnx.helper.make_graph(folded, "constants", [], outputs, list(graph.initializer))
        values = ReferenceEvaluator(onnx.helper.make_model(part, opset_imports=opsets)).run(None, {})
        graph.initializer.extend(map(numpy_helper.from_array, map(np.asarray, values), made))
    _replace(graph.node, kept)
    _replace(graph.initializer, [tensor for tensor in graph.initializer if tensor.name in used])
    _replace(graph.value_info, [value for value in graph.value_info if value.name in written])


def _replace(field, items: list) -> None:
    copies = [type(item).FromString(item.SerializeToString()) for item in items]
    del field[:]
    field.extend(copies)


def session(path: Path, threads: int = 2) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def largest_difference(model: torch.nn.Module, runtime: onnxruntime.InferenceSession,
                       feeds: dict[str, np.ndarray]) -> float:
    """Largest |torch - onnxruntime| over the logits, for inputs given in the model's order."""
    with torch.no_grad():
        answer = model(*[torch.from_numpy(value) for value in feeds.values()])
    expected = (answer[0] if isinstance(answer, tuple) else answer).numpy()
    (actual,) = runtime.run(["logits"], feeds)
    return float(np.abs(expected - actual).max())


def require(difference: float, what: str) -> None:
    if not difference <= TOLERANCE:
        raise SystemExit(f"{what}: differs by {difference:.2e}, more than {TOLERANCE:.0e}")
    print(f"{what}: differs by {difference:.1e}")
