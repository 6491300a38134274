"""Attributions through attention that need more than the probabilities, written out plainly from their papers in float64.

    python reference/attention/make_analyses.py test/attention/fixtures

The models are those of make_fixtures.py, built again from the same seeds (the logits beside them say so). For each,
ARCH.analyses.json with
  norms            Kobayashi et al. 2020 (|sum_h alpha f_h|), 2021 with residual (and layer norm where it follows)
  alti             Ferrando et al. 2022: rollout of contributions in the 1-norm
  globenc          Modarressi et al. 2022: rollout of norms through both layer norms (post-norm models)
  effective        Brunner et al. 2020: attention without its part in the left null space of the values
  transformer-attribution   Chefer et al. 2021 (CVPR): relevance times gradient, rolled out
  chefer           Chefer et al. 2021 (ICCV), encoder, decoder and cross, of a sequence-to-sequence model
"""
import json
import sys
from pathlib import Path

import torch

from make_fixtures import HEADS, HIDDEN, attentions, build, dense, inputs_of

torch.set_default_dtype(torch.float64)


class Layer:
    """One attention layer of a row: x what is projected, residual what is added, and the norms that follow."""

    def __init__(self, a, x, residual, wv, bv, wo, bo, norm=None, second=None, after=None):
        self.a, self.residual, self.norm, self.second, self.after = a, residual, norm, second, after
        v = (x @ wv + bv).view(len(x), HEADS, -1).permute(1, 0, 2)
        self.f = torch.einsum("hkd,hdo->hko", v, wo.view(HEADS, -1, wo.shape[-1]))
        self.bo = bo

    def vectors(self, residual):
        t = torch.einsum("hqk,hko->qko", self.a, self.f)
        if residual:
            n = len(self.residual)
            t = t + torch.eye(n)[:, :, None] * self.residual[:, None, :]
        return t

    def summed(self):
        return self.vectors(True).sum(1) + self.bo

    def normed(self, t):
        """The linear part of the layer norm that follows, with the deviation of what it norms."""
        return t if self.norm is None else linear_norm(t, self.summed(), self.norm)

    def output(self):
        s = self.summed()
        return s if self.norm is None else self.norm(s)


def linear_norm(t, at, norm):
    deviation = (at.var(-1, unbiased=False) + norm.eps).sqrt()
    return (t - t.mean(-1, keepdim=True)) / deviation[:, None, None] * norm.weight


def bert_layers(model, row):
    out = model(**row, output_attentions=True, output_hidden_states=True)
    layers = []
    for each, x, a in zip(model.bert.encoder.layer, out.hidden_states, out.attentions):
        own, dense_ = each.attention.self, each.attention.output
        layer = Layer(a[0], x[0], x[0], own.value.weight.T, own.value.bias, dense_.dense.weight.T, dense_.dense.bias, dense_.LayerNorm)
        z = layer.output()
        layer.after = each.output.dense(each.intermediate(z)) + z  # what the second norm norms
        layer.second = each.output.LayerNorm
        layers.append(layer)
    return layers


def vit_layers(model, row):
    out = model(**row, output_attentions=True, output_hidden_states=True)
    layers = []
    for each, x, a in zip(model.vit.encoder.layer, out.hidden_states, out.attentions):
        own, dense_ = each.attention.attention, each.attention.output.dense
        layers.append(Layer(a[0], each.layernorm_before(x[0]), x[0], own.value.weight.T, own.value.bias, dense_.weight.T, dense_.bias))
    return layers


def gpt2_layers(model, row):
    out = model(**row, output_attentions=True, output_hidden_states=True)
    layers = []
    for each, x, a in zip(model.transformer.h, out.hidden_states, out.attentions):
        own = each.attn
        layers.append(Layer(a[0], each.ln_1(x[0]), x[0], own.c_attn.weight[:, 2 * HIDDEN:], own.c_attn.bias[2 * HIDDEN:],
                            own.c_proj.weight, own.c_proj.bias))
    return layers


def rows_to_one(m):
    return m / m.sum(-1, keepdim=True)


def product(matrices):
    joint = matrices[0]
    for m in matrices[1:]:
        joint = m @ joint
    return joint


