"""BertViz's HTML of given attention.

    python write_bertviz.py head|model ATTENTION.json OUT.html     writes the page
    python write_bertviz.py size ATTENTION.json                    prints the bytes of both pages as JSON, without writing them

ATTENTION.json is {"tokens", "dims": [layers, heads, queries, keys], "file": float32 numbers beside it}.

The size is exact: all but the numbers is counted in a page of the first layer, the numbers of the others as BertViz writes
them, layer by layer. That it is the size of the page is checked whenever one is written.
"""

import json
import sys
from pathlib import Path

import bertviz
import numpy
import torch
from bertviz import head_view, model_view

VIEWS = {"head": head_view, "model": model_view}


def read(source):
    meta = json.loads(Path(source).read_text())
    file = Path(source).parent / meta["file"]
    return meta["tokens"], numpy.memmap(file, dtype=numpy.float32, mode="r", shape=tuple(meta["dims"]))


def page(view, layers, tokens):
    attention = [torch.from_numpy(numpy.array(layer))[None] for layer in layers]
    html = VIEWS[view](attention, tokens, html_action="return")
    head = "<!doctype html><html><head><meta charset='utf-8'><title>BertViz</title></head><body>"
    return f"{head}{html.data}</body></html>".encode()


def numbers_bytes(layers):
    """Of all layers but the first: each one's numbers, and the list of their indices, with the commas before them."""
    numbers = sum(len(json.dumps(layer.tolist())) + 2 for layer in layers[1:])
    return numbers + len(json.dumps(list(range(len(layers))))) - len(json.dumps([0]))


def copies(view):
    """How often BertViz puts its numbers into a page: a comment in its script names the place and is filled in too."""
    return (Path(bertviz.__file__).parent / f"{view}_view.js").read_text().count("PYTHON_PARAMS")


def write(view, source, out):
    tokens, layers = read(source)
    html = page(view, layers, tokens)
    expected = len(page(view, layers[:1], tokens)) + copies(view) * numbers_bytes(layers)
    if len(html) != expected:
        raise SystemExit(f"the page has {len(html)} bytes, not {expected}: its size is not known without writing it")
    Path(out).write_bytes(html)


def sizes(source):
    tokens, layers = read(source)
    numbers = numbers_bytes(layers)
    print(json.dumps({view: len(page(view, layers[:1], tokens)) + copies(view) * numbers for view in VIEWS}))


if sys.argv[1] == "size":
    sizes(sys.argv[2])
else:
    write(*sys.argv[1:])
