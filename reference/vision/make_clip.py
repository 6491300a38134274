"""Writes test/vision/clip: a small CLIP with random weights and a tokenizer of its own, and what explains its answers.

    python reference/vision/make_clip.py test/vision/clip

`model.onnx` has both towers; `pair/` has one file for each, as transformers.js keeps them. Values by Captum and by torch
autograd from the papers' formulas, in float64, stored with 9 digits.
"""
import json
import pathlib
import sys
import warnings

import captum
import captum.attr as ca
import numpy as np
import torch
import transformers as tf
from PIL import Image
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from torch.nn import functional as F

warnings.filterwarnings("ignore")
CAPTUM = f"captum {captum.__version__}"
LINES = ["a photo of a cat", "a photo of a dog", "a cup of coffee on a table", "a rocket in the sky", "a red flower",
         "a man with a camera", "a palace by the water", "two cats on a red sofa", "the dog runs in the park"]
TEXTS = ["a photo of a cat", "Two dogs by the water"]
SIDE, PATCH, HIDDEN = 32, 8, 24


def make_tokenizer():
    """What CLIP's converter writes, with a vocabulary of these lines."""
    tokenizer = Tokenizer(models.BPE(unk_token="<|endoftext|>", end_of_word_suffix="</w>", continuing_subword_prefix=""))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()])
    pattern = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(pattern), behavior="removed", invert=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=90, special_tokens=["<|startoftext|>", "<|endoftext|>"], end_of_word_suffix="</w>",
                                  initial_alphabet=list("abcdefghijklmnopqrstuvwxyz"))
    tokenizer.train_from_iterator(LINES, trainer)
    tokenizer.post_processor = processors.RobertaProcessing(sep=("<|endoftext|>", 1), cls=("<|startoftext|>", 0), trim_offsets=False,
                                                            add_prefix_space=False)
    return tokenizer


