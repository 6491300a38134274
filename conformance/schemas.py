"""Writes what the installed onnx says of its operators: which inputs are differentiable, and where its node tests are.

Usage: python schemas.py OUT.json
"""

import json
import pathlib
import sys

import onnx
from onnx import defs

CATEGORY = defs.OpSchema.DifferentiationCategory
NAMES = {CATEGORY.Differentiable: "yes", CATEGORY.NonDifferentiable: "no", CATEGORY.Unknown: "unknown"}

operators = {}
for schema in defs.get_all_schemas():
    if schema.deprecated or schema.domain not in ("", "ai.onnx.ml"):
        continue
    key = schema.name if schema.domain == "" else f"{schema.domain}::{schema.name}"
    operators[key] = {
        "since": schema.since_version,
        "inputs": [NAMES[i.differentiation_category] for i in schema.inputs],
        "variadic": any(i.option == defs.OpSchema.FormalParameterOption.Variadic for i in schema.inputs),
        "floats": any("float" in t for i in schema.inputs for t in i.types),
    }

document = {
    "onnx": onnx.__version__,
    "opset": defs.onnx_opset_version(),
    "cases": str(pathlib.Path(onnx.__file__).parent / "backend" / "test" / "data" / "node"),
    "operators": operators,
}
pathlib.Path(sys.argv[1]).write_text(json.dumps(document))
