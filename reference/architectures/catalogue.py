"""The architectures: tiny configurations with random weights, what they are fed, and what they answer."""
from dataclasses import dataclass, field
from typing import Callable

import torch
import transformers as tf

import networks

VOCAB, HIDDEN, HEADS, LAYERS, LENGTH = 40, 32, 4, 2, 7
COMMON = {"vocab_size": VOCAB, "hidden_size": HIDDEN, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS}
BERT = {**COMMON, "intermediate_size": 48, "max_position_embeddings": 16, "pad_token_id": 0, "num_labels": 3}
DECODER = {**COMMON, "intermediate_size": 48, "max_position_embeddings": 16, "use_cache": False, "pad_token_id": 0,
           "bos_token_id": 1, "eos_token_id": 2}
GROUPED = {**DECODER, "num_key_value_heads": 2}
T5 = {"vocab_size": VOCAB, "d_model": HIDDEN, "d_kv": 8, "d_ff": 48, "num_layers": LAYERS, "num_decoder_layers": LAYERS, "num_heads": HEADS,
      "decoder_start_token_id": 0, "use_cache": False}
BART = {"vocab_size": VOCAB, "d_model": HIDDEN, "encoder_layers": LAYERS, "decoder_layers": LAYERS, "encoder_ffn_dim": 48,
        "decoder_ffn_dim": 48, "encoder_attention_heads": HEADS, "decoder_attention_heads": HEADS, "max_position_embeddings": 16,
        "use_cache": False, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 2, "forced_eos_token_id": None}
VIT = {"hidden_size": HIDDEN, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS, "intermediate_size": 48, "image_size": 16,
       "patch_size": 4, "num_labels": 3}
BACKBONE = {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1], "layer_type": "basic", "downsample_in_first_stage": False}


@dataclass(frozen=True)
class Architecture:
    build: Callable[[str], torch.nn.Module]
    kind: str  # text, decoder, seq2seq, image: what it is fed
    attention: bool = True
    implementations: tuple[str, ...] = ("eager", "sdpa")
    outputs: tuple[str, ...] = ("logits",)
    size: int = 16  # of the pictures
    length: int = LENGTH  # of the texts
    gain: float = 1.4  # of the random weights
    optimizer: str = "bert"  # model type of onnxruntime's transformer optimiser
    fixed: bool = False  # exported for one length and batch
    note: str = ""
    group: str = field(default="", compare=False)


def huggingface(cls, config_cls, **config):
    def build(implementation):
        own = config_cls(**config)
        own._attn_implementation = implementation
        return cls._from_config(own, attn_implementation=implementation)
    return build


def plain(make):
    return lambda implementation: make()


def detr(implementation):
    config = tf.DetrConfig(
        use_timm_backbone=False, use_pretrained_backbone=False, backbone=None,
        backbone_config=tf.ResNetConfig(**BACKBONE, out_features=["stage2"]), num_queries=5, d_model=HIDDEN, encoder_layers=LAYERS,
        decoder_layers=LAYERS, encoder_ffn_dim=48, decoder_ffn_dim=48, encoder_attention_heads=HEADS, decoder_attention_heads=HEADS, num_labels=3)
    return tf.DetrForObjectDetection(config)


def clip(implementation):
    text = {**DECODER, "projection_dim": 16}
    config = tf.CLIPConfig(text_config=text, vision_config={**VIT, "projection_dim": 16}, projection_dim=16)
    config._attn_implementation = implementation
    return tf.CLIPModel._from_config(config, attn_implementation=implementation)


