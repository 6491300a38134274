"""Tiny random-weight transformers as ONNX files, and what the framework says their attention is.

    python reference/attention/make_fixtures.py test/attention/fixtures

For each architecture: ARCH-eager.onnx and ARCH-sdpa.onnx (TorchScript exporter, the same weights) and ARCH.json with the
inputs, `output_attentions`, and for some the values of analyses written out here plainly from their papers.
"""
import io
import json
import sys
import warnings
from pathlib import Path

import networkx as nx
import numpy as np
import onnx
import torch
import transformers as tf
import transformers.masking_utils

warnings.filterwarnings("ignore")
torch.set_num_threads(1)
VOCAB, HIDDEN, HEADS, LAYERS, LENGTH = 32, 16, 4, 2, 6
COMMON = {"vocab_size": VOCAB, "hidden_size": HIDDEN, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS}
BERT = {**COMMON, "intermediate_size": 24, "max_position_embeddings": 12, "pad_token_id": 0, "num_labels": 3}
T5 = {"vocab_size": VOCAB, "d_model": HIDDEN, "d_kv": 4, "d_ff": 16, "num_layers": LAYERS, "num_decoder_layers": 1, "num_heads": HEADS,
      "decoder_start_token_id": 0, "relative_attention_num_buckets": 8, "relative_attention_max_distance": 10}
BART = {"vocab_size": VOCAB, "d_model": HIDDEN, "encoder_layers": LAYERS, "decoder_layers": 1, "encoder_ffn_dim": 24,
        "decoder_ffn_dim": 24, "encoder_attention_heads": HEADS, "decoder_attention_heads": HEADS, "max_position_embeddings": 12}
VIT = {**{k: v for k, v in COMMON.items() if k != "vocab_size"}, "intermediate_size": 24, "image_size": 8, "patch_size": 4, "num_labels": 3}
GROUPED = {**COMMON, "intermediate_size": 24, "num_key_value_heads": 2, "max_position_embeddings": 16}



def plain_mask(batch_size, cache_position, kv_length, kv_offset=0, attention_mask=None, dtype=torch.float32, as_bias=False, **_):
    """The causal mask of transformers without vmap, which the TorchScript exporter can't trace."""
    seen = (torch.arange(kv_length, device=cache_position.device) + kv_offset)[None, :] <= cache_position[:, None]
    seen = seen[None, None].expand(batch_size, 1, -1, -1)
    if attention_mask is not None:
        seen = seen & attention_mask[:, None, None, :].bool()
    return torch.where(seen, torch.zeros((), dtype=dtype), torch.full((), torch.finfo(dtype).min, dtype=dtype)) if as_bias else seen


tf.masking_utils.ALL_MASK_ATTENTION_FUNCTIONS["sdpa"] = plain_mask
tf.masking_utils.ALL_MASK_ATTENTION_FUNCTIONS["eager"] = lambda *args, **kw: plain_mask(*args, **{**kw, "as_bias": True})

ARCHITECTURES = {
    "bert": (tf.BertForSequenceClassification, tf.BertConfig(**BERT), "text"),
    "distilbert": (tf.DistilBertForSequenceClassification, tf.DistilBertConfig(
        vocab_size=VOCAB, dim=HIDDEN, n_layers=LAYERS, n_heads=HEADS, hidden_dim=24, max_position_embeddings=12), "text"),
    "roberta": (tf.RobertaForSequenceClassification, tf.RobertaConfig(**{**BERT, "pad_token_id": 1}), "text"),
    "albert": (tf.AlbertForSequenceClassification, tf.AlbertConfig(**BERT, embedding_size=8), "text"),
    "gpt2": (tf.GPT2LMHeadModel, tf.GPT2Config(vocab_size=VOCAB, n_embd=HIDDEN, n_layer=LAYERS, n_head=HEADS, n_positions=12), "decoder"),
    "gpt-neox": (tf.GPTNeoXForCausalLM, tf.GPTNeoXConfig(**COMMON, intermediate_size=24, max_position_embeddings=16, rotary_pct=0.5), "decoder"),
    "llama": (tf.LlamaForCausalLM, tf.LlamaConfig(**GROUPED), "decoder"),
    "qwen2": (tf.Qwen2ForCausalLM, tf.Qwen2Config(**GROUPED), "decoder"),
    "t5": (tf.T5ForConditionalGeneration, tf.T5Config(**T5), "seq2seq"),
    "bart": (tf.BartForConditionalGeneration, tf.BartConfig(**BART), "seq2seq"),
    "vit": (tf.ViTForImageClassification, tf.ViTConfig(**VIT), "image"),
    "deit": (tf.DeiTForImageClassification, tf.DeiTConfig(**VIT), "image"),
}