def alti(layers):
    contributions = []
    for layer in layers:
        t, y = layer.normed(layer.vectors(True)), layer.output()
        c = (y.abs().sum(-1)[:, None] - (y[:, None] - t).abs().sum(-1)).clamp(min=0)
        contributions.append(rows_to_one(c))
    return contributions, product(contributions)


def globenc(layers):
    norms = []
    for layer in layers:
        t = linear_norm(layer.normed(layer.vectors(True)), layer.after, layer.second)
        norms.append(rows_to_one(t.norm(dim=-1)))
    return product(norms)


def effective(layer):
    """A projected on the column space of T = f_h, that is without its part in the left null space of T."""
    result = []
    for a, t in zip(layer.a, layer.f):
        u, s, _ = torch.linalg.svd(t, full_matrices=False)
        u = u[:, s > 1e-9 * s[0]]
        result.append(a @ u @ u.T)
    return torch.stack(result)


# --- Chefer, Gur, Wolf 2021 (CVPR) -------------------------------------------------------------------------------

def share(r, z):
    return torch.where(z == 0, torch.zeros_like(z), r / torch.where(z == 0, torch.ones_like(z), z))


def through_linear(r, x, weight):
    """Positive contributions only (alpha 1, beta 0), without the bias; weight [in, out]."""
    px, nx, pw, nw = x.clamp(min=0), x.clamp(max=0), weight.clamp(min=0), weight.clamp(max=0)
    s = share(r, px @ pw + nx @ nw)
    return px * (s @ pw.T) + nx * (s @ nw.T)


def through_sum(r, x, y):
    """To both parts in proportion, each then scaled to its share of |sums|, so that relevance is conserved."""
    s = share(r, x + y)
    a, b = x * s, y * s
    total = a.sum().abs() + b.sum().abs()
    return a * share(a.sum().abs() / total * r.sum(), a.sum()), b * share(b.sum().abs() / total * r.sum(), b.sum())


def heads_of(x):
    return x.view(len(x), HEADS, -1).permute(1, 0, 2)


def joined(x):
    return x.permute(1, 0, 2).reshape(x.shape[1], -1)


def transformer_attribution(model, row, target, kind):
    """Relevance of the attention probabilities of each layer, from the answer's one."""
    out = model(**row, output_attentions=True, output_hidden_states=True)
    gradients = torch.autograd.grad(out.logits[0, target], out.attentions)
    bert = kind == "bert"
    final = out.hidden_states[-1][0]
    one_hot = torch.zeros_like(out.logits[0])
    one_hot[target] = 1
    r_final = torch.zeros_like(final)
    if bert:
        pooled = model.bert.pooler(final[None])[0]
        r = through_linear(one_hot, pooled, model.classifier.weight.T)
        r_final[0] = through_linear(r, final[0], model.bert.pooler.dense.weight.T)
        blocks = model.bert.encoder.layer
    else:
        # The last of the hidden states is normed already.
        r_final[0] = through_linear(one_hot, final[0], model.classifier.weight.T)
        blocks = model.vit.encoder.layer
    r, relevances = r_final, []
    for each, x, a in reversed(list(zip(blocks, out.hidden_states, [a[0] for a in out.attentions]))):
        x = x[0]
        own = each.attention.self if bert else each.attention.attention
        projection = each.attention.output.dense
        read = x if bert else each.layernorm_before(x)
        q, k, v = (heads_of(getattr(own, name)(read)) for name in ("query", "key", "value"))
        context = a @ v
        attended = projection(joined(context))
        middle = each.attention.output.LayerNorm(attended + x) if bert else attended + x
        fed = middle if bert else each.layernorm_after(middle)
        inner = each.intermediate(fed[None])[0]
        mlp = each.output.dense(inner)
        # Back through the second sum, the feed-forward, the first sum and the attention.
        r_mlp, r_skip = through_sum(r, mlp, middle)
        r_inner = through_linear(r_mlp, inner, each.output.dense.weight.T)
        r_middle = r_skip + through_linear(r_inner, fed, each.intermediate.dense.weight.T)
        r_attended, r_x = through_sum(r_middle, attended, x)
        r_context = heads_of(through_linear(r_attended, joined(context), projection.weight.T))
        s = share(r_context, context)
        r_a, r_v = a * (s @ v.transpose(1, 2)) / 2, v * (a.transpose(1, 2) @ s) / 2
        relevances.insert(0, r_a)
        scores = q @ k.transpose(1, 2)
        s = share(r_a, scores)
        r_q, r_k = q * (s @ k) / 2, k * (s.transpose(1, 2) @ q) / 2
        r = r_x
        for part, name in ((r_q, "query"), (r_k, "key"), (r_v, "value")):
            r = r + through_linear(joined(part), read, getattr(own, name).weight.T)
    n = final.shape[0]
    steps = [rows_to_one(torch.eye(n) + (g[0] * c).clamp(min=0).mean(0)) for g, c in zip(gradients, relevances)]
    return product(steps)