NLP = {
    "bert": Architecture(huggingface(tf.BertForSequenceClassification, tf.BertConfig, **BERT), "text"),
    "distilbert": Architecture(huggingface(
        tf.DistilBertForSequenceClassification, tf.DistilBertConfig, vocab_size=VOCAB, dim=HIDDEN, n_layers=LAYERS, n_heads=HEADS,
        hidden_dim=48, max_position_embeddings=16), "text"),
    "roberta": Architecture(huggingface(tf.RobertaForSequenceClassification, tf.RobertaConfig, **{**BERT, "pad_token_id": 1}), "text"),
    "albert": Architecture(huggingface(tf.AlbertForSequenceClassification, tf.AlbertConfig, **BERT, embedding_size=16), "text"),
    "electra": Architecture(huggingface(tf.ElectraForSequenceClassification, tf.ElectraConfig, **BERT, embedding_size=16), "text",
                            implementations=("eager",)),
    "deberta-v2": Architecture(huggingface(
        tf.DebertaV2ForSequenceClassification, tf.DebertaV2Config, **BERT, relative_attention=True, position_biased_input=False,
        pos_att_type=["p2c", "c2p"], position_buckets=4, norm_rel_ebd="layer_norm", share_att_key=True, max_relative_positions=16), "text",
        implementations=("eager",)),
    "mpnet": Architecture(huggingface(tf.MPNetForSequenceClassification, tf.MPNetConfig, **{**BERT, "pad_token_id": 1}), "text", implementations=("eager",)),
}
DECODERS = {
    "gpt2": Architecture(huggingface(
        tf.GPT2LMHeadModel, tf.GPT2Config, vocab_size=VOCAB, n_embd=HIDDEN, n_layer=LAYERS, n_head=HEADS, n_positions=16, use_cache=False,
        bos_token_id=1, eos_token_id=2), "decoder", optimizer="gpt2"),
    "gpt-neox": Architecture(huggingface(tf.GPTNeoXForCausalLM, tf.GPTNeoXConfig, **DECODER, rotary_pct=0.5), "decoder", optimizer="gpt_neox"),
    "llama": Architecture(huggingface(tf.LlamaForCausalLM, tf.LlamaConfig, **GROUPED), "decoder", optimizer="gpt2"),
    "qwen2": Architecture(huggingface(tf.Qwen2ForCausalLM, tf.Qwen2Config, **GROUPED), "decoder", optimizer="gpt2"),
    "qwen3": Architecture(huggingface(tf.Qwen3ForCausalLM, tf.Qwen3Config, **GROUPED, head_dim=8), "decoder", optimizer="qwen3"),
    "gemma": Architecture(huggingface(tf.GemmaForCausalLM, tf.GemmaConfig, **GROUPED, head_dim=16), "decoder", optimizer="gpt2"),
    "gemma2": Architecture(huggingface(tf.Gemma2ForCausalLM, tf.Gemma2Config, **GROUPED, head_dim=8, query_pre_attn_scalar=8,
                                       sliding_window=16, attn_logit_softcapping=5.0, final_logit_softcapping=10.0), "decoder", optimizer="gpt2",
                           implementations=("eager",)),
    "phi": Architecture(huggingface(tf.PhiForCausalLM, tf.PhiConfig, **DECODER, partial_rotary_factor=0.5), "decoder", optimizer="gpt2"),
    "mistral": Architecture(huggingface(tf.MistralForCausalLM, tf.MistralConfig, **GROUPED, sliding_window=3), "decoder", optimizer="gpt2"),
    "bloom": Architecture(huggingface(tf.BloomForCausalLM, tf.BloomConfig, vocab_size=VOCAB, hidden_size=HIDDEN, n_layer=LAYERS, n_head=HEADS,
                                      use_cache=False, bos_token_id=1, eos_token_id=2), "decoder", implementations=("eager",), optimizer="gpt2"),
    "opt": Architecture(huggingface(tf.OPTForCausalLM, tf.OPTConfig, vocab_size=VOCAB, hidden_size=HIDDEN, num_hidden_layers=LAYERS,
                                    num_attention_heads=HEADS, ffn_dim=48, max_position_embeddings=16, word_embed_proj_dim=HIDDEN,
                                    use_cache=False), "decoder", optimizer="gpt2"),
    "nano-gpt": Architecture(networks.NanoGpt, "tokens", optimizer="gpt2"),
    "mamba": Architecture(huggingface(tf.MambaForCausalLM, tf.MambaConfig, vocab_size=VOCAB, hidden_size=HIDDEN, state_size=4,
                                      num_hidden_layers=LAYERS, conv_kernel=3, use_cache=False), "tokens", attention=False,
                          implementations=("eager",), fixed=True, note="its scan is a loop over the tokens, so an export holds one length"),
}
SEQ2SEQ = {
    "t5": Architecture(huggingface(tf.T5ForConditionalGeneration, tf.T5Config, **T5), "seq2seq", implementations=("eager",), optimizer="t5",
                       length=12),
    "bart": Architecture(huggingface(tf.BartForConditionalGeneration, tf.BartConfig, **BART), "seq2seq", optimizer="bart"),
    "marian": Architecture(huggingface(tf.MarianMTModel, tf.MarianConfig, **BART, scale_embedding=True), "seq2seq", optimizer="bart"),
    "whisper": Architecture(huggingface(
        tf.WhisperForConditionalGeneration, tf.WhisperConfig, **{k: v for k, v in BART.items() if k != "max_position_embeddings"},
        num_mel_bins=6, max_source_positions=8, max_target_positions=16, suppress_tokens=None, begin_suppress_tokens=None), "speech",
        optimizer="bart"),
}
VISION = {
    "vit": Architecture(huggingface(tf.ViTForImageClassification, tf.ViTConfig, **VIT), "image", optimizer="vit"),
    "deit": Architecture(huggingface(tf.DeiTForImageClassification, tf.DeiTConfig, **VIT), "image", optimizer="vit"),
    "dinov2": Architecture(huggingface(tf.Dinov2ForImageClassification, tf.Dinov2Config, **{k: v for k, v in VIT.items() if k != "intermediate_size"},
                                       mlp_ratio=2), "image", optimizer="vit"),
    "swin": Architecture(huggingface(tf.SwinForImageClassification, tf.SwinConfig, image_size=16, patch_size=2, embed_dim=16, depths=[2, 1],
                                     num_heads=[2, 4], window_size=4, mlp_ratio=2.0, num_labels=3), "image", implementations=("eager",),
                         optimizer="swin"),
    "segformer": Architecture(huggingface(
        tf.SegformerForSemanticSegmentation, tf.SegformerConfig, num_encoder_blocks=2, depths=[1, 1], sr_ratios=[2, 1], hidden_sizes=[16, 32],
        patch_sizes=[3, 3], strides=[2, 2], num_attention_heads=[2, 4], mlp_ratios=[2, 2], decoder_hidden_size=16, num_labels=3), "image",
        implementations=("eager",), optimizer="vit"),
    "clip": Architecture(clip, "clip", outputs=("logits_per_image",), optimizer="clip"),
    "detr": Architecture(detr, "image", implementations=("eager",), outputs=("logits", "pred_boxes"), size=32, optimizer="bart", gain=1.0),
    "torch-transformer": Architecture(plain(networks.TorchTransformer), "targets", implementations=("eager",), optimizer="bert"),
}
CONVOLUTIONAL = {
    "resnet": Architecture(huggingface(tf.ResNetForImageClassification, tf.ResNetConfig, embedding_size=8, hidden_sizes=[16, 24], depths=[2, 2],
                                       layer_type="bottleneck", num_labels=3), "image", size=32),
    "convnext": Architecture(huggingface(tf.ConvNextForImageClassification, tf.ConvNextConfig, patch_size=2, num_stages=2, hidden_sizes=[8, 16],
                                         depths=[2, 2], num_labels=3), "image", size=16),
    "efficientnet": Architecture(plain(networks.efficientnet), "image", size=32),
    "mobilenet-v3": Architecture(plain(networks.mobilenet), "image", size=32),
    "u-net": Architecture(plain(networks.UNet), "image", size=16, outputs=("mask",)),
    "yolo": Architecture(plain(networks.Yolo), "image", size=32, outputs=("predictions",)),
    "densenet": Architecture(plain(networks.densenet), "image", size=32),
}
ARCHITECTURES = {
    name: Architecture(**{**each.__dict__, "group": group, **({"attention": False, "implementations": ("eager",)} if group == "convolutional" else {})})
    for group, members in {"text": NLP, "decoder": DECODERS, "seq2seq": SEQ2SEQ, "vision": VISION, "convolutional": CONVOLUTIONAL}.items()
    for name, each in members.items()
}


