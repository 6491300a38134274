"""BertViz's HTML of given attention.

    python write_bertviz.py VIEW ATTENTION.json OUT.html

VIEW is head or model; ATTENTION.json is {"tokens", "dims": [layers, heads, queries, keys], "file": float32 numbers beside it}.
"""

import json
import sys
from pathlib import Path

import numpy
import torch
from bertviz import head_view, model_view

view, source, out = sys.argv[1:]
meta = json.loads(Path(source).read_text())
numbers = numpy.fromfile(Path(source).parent / meta["file"], dtype=numpy.float32).reshape(meta["dims"])
attention = [torch.from_numpy(layer)[None] for layer in numbers]
show = {"head": head_view, "model": model_view}[view]
html = show(attention, meta["tokens"], html_action="return")
with open(out, "w") as file:
    file.write("<!doctype html><html><head><meta charset='utf-8'><title>BertViz</title></head><body>")
    file.write(html.data)
    file.write("</body></html>")
