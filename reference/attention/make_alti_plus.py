"""ALTI+ (Ferrando et al. 2022, arXiv:2205.11631), written out plainly in float64.

    python reference/attention/make_alti_plus.py test/attention/fixtures

Of the sequence-to-sequence models of make_fixtures.py, and of a Marian with two layers in its decoder, which is exported here:
alti-plus/ARCH.json has the shares of the encoder's tokens `source` [targets, sources] and of the prefix `target` [targets,
targets]. BART and Marian norm after their sums, T5 before.
"""
import json
import sys
from pathlib import Path

import torch
import transformers as tf

import make_fixtures
from make_analyses import Layer, first_row, product, rows_to_one
from make_fixtures import BART, build, dense, export, inputs_of

make_fixtures.ARCHITECTURES["marian"] = (
    tf.MarianMTModel, tf.MarianConfig(**{**BART, "decoder_layers": 2, "pad_token_id": 0, "decoder_start_token_id": 0}), "seq2seq")


class Cross(Layer):
    """Cross-attention: what is projected is the encoder's, and the residual a contribution of its own, the last."""

    def vectors(self, residual):
        t = torch.einsum("hqk,hko->qko", self.a, self.f)
        return torch.cat([t, self.residual[:, None, :]], 1) if residual else t


def shares(layer):
    t, y = layer.normed(layer.vectors(True)), layer.output()
    return rows_to_one((y.abs().sum(-1)[:, None] - (y[:, None] - t).abs().sum(-1)).clamp(min=0))


def bart_layers(model, row):
    out = model(**row, output_attentions=True, output_hidden_states=True)
    last = out.encoder_last_hidden_state[0]
    projection = lambda attn: (attn.v_proj.weight.T, attn.v_proj.bias, attn.out_proj.weight.T, attn.out_proj.bias)
    encoder, decoder = [], []
    for each, x, a in zip(model.model.encoder.layers, out.encoder_hidden_states, out.encoder_attentions):
        encoder.append(Layer(a[0], x[0], x[0], *projection(each.self_attn), each.self_attn_layer_norm))
    for each, x, a, c in zip(model.model.decoder.layers, out.decoder_hidden_states, out.decoder_attentions, out.cross_attentions):
        own = Layer(a[0], x[0], x[0], *projection(each.self_attn), each.self_attn_layer_norm)
        decoder += [own, Cross(c[0], last, own.output(), *projection(each.encoder_attn), each.encoder_attn_layer_norm)]
    return encoder, decoder


def t5_layers(model, row):
    out = model(**row, output_attentions=True, output_hidden_states=True)
    last = out.encoder_last_hidden_state[0]
    projection = lambda attn: (attn.v.weight.T, 0.0, attn.o.weight.T, 0.0)
    encoder, decoder = [], []
    for block, x, a in zip(model.encoder.block, out.encoder_hidden_states, out.encoder_attentions):
        part = block.layer[0]
        encoder.append(Layer(a[0], part.layer_norm(x[0]), x[0], *projection(part.SelfAttention)))
    for block, x, a, c in zip(model.decoder.block, out.decoder_hidden_states, out.decoder_attentions, out.cross_attentions):
        part, over = block.layer[0], block.layer[1]
        own = Layer(a[0], part.layer_norm(x[0]), x[0], *projection(part.SelfAttention))
        decoder += [own, Cross(c[0], last, own.output(), *projection(over.EncDecAttention))]
    return encoder, decoder


def alti_plus(encoder, decoder):
    encoded = product([shares(layer) for layer in encoder])
    source, target = None, None
    for layer in decoder:
        c = shares(layer)
        if not isinstance(layer, Cross):
            source, target = source if source is None else c @ source, c if target is None else c @ target
            continue
        taken, own = c[:, :-1], c[:, -1:]
        source = taken @ encoded if source is None else own * source + taken @ encoded
        target = own * target
    return source, target


def main(folder):
    (folder / "alti-plus").mkdir(exist_ok=True)
    for name, layers_of in (("bart", bart_layers), ("t5", t5_layers), ("marian", bart_layers)):
        torch.set_default_dtype(torch.float32)
        model, inputs = build(name, "eager"), inputs_of("seq2seq")
        if name == "marian":  # of a model of its own, since exporting changes it
            export(build(name, "eager"), inputs, folder / "alti-plus" / "marian.onnx")
        torch.set_default_dtype(torch.float64)
        model, row = model.double(), first_row(inputs)
        if name != "marian":
            logits = json.loads((folder / f"{name}.json").read_text())["logits"]["data"]
            ours = model(**row).logits.flatten()
            assert torch.allclose(ours, torch.tensor(logits)[: len(ours)], atol=1e-4), name
        source, target = alti_plus(*layers_of(model, row))
        assert torch.allclose(source.sum(-1) + target.sum(-1), torch.ones(len(source))), name
        found = {"source": dense(source), "target": dense(target)}
        (folder / "alti-plus" / f"{name}.json").write_text(json.dumps(found, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