def inputs_of(architecture):
    """Two rows; the second is shorter where there is a mask to say so."""
    generator = torch.Generator().manual_seed(3)
    picture = lambda: torch.randn((2, 3, architecture.size, architecture.size), generator=generator)
    if architecture.kind == "image":
        return {"pixel_values": picture()}
    ids = torch.randint(3, VOCAB, (2, architecture.length), generator=generator)
    mask = torch.ones_like(ids)
    mask[1, -2:] = 0
    targets = torch.randint(3, VOCAB, (2, 4), generator=generator)
    return {
        "tokens": lambda: {"input_ids": ids},
        "text": lambda: {"input_ids": ids, "attention_mask": mask},
        "decoder": lambda: {"input_ids": ids, "attention_mask": mask},
        "seq2seq": lambda: {"input_ids": ids, "attention_mask": mask, "decoder_input_ids": targets},
        "targets": lambda: {"input_ids": ids, "decoder_input_ids": targets},
        "speech": lambda: {"input_features": torch.randn((2, 6, 16), generator=generator), "decoder_input_ids": targets},
        "clip": lambda: {"input_ids": ids, "attention_mask": mask, "pixel_values": picture()},
    }[architecture.kind]()


def build(architecture, implementation):
    """Random weights, wide enough that attention isn't uniform; the same for both implementations."""
    torch.manual_seed(7)
    model = architecture.build(implementation).eval()
    torch.manual_seed(11)
    with torch.no_grad():
        for name, parameter in sorted(model.named_parameters()):
            if name.endswith(("A_log", "dt_proj.bias")):
                continue
            if architecture.optimizer == "t5" and name.endswith(".q.weight"):  # T5 has its scale in the weights
                parameter.normal_(0, parameter.shape[0] ** -0.75)
            elif parameter.dim() >= 2:
                parameter.normal_(0, architecture.gain / max(1, parameter[0].numel()) ** 0.5)
            else:
                parameter.add_(torch.randn_like(parameter) * 0.1)
        for name, buffer in sorted(model.named_buffers()):
            if name.endswith("running_mean"):
                buffer.normal_(0, 0.1)
            elif name.endswith("running_var"):
                buffer.uniform_(0.5, 1.5)
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    return model
