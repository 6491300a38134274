"""What PyTorch says of interventions on the tiny transformers of make_fixtures.py, by hooks, in float64.

    python reference/attention/make_interventions.py test/attention/fixtures/interventions

One row at a time, the whole model each time; nothing is shared with the way onnxray does it. Row 0 of the fixtures' inputs is
the clean input, row 1 the corrupted one.
"""
import json
import sys
from pathlib import Path

import torch
from make_fixtures import HEADS, build, inputs_of



class Parts:
    """Where the layers, the output projections of attention and the MLPs of an architecture are."""

    def __init__(self, name, model):
        self.name, self.model = name, model
        if name == "bert":
            self.layers = list(model.bert.encoder.layer)
            self.projections = [layer.attention.output.dense for layer in self.layers]
            self.mlps = [layer.output.dense for layer in self.layers]
            self.head = lambda x: model.classifier(model.dropout(model.bert.pooler(x)))
        elif name == "gpt2":
            self.layers = list(model.transformer.h)
            self.projections = [layer.attn.c_proj for layer in self.layers]
            self.mlps = [layer.mlp for layer in self.layers]
            self.norm, self.head = model.transformer.ln_f, lambda x: model.lm_head(model.transformer.ln_f(x))
            self.unembed, self.bias = model.lm_head.weight, None
        elif name == "gpt-neox":
            self.layers = list(model.gpt_neox.layers)
            self.projections = [layer.attention.dense for layer in self.layers]
            self.mlps = [layer.mlp for layer in self.layers]
            self.norm, self.head = model.gpt_neox.final_layer_norm, lambda x: model.embed_out(model.gpt_neox.final_layer_norm(x))
            self.unembed, self.bias = model.embed_out.weight, None
        elif name == "llama":
            self.layers = list(model.model.layers)
            self.projections = [layer.self_attn.o_proj for layer in self.layers]
            self.mlps = [layer.mlp for layer in self.layers]
            self.norm, self.head = model.model.norm, lambda x: model.lm_head(model.model.norm(x))
            self.unembed, self.bias = model.lm_head.weight, None
        elif name == "vit":
            self.layers = list(model.vit.encoder.layer)
            self.projections = [layer.attention.output.dense for layer in self.layers]
            self.mlps = [layer.output.dense for layer in self.layers]
            self.norm, self.head = model.vit.layernorm, lambda x: model.classifier(model.vit.layernorm(x)[:, 0])
            self.unembed, self.bias = model.classifier.weight, model.classifier.bias
        elif name == "t5":
            self.layers = list(model.encoder.block)
            blocks = [block.layer[0].SelfAttention for block in model.encoder.block]
            for block in model.decoder.block:
                blocks += [block.layer[0].SelfAttention, block.layer[1].EncDecAttention]
            self.projections = [block.o for block in blocks]
            self.mlps = []

    def answer(self, inputs):
        logits = self.model(**inputs, return_dict=True).logits
        return logits[0, 1] if logits.dim() == 2 else logits[0, -1, 5]


class Hooks:
    """Forward hooks for the time of a `with`."""

    def __init__(self, *hooks):
        self.hooks = hooks

    def __enter__(self):
        self.handles = [module.register_forward_pre_hook(f) if kind == "before" else module.register_forward_hook(f)
                        for kind, module, f in self.hooks]

    def __exit__(self, *_):
        for handle in self.handles:
            handle.remove()


def first(output):
    return output[0] if isinstance(output, tuple) else output


def with_first(output, value):
    return (value, *output[1:]) if isinstance(output, tuple) else value


def record(parts, inputs):
    seen = {"stream": {}, "context": {}, "attention": {}, "mlp": {}}
    hooks = []
    for i, layer in enumerate(parts.layers):
        hooks.append(("before", layer, lambda m, a, i=i: seen["stream"].__setitem__(i, a[0].clone())))
        hooks.append(("after", layer, lambda m, a, o, i=i: seen["stream"].__setitem__(i + 1, first(o).clone())))
    for i, projection in enumerate(parts.projections):
        hooks.append(("before", projection, lambda m, a, i=i: seen["context"].__setitem__(i, a[0].clone())))
        hooks.append(("after", projection, lambda m, a, o, i=i: seen["attention"].__setitem__(i, o.clone())))
    for i, mlp in enumerate(parts.mlps):
        hooks.append(("after", mlp, lambda m, a, o, i=i: seen["mlp"].__setitem__(i, first(o).clone())))
    with Hooks(*hooks):
        value = parts.answer(inputs)
    return value, seen


