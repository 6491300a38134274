"""What `onnxray gradient` writes, judged without onnxray: onnx.checker in full, and plain onnxruntime.

    python gradient_files.py FOLDER     FOLDER/NAME/{model.onnx, gradient.onnx, wrt.json}; prints one JSON document

Of each gradient file: does the checker pass it; does it compute the model's own outputs; and does the gradient in the
float inputs agree with central differences of the unmodified model along a random direction (float32).
"""
import json
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort

FLOATS = {"tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(float16)": np.float16}
LENGTHS = {"height": 64, "width": 64}
STEP = 1e-2


def session(path):
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 2
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def value(info, random, lengths):
    dims = [dim if isinstance(dim, int) else lengths.setdefault(str(dim), LENGTHS.get(str(dim), 2 + 3 * len(lengths)))
            for dim in info.shape]
    name = info.name.lower()
    if info.type in FLOATS:
        return random.standard_normal(dims).astype(FLOATS[info.type])
    if info.type == "tensor(bool)":
        return np.ones(dims, bool)
    integers = np.int32 if info.type == "tensor(int32)" else np.int64
    if "mask" in name:
        return np.ones(dims, integers)
    if "type" in name:
        return np.zeros(dims, integers)
    return random.integers(2, 20, dims).astype(integers)


def judge(folder):
    row = {"name": folder.name, "checker": "passes"}
    path = folder / "gradient.onnx"
    try:
        onnx.checker.check_model(str(path), full_check=True)
    except Exception as error:  # noqa: BLE001 - whatever the checker says is the finding
        row["checker"] = str(error).strip().splitlines()[0][:300]
    model = onnx.load(str(path), load_external_data=False)
    row["nodes"] = len(model.graph.node)
    row["domains"] = sorted({node.domain for node in model.graph.node} - {""})
    row["opset"] = next(each.version for each in model.opset_import if each.domain in ("", "ai.onnx"))
    try:
        plain = session(folder / "model.onnx")
    except Exception:  # noqa: BLE001 - a model that onnxruntime cannot run, such as one in bfloat16 on a CPU
        return row
    gradient = session(path)
    of, wrt = json.loads((folder / "wrt.json").read_text())
    random = np.random.default_rng(0)
    lengths = {}
    feeds = {info.name: value(info, random, lengths) for info in plain.get_inputs()}
    used = {info.name for info in gradient.get_inputs()}
    names = [info.name for info in gradient.get_outputs()]
    results = dict(zip(names, gradient.run(names, {name: feeds[name] for name in feeds if name in used})))
    expected = plain.run([of], feeds)[0]
    scale = max(1e-6, float(np.abs(expected.astype(np.float64)).max()))
    row["outputs"] = float(np.abs(results[of].astype(np.float64) - expected.astype(np.float64)).max()) / scale
    row["half"] = results[of].dtype == np.float16 or any(each.data_type == 10 for each in model.graph.initializer)
    row["gradients"] = {name: list(results[f"{name}_grad"].shape) for name in wrt}
    if set(wrt) <= set(feeds):
        total = lambda x: float(plain.run([of], {**feeds, **x})[0].astype(np.float64).sum())  # noqa: E731
        direction = {name: random.standard_normal(feeds[name].shape).astype(feeds[name].dtype) for name in wrt}
        side = lambda h: total({name: (feeds[name] + h * direction[name]).astype(feeds[name].dtype) for name in wrt})  # noqa: E731
        step = STEP
        difference = (8 * (side(step) - side(-step)) - (side(2 * step) - side(-2 * step))) / (12 * step)
        along = sum(float((results[f"{name}_grad"].astype(np.float64) * direction[name]).sum()) for name in wrt)
        size = sum(float(np.abs(results[f"{name}_grad"].astype(np.float64) * direction[name]).sum()) for name in wrt)
        row["differences"] = abs(along - difference) / max(size, 1e-12)
    return row


rows = [judge(folder) for folder in sorted(Path(sys.argv[1]).iterdir()) if (folder / "gradient.onnx").exists()]
print(json.dumps({"onnx": onnx.__version__, "onnxruntime": ort.__version__, "rows": rows}))
