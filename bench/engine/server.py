"""PyTorch's side: exports the models into a folder, then answers a request per line of JSON with a line of JSON.

    {"model": NAME, "batch": N, "how": "eager" | "compile"} -> {"ms": of forward and backward, "forward": ms, "norm": of the gradient}
"""
import json
import sys
import time
import warnings

import torch

from models import export, inputs, make

folder, threads = sys.argv[1], int(sys.argv[2])
warnings.filterwarnings("ignore")
torch.set_num_threads(threads)
export(folder)
made, prepared = {}, {}


def prepare(name, batch, how):
    model = made.setdefault(name, make(name))
    body = model.body if how == "eager" else torch.compile(model.body)
    x = model.start(inputs(name, batch)).requires_grad_(True)

    def both():
        (gradient,) = torch.autograd.grad(body(x).sum(), x)
        return gradient

    def forward():
        with torch.no_grad():
            body(x)

    return both, forward


def timed(run):
    started = time.perf_counter()
    result = run()
    return result, (time.perf_counter() - started) * 1000


print("ready", flush=True)
for line in sys.stdin:
    request = json.loads(line)
    key = (request["model"], request["batch"], request["how"])
    if key not in prepared:
        # Another model's memory is not to slow this one down.
        for old in [each for each in prepared if each[:2] != key[:2]]:
            del prepared[old]
        torch.compiler.reset() if not any(each[2] == "compile" for each in prepared) else None
        prepared[key] = prepare(*key)
    both, forward = prepared[key]
    _, before = timed(forward)
    gradient, ms = timed(both)
    print(json.dumps({"ms": ms, "forward": before, "norm": float(gradient.double().norm())}), flush=True)