def build(name, implementation):
    cls, config, _ = ARCHITECTURES[name]
    torch.manual_seed(7)
    config._attn_implementation = implementation
    config.use_cache = False
    model = cls._from_config(config, attn_implementation=implementation) if hasattr(cls, "_from_config") else cls(config)
    torch.manual_seed(11)
    with torch.no_grad():  # attention of freshly initialised weights is all but uniform
        for parameter in model.parameters():
            parameter.normal_(0, 0.35) if parameter.dim() >= 2 else parameter.add_(torch.randn_like(parameter) * 0.1)
    return model.eval()


def inputs_of(kind):
    generator = torch.Generator().manual_seed(3)
    ids = torch.randint(3, VOCAB, (2, LENGTH), generator=generator)
    mask = torch.ones_like(ids)
    if kind == "image":
        return {"pixel_values": torch.randn((2, 3, 8, 8), generator=generator)}
    if kind == "text":
        mask[1, -2:] = 0
        return {"input_ids": ids, "attention_mask": mask}
    if kind == "decoder":
        return {"input_ids": ids, "attention_mask": mask}
    mask[1, -2:] = 0
    return {"input_ids": ids, "attention_mask": mask, "decoder_input_ids": torch.randint(3, VOCAB, (2, 4), generator=generator)}


class Logits(torch.nn.Module):
    def __init__(self, model, names):
        super().__init__()
        self.model, self.names = model, names

    def forward(self, *values):
        return self.model(**dict(zip(self.names, values)), return_dict=True).logits


def export(model, inputs, path):
    axes = {name: ({0: "batch"} if value.dim() == 4 else {0: "batch", 1: "targets" if name.startswith("decoder") else "sequence"})
            for name, value in inputs.items()}
    buffer = io.BytesIO()
    torch.onnx.export(Logits(model, list(inputs)), tuple(inputs.values()), buffer, input_names=list(inputs), output_names=["logits"],
                      dynamic_axes={**axes, "logits": {0: "batch"}}, opset_version=17, dynamo=False)
    proto = onnx.load_from_string(buffer.getvalue())
    for node in proto.graph.node:
        node.doc_string = ""
    onnx.save(proto, path)
    return path.stat().st_size


def numbers(tensor):
    return [float(f"{value:.7g}") for value in tensor.detach().double().flatten().tolist()]


def dense(tensor):
    return {"dims": list(tensor.shape), "data": numbers(tensor)}


def attentions(model, inputs):
    out = model(**inputs, output_attentions=True, return_dict=True)
    if "decoder_attentions" in out:
        blocks = [("encoder", i, a) for i, a in enumerate(out.encoder_attentions)]
        for i, (own, cross) in enumerate(zip(out.decoder_attentions, out.cross_attentions)):
            blocks += [("decoder", i, own), ("cross", i, cross)]
    else:
        kind = "decoder" if "CausalLM" in type(model).__name__ or "LMHead" in type(model).__name__ else "encoder"
        blocks = [(kind, i, a) for i, a in enumerate(out.attentions)]
    return out.logits, blocks


# --- Analyses, for one row [heads, queries, keys] per layer -----------------------------------------------------

def fuse(a, how):
    return {"mean": a.mean(0), "max": a.max(0).values, "min": a.min(0).values}[how]


def rollout(layers, residual=0.5, fusion="mean", discard=0.0):
    """Abnar & Zuidema 2020; fusion and discarding as in Gildenblat's: the smallest share of all but the first column is dropped."""
    joint = torch.eye(layers[0].shape[-1], dtype=torch.double)
    for a in layers:
        fused = fuse(a.double(), fusion)
        if discard > 0:
            flat = fused.flatten()
            drop = flat.topk(int(flat.numel() * discard), largest=False).indices
            flat[drop[drop != 0]] = 0
        mixed = residual * torch.eye(fused.shape[0], dtype=torch.double) + (1 - residual) * fused
        joint = (mixed / mixed.sum(-1, keepdim=True)) @ joint
    return joint