def put_positions(target, source, position):
    result = target.clone()
    result[:, position] = source[:, position]
    return result


def put_head(target, source, head):
    size = target.shape[-1] // HEADS
    result = target.clone()
    result[..., head * size:(head + 1) * size] = source[..., head * size:(head + 1) * size]
    return result


class Attention:
    """Changes the probabilities of chosen calls of softmax: each block calls it once, in order."""

    def __init__(self, changes):
        self.changes = changes

    def __enter__(self):
        self.plain, self.call = torch.nn.functional.softmax, 0

        def changed(x, *args, **kw):
            a = self.plain(x, *args, **kw)
            self.call += 1
            change = self.changes.get(self.call - 1)
            return a if change is None else change(a)
        torch.nn.functional.softmax = changed

    def __exit__(self, *_):
        torch.nn.functional.softmax = self.plain


def uniform_where(a, heads):
    u = (a > 0).to(a.dtype)
    u = u / u.sum(-1, keepdim=True)
    result = a.clone()
    for h in heads:
        result[:, h] = u[:, h]
    return result


def cut(a, head, query, key, renormalize):
    result = a.clone()
    heads = range(a.shape[1]) if head is None else [head]
    for h in heads:
        result[:, h, query, key] = 0
        total = result[:, h, query].sum(-1, keepdim=True)
        if renormalize and (total > 0).all():
            result[:, h, query] = result[:, h, query] / total
    return result


def frozen(norm, x, at):
    """A norm of x with the deviation it has at `at`."""
    if hasattr(norm, "eps"):
        centred, there = x - x.mean(-1, keepdim=True), at - at.mean(-1, keepdim=True)
        return centred / torch.sqrt((there ** 2).mean(-1, keepdim=True) + norm.eps).detach() * norm.weight + norm.bias
    return x / torch.sqrt((at ** 2).mean(-1, keepdim=True) + norm.variance_epsilon).detach() * norm.weight


def direct(parts, seen):
    """Contributions of embedding, attention, MLPs and heads along the stream, norms' deviations held."""
    parts_of = {"start": seen["stream"][0]}
    for i in range(len(parts.layers)):
        parts_of[f"attention {i}"], parts_of[f"mlp {i}"] = seen["attention"][i], seen["mlp"][i]
    leaves = {key: value.detach().clone().requires_grad_() for key, value in parts_of.items()}
    if parts.name == "bert":
        x, at = leaves["start"], seen["stream"][0]
        for i, layer in enumerate(parts.layers):
            for branch, norm in (("attention", layer.attention.output.LayerNorm), ("mlp", layer.output.LayerNorm)):
                there = at + parts_of[f"{branch} {i}"]
                x = frozen(norm, x + leaves[f"{branch} {i}"], there)
                at = norm(there)
        value = parts.head(x)[0, 1]
    else:
        last = seen["stream"][len(parts.layers)]
        # The deviation is that of the sum itself: in vit and the language models the stream after the last layer.
        x = sum(leaves.values())
        assert torch.allclose(x, last), "parts do not add up to the stream"
        normed = frozen(parts.norm, x, last)
        row = normed[0, 0] @ parts.unembed[1] if parts.name == "vit" else normed[0, -1] @ parts.unembed[5]
        value = row + (parts.bias[1] if parts.bias is not None else 0)
    gradients = dict(zip(leaves, torch.autograd.grad(value, list(leaves.values()))))
    contribution = {key: float((parts_of[key] * gradients[key]).sum()) for key in leaves}
    heads = []
    for i, projection in enumerate(parts.projections):
        weight = projection.weight if type(projection).__name__ == "Conv1D" else projection.weight.T
        size = weight.shape[0] // HEADS
        heads.append([float((seen["context"][i][..., h * size:(h + 1) * size] @ weight[h * size:(h + 1) * size] * gradients[f"attention {i}"]).sum())
                      for h in range(HEADS)])
    return {"parts": contribution, "heads": heads}


def number(value):
    return float(f"{float(value):.9g}")


