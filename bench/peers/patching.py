"""The peers of bench/patching.ts: activation patching of the residual stream, every layer x position, in PyTorch on the CPU.

One request a line on stdin, one JSON answer a line on stdout:
  {"do": "make", "folder": F, "layers": L, "width": W, "heads": H, "vocabulary": V, "tokens": T, "threads": N}
      a GPT-2 of that size with random weights as F/model.onnx, and the two inputs
  {"do": "transformer-lens", "tokens": N}     patching.get_act_patch_resid_pre on the first N tokens
  {"do": "hooks", "tokens": N, "batch": B}    plain hooks on the transformers model, B patches in a batch
"""
import json
import os
import sys
import time
import warnings
from pathlib import Path

warnings.filterwarnings("ignore")
answers = os.fdopen(os.dup(1), "w")  # what libraries print goes elsewhere
os.dup2(2, 1)
import torch
import transformers
import transformers.masking_utils
from transformer_lens import HookedTransformer, HookedTransformerConfig, patching
from transformer_lens.pretrained.weight_conversions.gpt2 import convert_gpt2_weights

torch.set_grad_enabled(False)


def causal_mask(batch_size, q_length=None, kv_length=None, dtype=torch.float32, cache_position=None, **_):
    """transformers' mask without vmap, which the exporter can't trace."""
    n = kv_length if kv_length is not None else cache_position.shape[0]
    seen = torch.ones((n, n), dtype=torch.bool).tril()[None, None]
    return torch.where(seen, torch.zeros((), dtype=dtype), torch.full((), torch.finfo(dtype).min, dtype=dtype))


class Logits(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, input_ids):
        return self.model(input_ids=input_ids, use_cache=False).logits


class Peers:
    def make(self, folder, layers, width, heads, vocabulary, tokens, threads):
        torch.set_num_threads(threads)
        transformers.masking_utils.ALL_MASK_ATTENTION_FUNCTIONS["eager"] = causal_mask
        config = transformers.GPT2Config(vocab_size=vocabulary, n_embd=width, n_layer=layers, n_head=heads, n_positions=128,
                                         attn_implementation="eager", use_cache=False)
        torch.manual_seed(0)
        model = transformers.GPT2LMHeadModel(config).eval()
        for parameter in model.parameters():  # livelier than freshly initialised weights
            parameter.mul_(2) if parameter.dim() >= 2 else None
        self.hf = model
        generator = torch.Generator().manual_seed(1)
        self.clean = torch.randint(0, vocabulary, (1, tokens), generator=generator)
        self.corrupted = self.clean.clone()
        self.corrupted[0, 3] = (self.clean[0, 3] + 1) % vocabulary
        self.corrupted[0, 20] = (self.clean[0, 20] + 5) % vocabulary
        path = Path(folder)
        torch.onnx.export(Logits(model).eval(), (self.clean,), str(path / "model.onnx"), input_names=["input_ids"], output_names=["logits"],
                          dynamic_axes={"input_ids": {0: "batch", 1: "sequence"}, "logits": {0: "batch", 1: "sequence"}},
                          opset_version=17, dynamo=False)
        model.eval()
        cfg = HookedTransformerConfig(n_layers=layers, d_model=width, n_ctx=128, d_head=width // heads, n_heads=heads, d_mlp=4 * width,
                                      act_fn="gelu_new", d_vocab=vocabulary, normalization_type="LN", eps=config.layer_norm_epsilon,
                                      device="cpu")
        self.lens = HookedTransformer(cfg)
        self.lens.load_and_process_state_dict(convert_gpt2_weights(model, cfg), fold_ln=False, center_writing_weights=False,
                                              center_unembed=False, fold_value_biases=False)
        self.lens.eval()
        logits = model(self.clean).logits[0, -1]
        self.target = int(logits.argmax())
        return {"clean": self.clean[0].tolist(), "corrupted": self.corrupted[0].tolist(), "target": self.target,
                "value": float(logits[self.target]),
                "versions": {"torch": torch.__version__, "transformers": transformers.__version__,
                             "transformer-lens": __import__("importlib.metadata").metadata.version("transformer-lens")}}

    def transformer_lens(self, tokens):
        started = time.perf_counter()
        _, cache = self.lens.run_with_cache(self.clean[:, :tokens])
        values = patching.get_act_patch_resid_pre(self.lens, self.corrupted[:, :tokens], cache, lambda logits: logits[0, -1, self.target])
        return {"ms": 1000 * (time.perf_counter() - started), "values": values.flatten().tolist()}

    def hooks(self, tokens, batch):
        started = time.perf_counter()
        layers = list(self.hf.transformer.h)
        clean = {}
        handles = [layer.register_forward_pre_hook(lambda m, a, i=i: clean.__setitem__(i, a[0])) for i, layer in enumerate(layers)]
        self.hf.transformer(self.clean[:, :tokens], use_cache=False)
        for handle in handles:
            handle.remove()
        values = []
        for i, layer in enumerate(layers):
            for start in range(0, tokens, batch):
                positions = torch.arange(start, min(start + batch, tokens))

                def change(module, args, i=i, positions=positions):
                    hidden = args[0].clone()
                    hidden[torch.arange(len(positions)), positions] = clean[i][0, positions]
                    return (hidden, *args[1:])
                handle = layer.register_forward_pre_hook(change)
                # Only the last position's logits are wanted, as in onnxray.
                hidden = self.hf.transformer(self.corrupted[:, :tokens].expand(len(positions), -1), use_cache=False).last_hidden_state[:, -1]
                values += self.hf.lm_head(hidden)[:, self.target].tolist()
                handle.remove()
        return {"ms": 1000 * (time.perf_counter() - started), "values": values}


peers = Peers()
for line in sys.stdin:
    request = json.loads(line)
    call = request.pop("do").replace("-", "_")
    try:
        answer = getattr(peers, call)(**request)
    except Exception as error:
        answer = {"error": f"{type(error).__name__}: {error}"}
    answers.write(json.dumps(answer) + "\n")
    answers.flush()
