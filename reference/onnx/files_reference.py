"""Makes the small files test/onnx/files.test.ts opens: functions, sparse weights, external data, old IR versions.

Usage: python files_reference.py OUT_FOLDER   (needs onnx 1.19)
"""

import pathlib
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

out = pathlib.Path(sys.argv[1])
out.mkdir(parents=True, exist_ok=True)
rng = np.random.default_rng(7)


def info(name, dims, kind=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, kind, dims)


def opsets(*others):
    return [helper.make_opsetid("", 18), *others]


# A function with an attribute, a default, and a call within a call.
scale = helper.make_function(
    "local",
    "Scale",
    ["x"],
    ["y"],
    [
        helper.make_node("Constant", [], ["a"]),
        helper.make_node("Mul", ["x", "a"], ["y"]),
    ],
    opsets(),
    attributes=["by"],
)
reference = scale.node[0].attribute.add()
reference.name, reference.ref_attr_name, reference.type = "value_float", "by", onnx.AttributeProto.FLOAT
twice = helper.make_function(
    "local",
    "TanhTwice",
    ["x"],
    ["y"],
    [
        helper.make_node("Scale", ["x"], ["s"], domain="local", by=2.0),
        helper.make_node("Tanh", ["s"], ["t"]),
        helper.make_node("Scale", ["t"], ["y"], domain="local", by=3.0),
    ],
    opsets(helper.make_opsetid("local", 1)),
)
graph = helper.make_graph(
    [
        helper.make_node("TanhTwice", ["x"], ["h"], domain="local"),
        helper.make_node("TanhTwice", ["h"], ["y"], domain="local", name="second"),
    ],
    "functions",
    [info("x", [2, 3])],
    [info("y", [2, 3])],
)
model = helper.make_model(
    graph, opset_imports=opsets(helper.make_opsetid("local", 1)), functions=[scale, twice], ir_version=9
)
onnx.save(model, out / "functions.onnx")

# Sparse weights, by flat positions and by coordinates.
flat = helper.make_sparse_tensor(
    numpy_helper.from_array(np.array([1.5, -2.0, 0.5], np.float32), "flat"),
    numpy_helper.from_array(np.array([0, 4, 11], np.int64)),
    [3, 4],
)
pairs = helper.make_sparse_tensor(
    numpy_helper.from_array(np.array([2.0, 3.0], np.float32), "pairs"),
    numpy_helper.from_array(np.array([[0, 1], [3, 0]], np.int64)),
    [4, 2],
)
graph = helper.make_graph(
    [helper.make_node("MatMul", ["x", "flat"], ["h"]), helper.make_node("MatMul", ["h", "pairs"], ["y"])],
    "sparse",
    [info("x", [2, 3])],
    [info("y", [2, 2])],
    sparse_initializer=[flat, pairs],
)
onnx.save(helper.make_model(graph, opset_imports=opsets(), ir_version=9), out / "sparse.onnx")

# Weights in two files at offsets, with a shape among them.
w = [rng.standard_normal((16, 16)).astype(np.float32) for _ in range(2)]
weights = [numpy_helper.from_array(w[0], "w0"), numpy_helper.from_array(w[1], "w1")]
shape = numpy_helper.from_array(np.array([-1, 8], np.int64), "shape")


def external(tensor, location, offset):
    data = tensor.raw_data
    path = out / location
    before = path.read_bytes() if path.exists() else b""
    path.write_bytes(before.ljust(offset, b"\0") + data)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", str(offset)), ("length", str(len(data)))):
        entry = tensor.external_data.add()
        entry.key, entry.value = key, value


for name in ("first.bin", "second.bin"):
    (out / name).unlink(missing_ok=True)
external(weights[0], "first.bin", 64)
external(weights[1], "second.bin", 0)
external(shape, "second.bin", 1024)
graph = helper.make_graph(
    [
        helper.make_node("MatMul", ["x", "w0"], ["a"]),
        helper.make_node("Tanh", ["a"], ["b"]),
        helper.make_node("MatMul", ["b", "w1"], ["c"]),
        helper.make_node("Reshape", ["c", "shape"], ["y"]),
    ],
    "external",
    [info("x", [2, 16])],
    [info("y", [4, 8])],
    [*weights, shape],
)
onnx.save(helper.make_model(graph, opset_imports=opsets(), ir_version=9), out / "external.onnx")

# IR 3: weights are listed among the inputs; opset 7.
w = numpy_helper.from_array(rng.standard_normal((3, 2)).astype(np.float32), "w")
graph = helper.make_graph(
    [helper.make_node("MatMul", ["x", "w"], ["h"]), helper.make_node("Relu", ["h"], ["y"])],
    "old",
    [info("x", [2, 3]), info("w", [3, 2])],
    [info("y", [2, 2])],
    [w],
)
onnx.save(
    helper.make_model(graph, opset_imports=[helper.make_opsetid("", 7)], ir_version=3), out / "ir3.onnx"
)

# A merged decoder: a flag decides between a first and a later step.
graph = helper.make_graph(
    [
        helper.make_node(
            "If",
            ["use_cache_branch"],
            ["y"],
            then_branch=helper.make_graph(
                [helper.make_node("Add", ["x", "past"], ["later"]), helper.make_node("Tanh", ["later"], ["y_then"])],
                "later",
                [],
                [info("y_then", ["n", 3])],
            ),
            else_branch=helper.make_graph(
                [helper.make_node("MatMul", ["x", "w"], ["first"]), helper.make_node("Exp", ["first"], ["y_else"])],
                "first",
                [],
                [info("y_else", ["n", 3])],
            ),
        )
    ],
    "merged",
    [info("x", ["n", 3]), info("past", ["n", 3]), info("use_cache_branch", [1], TensorProto.BOOL)],
    [info("y", ["n", 3])],
    [numpy_helper.from_array(rng.standard_normal((3, 3)).astype(np.float32), "w")],
)
onnx.save(helper.make_model(graph, opset_imports=opsets(), ir_version=9), out / "merged.onnx")

# The same perceptron in half precision and in bfloat16 (which only casts and products of it may be run in).
for kind, name in ((TensorProto.FLOAT16, "float16"), (TensorProto.BFLOAT16, "bfloat16")):
    weights = [
        helper.make_tensor(f"w{i}", kind, list(a.shape), a.astype(np.float32).ravel())
        for i, a in enumerate([rng.standard_normal((4, 8)), rng.standard_normal((8, 3))])
    ]
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["x"], ["c"], to=kind),
            helper.make_node("MatMul", ["c", "w0"], ["a"]),
            helper.make_node("Tanh", ["a"], ["b"]),
            helper.make_node("MatMul", ["b", "w1"], ["d"]),
            helper.make_node("Cast", ["d"], ["y"], to=TensorProto.FLOAT),
        ],
        name,
        [info("x", [2, 4])],
        [info("y", [2, 3])],
        weights,
    )
    onnx.save(helper.make_model(graph, opset_imports=opsets(), ir_version=9), out / f"{name}.onnx")
