"""Writes test/vision/caption: a small ViT with a GPT-2 that looks at it, random weights, and its cross-attention.

    python reference/vision/make_caption.py test/vision/caption

One file takes `pixel_values` and `decoder_input_ids` [1, words]; `pair/` has encoder and decoder in a file each, with the names
that Hugging Face's exports give them. The tokenizer is that of test/vision/clip without special tokens
around a text.
"""
import json
import pathlib
import sys
import warnings

import numpy as np
import torch
import transformers as tf
import transformers.masking_utils
from PIL import Image

warnings.filterwarnings("ignore")


def causal_mask(batch_size, cache_position, kv_length, dtype=torch.float32, **_):
    """transformers' own mask without vmap, which the TorchScript exporter cannot trace."""
    seen = torch.arange(kv_length)[None, :] <= cache_position[:, None]
    bias = torch.zeros(seen.shape, dtype=dtype).masked_fill(~seen, torch.finfo(torch.float32).min)
    return bias[None, None].expand(batch_size, 1, -1, -1)


tf.masking_utils.ALL_MASK_ATTENTION_FUNCTIONS["eager"] = causal_mask
CLIP = pathlib.Path(__file__).parents[2] / "test/vision/clip"
TEXT = "a photo of a cat"


class Caption(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, pixel_values, decoder_input_ids):
        return self.model(pixel_values=pixel_values, decoder_input_ids=decoder_input_ids, use_cache=False).logits


class Encoder(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.encoder = model.encoder

    def forward(self, pixel_values):
        return self.encoder(pixel_values).last_hidden_state


class Decoder(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.decoder = model.decoder

    def forward(self, input_ids, encoder_hidden_states):
        return self.decoder(input_ids=input_ids, encoder_hidden_states=encoder_hidden_states, use_cache=False).logits


def export_pair(model, ids, pixels, folder):
    folder.mkdir(exist_ok=True)
    seen = Encoder(model)(pixels)
    batch, words = {0: "batch"}, {0: "batch", 1: "words"}
    torch.onnx.export(Encoder(model).eval(), (pixels,), str(folder / "encoder_model.onnx"), input_names=["pixel_values"],
                      output_names=["last_hidden_state"], opset_version=17, dynamo=False,
                      dynamic_axes={"pixel_values": batch, "last_hidden_state": batch})
    torch.onnx.export(Decoder(model).eval(), (ids, seen), str(folder / "decoder_model.onnx"), input_names=["input_ids", "encoder_hidden_states"],
                      output_names=["logits"], opset_version=17, dynamo=False,
                      dynamic_axes={"input_ids": words, "encoder_hidden_states": {0: "batch", 1: "patches"}, "logits": words})


def main(folder):
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = json.loads((CLIP / "tokenizer.json").read_text())
    tokenizer["post_processor"] = None
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer) + "\n")
    for name in ("tokenizer_config.json", "preprocessor_config.json"):
        (folder / name).write_text((CLIP / name).read_text())
    torch.manual_seed(11)
    encoder = tf.ViTConfig(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24, image_size=32, patch_size=8)
    decoder = tf.GPT2Config(vocab_size=len(tokenizer["model"]["vocab"]), n_embd=16, n_layer=2, n_head=2, n_positions=16, add_cross_attention=True,
                            is_decoder=True, bos_token_id=0, eos_token_id=1)
    model = tf.VisionEncoderDecoderModel(tf.VisionEncoderDecoderConfig.from_encoder_decoder_configs(encoder, decoder)).eval()
    model.encoder.set_attn_implementation("eager")
    model.decoder.set_attn_implementation("eager")
    generator = torch.Generator().manual_seed(12)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.dim() == 2:
                weight.copy_(torch.randn(weight.shape, generator=generator) * 0.45)
    from tokenizers import Tokenizer
    ids = torch.tensor([Tokenizer.from_file(str(folder / "tokenizer.json")).encode(TEXT).ids])
    config = json.loads((folder / "preprocessor_config.json").read_text())
    picture = np.asarray(Image.open(CLIP / "picture.png")) / 255
    pixels = torch.tensor((picture - config["image_mean"]) / config["image_std"]).permute(2, 0, 1)[None].float()
    torch.onnx.export(Caption(model).eval(), (pixels, ids), str(folder / "model.onnx"), input_names=["pixel_values", "decoder_input_ids"],
                      output_names=["logits"], opset_version=17, dynamo=False,
                      dynamic_axes={"pixel_values": {0: "batch"}, "decoder_input_ids": {0: "batch", 1: "words"}, "logits": {0: "batch", 1: "words"}})
    export_pair(model, ids, pixels, folder / "pair")
    model.double()
    torch.set_default_dtype(torch.float64)
    out = model(pixel_values=pixels.double(), decoder_input_ids=ids, output_attentions=True, use_cache=False)
    cross = torch.stack(out.cross_attentions).mean((0, 2))[0]
    rounded = lambda t: [float(f"{v:.9g}") for v in t.flatten().tolist()]
    (folder / "reference.json").write_text(json.dumps({"text": TEXT, "ids": ids[0].tolist(), "logits": rounded(out.logits[0, -1]),
                                                       "cross": rounded(cross), "dims": list(cross.shape)}) + "\n")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