def make_model(vocabulary):
    text = {"vocab_size": vocabulary, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24,
            "max_position_embeddings": 16, "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1, "projection_dim": 12}
    vision = {"hidden_size": HIDDEN, "num_hidden_layers": 3, "num_attention_heads": 3, "intermediate_size": 32, "image_size": SIDE,
              "patch_size": PATCH, "projection_dim": 12}
    torch.manual_seed(5)
    config = tf.CLIPConfig(text_config=text, vision_config=vision, projection_dim=12)
    model = tf.CLIPModel._from_config(config, attn_implementation="eager").eval()
    generator = torch.Generator().manual_seed(6)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name == "logit_scale":
                continue
            gain = 1.6 / weight.shape[1] ** 0.5 if weight.dim() == 2 else 0.2
            weight.copy_(torch.randn(weight.shape, generator=generator) * gain + (1 if "norm" in name and name.endswith("weight") else 0))
    return model


class Both(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, input_ids, pixel_values, attention_mask):
        out = self.model(input_ids=input_ids, pixel_values=pixel_values, attention_mask=attention_mask)
        return out.logits_per_image, out.logits_per_text, out.text_embeds, out.image_embeds


class Text(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, input_ids):
        return self.model.get_text_features(input_ids=input_ids)


class Vision(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, pixel_values):
        return self.model.get_image_features(pixel_values=pixel_values)


class Pair(torch.nn.Module):
    """The similarity of each picture with the text beside it, [rows]."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, pixels, ids):
        out = self.model(input_ids=ids, pixel_values=pixels, attention_mask=torch.ones_like(ids))
        return torch.diagonal(out.logits_per_image)


def export(model, ids, pixels, folder):
    mask = torch.ones_like(ids)
    words = {0: "text_batch", 1: "length"}
    torch.onnx.export(
        Both(model), (ids, pixels, mask), str(folder / "model.onnx"), input_names=["input_ids", "pixel_values", "attention_mask"],
        output_names=["logits_per_image", "logits_per_text", "text_embeds", "image_embeds"], opset_version=17, dynamo=False,
        dynamic_axes={"input_ids": words, "attention_mask": words, "pixel_values": {0: "image_batch"},
                      "logits_per_image": {0: "image_batch", 1: "text_batch"}, "logits_per_text": {0: "text_batch", 1: "image_batch"},
                      "text_embeds": {0: "text_batch"}, "image_embeds": {0: "image_batch"}})
    pair = folder / "pair"
    pair.mkdir(exist_ok=True)
    torch.onnx.export(Text(model), (ids,), str(pair / "text_model.onnx"), input_names=["input_ids"], output_names=["text_embeds"],
                      opset_version=17, dynamo=False, dynamic_axes={"input_ids": words, "text_embeds": {0: "text_batch"}})
    torch.onnx.export(Vision(model), (pixels,), str(pair / "vision_model.onnx"), input_names=["pixel_values"], output_names=["image_embeds"],
                      opset_version=17, dynamo=False, dynamic_axes={"pixel_values": {0: "image_batch"}, "image_embeds": {0: "image_batch"}})


def rounded(tensor):
    return [float(f"{value:.9g}") for value in np.asarray(tensor.detach() if torch.is_tensor(tensor) else tensor, dtype=np.float64).ravel()]


def legrad(model, ids, pixels):
    """Bousselham et al. 2024: mean over layers, heads and queries of the positive part of d s^l / d A^l, without CLS; s^l the
    similarity read off the mean over tokens of layer l by the model's own head."""
    out = model(input_ids=ids, pixel_values=pixels, attention_mask=torch.ones_like(ids), output_attentions=True, output_hidden_states=True)
    text = F.normalize(out.text_embeds, dim=-1).detach()
    tower, maps = model.vision_model, []
    for attention, hidden in zip(out.vision_model_output.attentions, out.vision_model_output.hidden_states[1:]):
        embed = F.normalize(model.visual_projection(tower.post_layernorm(hidden.mean(1))), dim=-1)
        s = model.logit_scale.exp() * (embed * text).sum()
        gradient = torch.autograd.grad(s, attention, retain_graph=True)[0]
        maps.append(gradient.clamp(min=0).mean((0, 1, 2))[1:])
    return torch.stack(maps).mean(0)


def chefer(model, ids, pixels):
    """Chefer et al. 2021 (ICCV), each tower by itself: the row of the token that is read."""
    out = model(input_ids=ids, pixel_values=pixels, attention_mask=torch.ones_like(ids), output_attentions=True)
    rows = []
    for attentions, row in ((out.vision_model_output.attentions, 0), (out.text_model_output.attentions, ids.shape[1] - 1)):
        R = torch.eye(attentions[0].shape[-1], dtype=torch.float64)
        for A in attentions:
            G = torch.autograd.grad(out.logits_per_image[0, 0], A, retain_graph=True)[0]
            R = R + (G * A).clamp(min=0).mean(1)[0] @ R
        rows.append(R[row])
    return rows[0][1:], rows[1]


def rollout(model, ids, pixels):
    """Abnar & Zuidema 2020, half residual, mean over heads, rows made one: the row of the token that is read."""
    out = model(input_ids=ids, pixel_values=pixels, attention_mask=torch.ones_like(ids), output_attentions=True)
    rows = []
    for attentions, row in ((out.vision_model_output.attentions, 0), (out.text_model_output.attentions, ids.shape[1] - 1)):
        R = torch.eye(attentions[0].shape[-1], dtype=torch.float64)
        for A in attentions:
            step = A.mean(1)[0] * 0.5 + torch.eye(A.shape[-1], dtype=torch.float64) * 0.5
            R = (step / step.sum(-1, keepdim=True)) @ R
        rows.append(R[row])
    return rows[0][1:], rows[1]


def references(model, ids, pixels):
    pair = Pair(model)
    layers = [model.vision_model.embeddings, model.text_model.embeddings.token_embedding]
    table = layers[1].weight
    words, none = F.embedding(ids, table), F.embedding(torch.full_like(ids, 1), table)
    none[:, 0], none[:, -1] = words[:, 0], words[:, -1]

    class ByEmbedding(torch.nn.Module):
        def forward(self, pixels, embedded):
            handle = layers[1].register_forward_hook(lambda *_: embedded)
            try:
                return pair(pixels, ids.expand(len(pixels), -1))
            finally:
                handle.remove()

    net = ByEmbedding()
    x, e = pixels.clone().requires_grad_(), words.detach().clone().requires_grad_()
    gx, ge = torch.autograd.grad(net(x, e).sum(), (x, e))
    ix, ie = ca.IntegratedGradients(net).attribute((pixels, words.detach()), (torch.zeros_like(pixels), none.detach()), n_steps=400)
    kx, ke = ca.InputXGradient(net).attribute((x, e))
    found = [
        {"method": "saliency", "reference": "torch autograd", "pixels": rounded(gx.abs()), "words": rounded(ge.norm(dim=-1))},
        {"method": "input-x-gradient", "reference": CAPTUM, "pixels": rounded(kx), "words": rounded(ke.sum(-1))},
        {"method": "integrated-gradients", "reference": CAPTUM, "pixels": rounded(ix), "words": rounded(ie.sum(-1))},
    ]
    at = model.vision_model.encoder.layers[-1].layer_norm1
    kept = {}
    hook = at.register_forward_hook(lambda _m, _i, out: kept.update(A=out))
    value = pair(pixels, ids)[0]
    hook.remove()
    gradient = torch.autograd.grad(value, kept["A"])[0]
    cam = (gradient[0, 1:].mean(0) * kept["A"][0, 1:]).sum(-1).clamp(min=0)
    found.append({"method": "grad-cam", "reference": "Selvaraju et al. 2017, by autograd", "pixels": rounded(cam)})
    found.append({"method": "legrad", "reference": "Bousselham et al. 2024, by autograd", "pixels": rounded(legrad(model, ids, pixels))})
    for method, function, reference in (("chefer", chefer, "Chefer et al. 2021, by autograd"), ("rollout", rollout, "Abnar & Zuidema 2020")):
        picture, text = function(model, ids, pixels)
        found.append({"method": method, "reference": reference, "pixels": rounded(picture), "words": rounded(text)})
    return float(value), found


def main(folder):
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = make_tokenizer()
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    write = lambda name, value: (folder / name).write_text(json.dumps(value) + "\n")
    write("tokenizer_config.json", {"tokenizer_class": "CLIPTokenizer", "bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>",
                                    "pad_token": "<|endoftext|>", "unk_token": "<|endoftext|>", "model_max_length": 16})
    mean, deviation = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]
    write("preprocessor_config.json", {"image_processor_type": "CLIPImageProcessor", "do_resize": True, "size": {"height": SIDE, "width": SIDE},
                                       "resample": 3, "do_center_crop": False, "do_rescale": True, "rescale_factor": 1 / 255,
                                       "do_normalize": True, "image_mean": mean, "image_std": deviation})
    photograph = pathlib.Path(__file__).parents[2] / "zoo/photographs/cat.jpg"
    picture = Image.open(photograph).convert("RGB").resize((SIDE, SIDE), Image.BICUBIC)
    picture.save(folder / "picture.png")
    pixels = torch.tensor((np.asarray(picture) / 255 - mean) / deviation).permute(2, 0, 1)[None]
    model = make_model(tokenizer.get_vocab_size())
    write("config.json", {"architectures": ["CLIPModel"], "model_type": "clip", "projection_dim": 12})
    all_ids = [torch.tensor([tokenizer.encode(text).ids]) for text in TEXTS]
    export(model, all_ids[0], pixels.float(), folder)
    model.double()
    torch.set_default_dtype(torch.float64)  # the causal mask is made in it
    cases = []
    for text, ids in zip(TEXTS, all_ids):
        value, found = references(model, ids, pixels)
        cases.append({"text": text, "ids": ids[0].tolist(), "value": value, "scale": float(model.logit_scale.exp()), "methods": found})
    write("reference.json", {"cases": cases})


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