def flow(layers, residual=0.5):
    """Abnar & Zuidema 2020: maximum flow from each output position to each input position through all layers."""
    n = layers[0].shape[-1]
    graph = nx.DiGraph()
    for depth, a in enumerate(layers):
        mixed = residual * np.eye(n) + (1 - residual) * a.double().mean(0).detach().numpy()
        mixed /= mixed.sum(-1, keepdims=True)
        for i in range(n):
            for j in range(n):
                if mixed[i, j] > 0:
                    graph.add_edge((depth + 1, i), (depth, j), capacity=float(mixed[i, j]))
    flows = np.array([[nx.maximum_flow_value(graph, (len(layers), i), (0, j)) if graph.has_node((0, j)) else 0.0
                       for j in range(n)] for i in range(n)])
    return torch.tensor(flows / flows.sum(-1, keepdims=True))


def chefer(layers, gradients):
    """Chefer et al. 2021 (generic), self-attention only."""
    r = torch.eye(layers[0].shape[-1], dtype=torch.double)
    for a, g in zip(layers, gradients):
        r = r + (a.double() * g.double()).clamp(min=0).mean(0) @ r
    return r


def bert_norms(model, inputs):
    """Kobayashi et al. 2020: |sum_h alpha_h f_h(x)|, f_h(x) = (x W_V + b_V) W_O."""
    out = model(**inputs, output_attentions=True, output_hidden_states=True, return_dict=True)
    result = []
    for layer, x, a in zip(model.bert.encoder.layer, out.hidden_states, out.attentions):
        v = layer.attention.self.value(x).view(*x.shape[:2], HEADS, -1).transpose(1, 2)
        w = layer.attention.output.dense.weight.T.view(HEADS, -1, HIDDEN)
        f = torch.einsum("bhkd,hdo->bhko", v, w)
        result.append(torch.einsum("bhqk,bhko->bqko", a, f).norm(dim=-1))
    return result


def analyses(name, model, inputs):
    row = {key: value[:1] for key, value in inputs.items()}
    logits, blocks = attentions(model, row)
    layers = [a for _, _, a in blocks]
    target = logits[0, 1] if logits.dim() == 2 else logits[0, -1, 5]
    gradients = torch.autograd.grad(target, layers)
    self_only = [a[0].detach() for a in layers]
    found = {
        "rollout": dense(rollout(self_only)),
        "rollout-max": dense(rollout(self_only, fusion="max", residual=0.3)),
        "rollout-discard": dense(rollout([a.clone() for a in self_only], fusion="min", discard=0.4)),
        "flow": dense(flow(self_only)),
        "chefer": dense(chefer(self_only, [g[0] for g in gradients])),
        "gradient-x-attention": [dense(a * g[0]) for a, g in zip(self_only, gradients)],
        "importance": [dense((a * g[0]).sum((-1, -2)).abs()) for a, g in zip(self_only, gradients)],
    }
    if name == "bert":
        found["norms"] = [dense(each[0]) for each in bert_norms(model, row)]
    return {"target": "1" if logits.dim() == 2 else f"{logits.shape[1] - 1},5", "values": found}


def main(folder):
    folder.mkdir(parents=True, exist_ok=True)
    for name, (_, _, kind) in ARCHITECTURES.items():
        inputs = inputs_of(kind)
        model = build(name, "eager")
        logits, blocks = attentions(model, inputs)
        document = {
            "architecture": name,
            "heads": HEADS, "kvHeads": getattr(model.config, "num_key_value_heads", None) or HEADS,
            "inputs": {key: {"type": "float32" if value.is_floating_point() else "int64", "dims": list(value.shape),
                             "data": numbers(value) if value.is_floating_point() else value.flatten().tolist()}
                       for key, value in inputs.items()},
            "logits": dense(logits),
            "blocks": [{"kind": block, "layer": layer, **dense(a)} for block, layer, a in blocks],
        }
        if name in ("bert", "gpt2", "llama", "vit"):
            document["analyses"] = analyses(name, model, inputs)
        for implementation in ("eager",) if name == "t5" else ("eager", "sdpa"):  # T5 has no SDPA form
            try:
                size = export(build(name, implementation), inputs, folder / f"{name}-{implementation}.onnx")
                print(f"{name}-{implementation}: {size / 1000:.0f} kB", flush=True)
            except Exception as error:
                print(f"{name}-{implementation}: {type(error).__name__}: {str(error)[:160]}", flush=True)
        (folder / f"{name}.json").write_text(json.dumps(document, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