# --- Chefer, Gur, Wolf 2021 (ICCV), encoder-decoder --------------------------------------------------------------

def centred(r):
    """R without the identity, rows made one, the identity again."""
    rest = r - torch.eye(len(r))
    total = rest.sum(-1, keepdim=True)
    return torch.where(total == 0, torch.zeros_like(rest), rest / torch.where(total == 0, torch.ones_like(total), total)) + torch.eye(len(r))


def bimodal(blocks, gradients):
    by_kind = {kind: [(a[0] * g[0]).clamp(min=0).mean(0) for (k, _, a), g in zip(blocks, gradients) if k == kind]
               for kind in ("encoder", "decoder", "cross")}
    encoder = torch.eye(by_kind["encoder"][0].shape[-1])
    for c in by_kind["encoder"]:
        encoder = encoder + c @ encoder
    decoder = torch.eye(by_kind["decoder"][0].shape[-1])
    cross = torch.zeros(len(decoder), len(encoder))
    for own, over in zip(by_kind["decoder"], by_kind["cross"]):
        decoder, cross = decoder + own @ decoder, cross + own @ cross
        cross = cross + centred(decoder).T @ over @ centred(encoder)
    return {"encoder": dense(encoder), "decoder": dense(decoder), "cross": dense(cross)}


def first_row(inputs):
    return {key: value[:1].double() if value.is_floating_point() else value[:1] for key, value in inputs.items()}


def main(folder):
    for name, kind, layers_of in (("bert", "text", bert_layers), ("vit", "image", vit_layers), ("gpt2", "decoder", gpt2_layers)):
        torch.set_default_dtype(torch.float32)
        model, inputs = build(name, "eager"), inputs_of(kind)
        torch.set_default_dtype(torch.float64)
        model, row = model.double(), first_row(inputs)
        logits = json.loads((folder / f"{name}.json").read_text())["logits"]["data"]
        ours = model(**row).logits.flatten()
        assert torch.allclose(ours, torch.tensor(logits)[: len(ours)], atol=1e-4), name
        layers = layers_of(model, row)
        contributions, joint = alti(layers)
        found = {
            "norms": [dense(layer.vectors(False).norm(dim=-1)) for layer in layers],
            "norms-residual": [dense(layer.vectors(True).norm(dim=-1)) for layer in layers],
            "norms-layer-norm": [dense(layer.normed(layer.vectors(True)).norm(dim=-1)) for layer in layers],
            "contributions": [dense(c) for c in contributions],
            "alti": dense(joint),
            "effective": [dense(effective(layer)) for layer in layers],
        }
        if name == "bert":
            found["globenc"] = dense(globenc(layers))
        if name != "gpt2":
            found["transformer-attribution"] = dense(transformer_attribution(model, row, 1, name))
        (folder / f"{name}.analyses.json").write_text(json.dumps(found, separators=(",", ":")) + "\n")
    torch.set_default_dtype(torch.float32)
    model, inputs = build("bart", "eager"), inputs_of("seq2seq")
    torch.set_default_dtype(torch.float64)
    logits, blocks = attentions(model.double(), first_row(inputs))
    gradients = torch.autograd.grad(logits[0, -1, 5], [a for _, _, a in blocks])
    found = {"target": f"{logits.shape[1] - 1},5", "chefer": bimodal(blocks, gradients)}
    (folder / "bart.analyses.json").write_text(json.dumps(found, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
