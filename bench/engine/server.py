"""PyTorch's side: exports the models into a folder, then answers a request per line of JSON with a line of JSON.

    {"model": NAME, "batch": N, "how": "eager" | "compile"} -> {"ms": of forward and backward, "norm": of the gradient}
"""
import json
import os
import sys
import tempfile
import time
import warnings

# A cache of its own: one shared with a run that was killed may hold half a library.
cache = tempfile.TemporaryDirectory()
os.environ["TORCHINDUCTOR_CACHE_DIR"] = cache.name

import torch  # noqa: E402

from models import export, inputs, make  # noqa: E402

folder, threads = sys.argv[1], int(sys.argv[2])
warnings.filterwarnings("ignore")
torch.set_num_threads(threads)
export(folder)
made, prepared = {}, {}


def prepare(name, batch, how):
    model = made.setdefault(name, make(name, folder))
    body = model.body if how == "eager" else torch.compile(model.body)
    x = model.start(inputs(name, batch)).requires_grad_(True)

    def both():
        (gradient,) = torch.autograd.grad(body(x).sum(), x)
        return gradient

    return both


print("ready", flush=True)
for line in sys.stdin:
    request = json.loads(line)
    key = (request["model"], request["batch"], request["how"])
    if key not in prepared:
        # What was made for another model or batch is not to slow this one down.
        if any(old[:2] != key[:2] for old in prepared):
            prepared.clear()
            torch.compiler.reset()
        prepared[key] = prepare(*key)
    started = time.perf_counter()
    gradient = prepared[key]()
    ms = (time.perf_counter() - started) * 1000
    print(json.dumps({"ms": ms, "norm": float(gradient.double().norm())}), flush=True)