def interventions(name):
    model = build(name, "eager").double()
    parts = Parts(name, model)
    kind = {"bert": "text", "vit": "image", "t5": "seq2seq"}.get(name, "decoder")
    rows = {key: value.double() if value.is_floating_point() else value for key, value in inputs_of(kind).items()}
    clean = {key: value[:1] for key, value in rows.items()}
    corrupted = {key: value[1:2] for key, value in rows.items()}
    value, seen = record(parts, clean)
    worse, bad = record(parts, corrupted)
    out = {"value": number(value), "corrupted": number(worse)}
    depth, blocks = len(parts.layers), len(parts.projections)

    def run(inputs, *hooks):
        with Hooks(*hooks):
            return number(parts.answer(inputs))

    zero = torch.zeros((), dtype=torch.float64)
    out["heads zero"] = [[run(clean, ("before", p, lambda m, a, h=h: (put_head(a[0], zero.expand_as(a[0]), h),)))
                          for h in range(HEADS)] for p in parts.projections]
    out["heads mean"] = [[run(clean, ("before", p, lambda m, a, h=h: (put_head(a[0], a[0].mean(1, keepdim=True).expand_as(a[0]), h),)))
                          for h in range(HEADS)] for p in parts.projections]
    out["uniform"] = []
    for i in range(blocks):
        with Attention({i: lambda a: uniform_where(a, range(HEADS))}):
            out["uniform"].append(number(parts.answer(clean)))
    if name == "t5":
        return out
    n = seen["stream"][0].shape[1]
    out["patch stream"] = [[run(corrupted, ("before", layer, lambda m, a, i=i, t=t: (put_positions(a[0], seen["stream"][i], t), *a[1:])))
                            for t in range(n)] for i, layer in enumerate(parts.layers)]
    out["patch heads"] = [[run(corrupted, ("before", p, lambda m, a, i=i, h=h: (put_head(a[0], seen["context"][i], h),)))
                           for h in range(HEADS)] for i, p in enumerate(parts.projections)]
    out["patch attention"] = [[run(corrupted, ("after", p, lambda m, a, o, i=i, t=t: put_positions(o, seen["attention"][i], t)))
                               for t in range(n)] for i, p in enumerate(parts.projections)]
    out["patch mlp"] = [[run(corrupted, ("after", p, lambda m, a, o, i=i, t=t: with_first(o, put_positions(first(o), seen["mlp"][i], t))))
                         for t in range(n)] for i, p in enumerate(parts.mlps)]
    patterns = {}
    with Attention({i: (lambda a, i=i: patterns.setdefault(i, a)) for i in range(blocks)}):
        parts.answer(clean)
    out["patch pattern"] = []
    for i in range(blocks):
        row = []
        for h in range(HEADS):
            def change(a, i=i, h=h):
                b = a.clone()
                b[:, h] = patterns[i][:, h]
                return b
            with Attention({i: change}):
                row.append(number(parts.answer(corrupted)))
        out["patch pattern"].append(row)
    out["layers"] = [[
        run(clean, ("after", parts.projections[i], lambda m, a, o: torch.zeros_like(o))),
        run(clean, ("after", parts.mlps[i], lambda m, a, o: with_first(o, torch.zeros_like(first(o))))),
        run(clean, ("after", parts.layers[i], lambda m, a, o: with_first(o, a[0]))),
    ] for i in range(depth)]
    for renormalize in (True, False):
        table = []
        for q in range(n):
            row = []
            for k in range(n if kind != "decoder" else q + 1):
                with Attention({i: lambda a, q=q, k=k: cut(a, None, q, k, renormalize) for i in range(blocks)}):
                    row.append(number(parts.answer(clean)))
            table.append(row)
        out["edges" if renormalize else "edges raw"] = table
    with torch.no_grad():
        out["lens"] = [[number(x) for x in (lambda y: y[0] if y.dim() == 2 else y[0, -1])(parts.head(seen["stream"][i]))] for i in range(depth + 1)]
    out["direct"] = direct(parts, seen)
    return out


folder = Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
for name in ("bert", "gpt2", "gpt-neox", "llama", "vit", "t5"):
    document = interventions(name)
    (folder / f"{name}.json").write_text(json.dumps(document, separators=(",", ":")) + "\n")
    print(name, document["value"], document["corrupted"], flush=True)
