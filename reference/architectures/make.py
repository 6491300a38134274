"""Random-weight exports of the architectures in catalogue.py, and what PyTorch says of them.

    python reference/architectures/make.py CACHE [--only bert,gpt2] [--again]
    python reference/architectures/make.py CACHE --commit test/models/fixtures/architectures

CACHE/ARCH/reference.json holds the inputs, the outputs, a random weight for each element of an output, the gradient of the weighted
sum with respect to the float inputs and the selected embeddings, and `output_attentions`. Beside it, by attention
implementation, exporter and what was done to the file afterwards:

    eager-ts sdpa-ts                  TorchScript exporter, opset 17
    eager-dynamo sdpa-dynamo          torch.export exporter, opset 18
    sdpa-dynamo23                     the same at opset 23, where attention is one operator
    ...-opt                           onnxruntime's transformer optimiser for the model type
    ...-ort                           onnxruntime's own graph optimisation, `extended`
    ...-fp16, ...-opt-fp16            float16 by onnxruntime's converter
    ...-int8, ...-opt-int8            onnxruntime's dynamic quantisation to 8 bits, weights too

What could not be made is in CACHE/ARCH/failures.json with the exporter's words.
"""
import argparse
import base64
import copy
import json
import logging
import shutil
import tempfile
import traceback
import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
import transformers
import transformers.masking_utils as masking
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.transformers.float16 import convert_float_to_float16
from onnxruntime.transformers.optimizer import optimize_model
from transformers.integrations.executorch import sdpa_mask_without_vmap

from catalogue import ARCHITECTURES, HEADS, HIDDEN, build, inputs_of

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)
transformers.logging.set_verbosity_error()
torch.set_num_threads(1)
torch.backends.mha.set_fastpath_enabled(False)  # an operator of its own that the older exporter does not know

# What is committed: of each architecture one or two, together every kind of export, small enough for a repository.
COMMITTED = {
    "bert": ["sdpa-ts-opt", "eager-ts-int8", "eager-ts-opt-int8", "sdpa-dynamo23"],
    "distilbert": ["sdpa-ts-opt"],
    "roberta": ["sdpa-dynamo-ort"],
    "albert": ["eager-ts-opt"],
    "electra": ["eager-dynamo-ort"],
    "deberta-v2": ["eager-ts-opt-int8", "eager-dynamo-opt-fp16"],
    "mpnet": ["eager-ts-opt-fp16"],
    "t5": ["eager-ts-opt"],
    "bart": ["eager-ts-opt-fp16"],
    "whisper": ["sdpa-dynamo23-ort"],
    "gpt2": ["sdpa-dynamo-opt-int8"],
    "llama": ["sdpa-dynamo23-ort"],
    "nano-gpt": ["eager-ts", "sdpa-ts"],
    "bloom": ["eager-ts-opt-fp16"],
    "mamba": ["eager-dynamo-opt"],
    "vit": ["sdpa-dynamo23-ort"],
    "swin": ["eager-ts-ort"],
    "clip": ["eager-ts-opt-fp16"],
    "torch-transformer": ["eager-ts-opt"],
    "resnet": ["eager-ts-int8"],
    "convnext": ["eager-dynamo-opt-int8"],
    "efficientnet": ["eager-dynamo-ort"],
    "mobilenet-v3": ["eager-ts-opt-fp16"],
    "u-net": ["eager-ts-int8"],
    "yolo": ["eager-dynamo-ort"],
}


def mask_without_vmap(*args, **kwargs):
    return sdpa_mask_without_vmap(*args, **kwargs)


def eager_mask_without_vmap(*args, dtype=torch.float32, **kwargs):
    visible = sdpa_mask_without_vmap(*args, **{**kwargs, "allow_is_causal_skip": False})
    return torch.where(visible, torch.tensor(0.0, dtype=dtype), torch.finfo(dtype).min)


class Masks:
    """transformers' own masks without vmap: the TorchScript exporter cannot trace it, and torch.export loses a symbolic length in it."""

    def __enter__(self):
        self.before = {name: masking.ALL_MASK_ATTENTION_FUNCTIONS[name] for name in ("sdpa", "eager")}
        masking.ALL_MASK_ATTENTION_FUNCTIONS["sdpa"] = mask_without_vmap
        masking.ALL_MASK_ATTENTION_FUNCTIONS["eager"] = eager_mask_without_vmap

    def __exit__(self, *_):
        for name, function in self.before.items():
            masking.ALL_MASK_ATTENTION_FUNCTIONS[name] = function


class Answer(torch.nn.Module):
    """The model as a function of its inputs by name, giving its outputs in order."""

    def __init__(self, model, outputs):
        super().__init__()
        self.model, self.outputs = model, outputs

    def answer(self, **values):
        out = self.model(**values)
        return tuple(out[name] for name in self.outputs)


def answering(model, names, outputs):
    """torch.export wants the inputs' names in the signature of `forward`."""
    given = ", ".join(names)
    passed = ", ".join(f"{name}={name}" for name in names)
    forward = eval(f"lambda self, {given}: self.answer({passed})")
    return type("Answer", (Answer,), {"forward": forward})(model, outputs)


def axes_of(name, value):
    if value.is_floating_point():
        return {0: "batch"}
    return {0: "batch", 1: "targets" if name.startswith("decoder") else "sequence"}


def export(architecture, inputs, implementation, exporter, path):
    model = answering(build(architecture, implementation), list(inputs), architecture.outputs)
    values, names, outputs = tuple(inputs.values()), list(inputs), list(architecture.outputs)
    axes = {name: axes_of(name, value) for name, value in inputs.items()}
    with torch.no_grad(), Masks():
        if exporter == "ts":
            dynamic = {} if architecture.fixed else {**axes, **{name: {0: "batch"} for name in outputs}}
            torch.onnx.export(model, values, str(path), input_names=names, output_names=outputs, dynamic_axes=dynamic, opset_version=17,
                              dynamo=False)
        else:
            shapes = None if architecture.fixed else {name: {axis: torch.export.Dim.AUTO for axis in each} for name, each in axes.items()}
            program = torch.onnx.export(model, values, dynamo=True, input_names=names, output_names=outputs, dynamic_shapes=shapes,
                                        opset_version=23 if exporter == "dynamo23" else 18, verbose=False)
            program.save(str(path), external_data=False)


def head_count(architecture):
    return (HEADS, HIDDEN) if architecture.attention else (0, 0)


def optimized(architecture, source):
    heads, hidden = head_count(architecture)
    return optimize_model(str(source), model_type=architecture.optimizer, num_heads=heads, hidden_size=hidden, use_gpu=False)


def by_onnxruntime(source, target):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(target)
    options.log_severity_level = 4
    onnxruntime.InferenceSession(str(source), options, providers=["CPUExecutionProvider"])


def half(source, target):
    onnx.save(convert_float_to_float16(onnx.load(str(source)), keep_io_types=True), str(target))


def quantized(source, target):
    with tempfile.TemporaryDirectory() as folder:
        inner = Path(folder) / "model.onnx"
        model = onnx.load(str(source))
        # The quantiser takes shapes from the file, and dynamo's are not always those that its own inference finds.
        del model.graph.value_info[:]
        onnx.save(model, str(inner))
        # Weights uint8: integer convolutions take no others, and with int8 products overflow on processors without VNNI.
        quantize_dynamic(str(inner), str(target), weight_type=QuantType.QUInt8,
                         extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT})


def variants(architecture, base):
    """What is made from one export: name behind it, from which file, how."""
    yield "-opt", base, lambda source, target: optimized(architecture, source).save_model_to_file(str(target))
    yield "-ort", base, by_onnxruntime
    if base in ("eager-ts", f"{architecture.implementations[-1]}-dynamo"):
        yield "-fp16", base, half
        yield "-int8", base, quantized
        yield "-opt-fp16", f"{base}-opt", half
        yield "-opt-int8", f"{base}-opt", quantized


def packed(tensor):
    array = tensor.detach().cpu().numpy() if isinstance(tensor, torch.Tensor) else tensor
    array = array.astype(np.int64 if array.dtype.kind in "iu" else np.float32)
    return {"type": str(array.dtype), "dims": list(array.shape), "base64": base64.b64encode(array.tobytes()).decode()}


class Recorder:
    """Makes leaves of the embeddings that ids select from the model's table, so that they have a gradient."""

    def __init__(self, ids):
        self.ids, self.found = ids, {}

    def __enter__(self):
        self.plain = torch.nn.functional.embedding

        def embedding(given, weight, *args, **kwargs):
            out = self.plain(given, weight, *args, **kwargs)
            for name, ids in self.ids.items():
                if name not in self.found and given.data_ptr() == ids.data_ptr():
                    self.found[name] = out.detach().requires_grad_()
                    return self.found[name]
            return out

        torch.nn.functional.embedding = embedding
        return self

    def __exit__(self, *_):
        torch.nn.functional.embedding = self.plain


def rounded(x):
    """x as 8 bits hold it: with onnxruntime's scale and zero point for the whole tensor."""
    smallest, largest = np.float32(min(x.min().item(), 0)), np.float32(max(x.max().item(), 0))
    scale = np.float32((largest - smallest) / np.float32(255))
    if scale == 0:
        return x
    zero = int(np.clip(np.round(-smallest / scale), 0, 255))
    return (torch.clamp(torch.round(x / scale) + zero, 0, 255) - zero) * scale


def merge_normalizations(model):
    """Batch normalisation into the convolution before it, as exporters do."""
    for parent in list(model.modules()):
        children = list(parent.named_children())
        for (_, conv), (name, norm) in zip(children, children[1:]):
            if isinstance(conv, torch.nn.Conv2d) and isinstance(norm, torch.nn.BatchNorm2d):
                merged = torch.nn.utils.fusion.fuse_conv_bn_eval(conv, norm)
                conv.weight, conv.bias = merged.weight, merged.bias
                setattr(parent, name, torch.nn.Identity())


def quantized_model(architecture):
    """The model with products as dynamic quantisation does them, straight-through: rounding counts as the identity for gradients."""
    model = build(architecture, "eager")
    merge_normalizations(model)
    products = (torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.Linear, transformers.pytorch_utils.Conv1D)
    for module in model.modules():
        if isinstance(module, (*products, torch.nn.Embedding)):
            module.weight.data = rounded(module.weight.data)
        if isinstance(module, products):
            module.register_forward_pre_hook(lambda _module, given: (given[0] + (rounded(given[0]) - given[0]).detach(),))
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    return model


def attention_blocks(name, model, inputs):
    if name in ("torch-transformer", "nano-gpt"):
        return [(kind, sum(1 for other, _ in model.attentions[:at] if other == kind), probabilities)
                for at, (kind, probabilities) in enumerate(model.attentions)]
    if name == "swin":  # output_attentions has the last block of each stage only
        seen = []
        for module in model.modules():
            if type(module).__name__ == "SwinSelfAttention":
                module.register_forward_hook(lambda _module, _inputs, out: seen.append(out[1]))
        model(**inputs, output_attentions=True)
        return [("encoder", i, a) for i, a in enumerate(seen)]
    out = model(**inputs, output_attentions=True, return_dict=True)
    if name == "clip":
        return ([("encoder", i, a) for i, a in enumerate(out.vision_model_output.attentions)]
                + [("decoder", i, a) for i, a in enumerate(out.text_model_output.attentions)])
    if "decoder_attentions" in out:
        blocks = [("encoder", i, a) for i, a in enumerate(out.encoder_attentions)]
        for i, (own, cross) in enumerate(zip(out.decoder_attentions, out.cross_attentions)):
            blocks += [("decoder", i, own), ("cross", i, cross)]
        return blocks
    kind = "decoder" if ARCHITECTURES[name].kind == "decoder" else "encoder"
    return [(kind, i, a) for i, a in enumerate(out.attentions)]


def answers_of(name, architecture, inputs, model):
    fed = {key: value.clone().requires_grad_() if value.is_floating_point() else value for key, value in inputs.items()}
    with Recorder({key: value for key, value in fed.items() if key.endswith("input_ids")}) as recorder:
        out = model(**fed)
    points = {**{key: value for key, value in fed.items() if value.is_floating_point()}, **recorder.found}
    generator = torch.Generator().manual_seed(5)
    answers = []
    for output in architecture.outputs:
        seed = torch.randn(out[output].shape, generator=generator)
        gradients = torch.autograd.grad((out[output] * seed).sum(), list(points.values()), retain_graph=True)
        answers.append({"name": output, "value": packed(out[output]), "seed": packed(seed),
                        "gradients": {key: packed(gradient) for key, gradient in zip(points, gradients)}})
    blocks = attention_blocks(name, model, inputs) if architecture.attention else []
    return {"outputs": answers, "blocks": [{"kind": kind, "layer": layer, **packed(a)} for kind, layer, a in blocks]}


def reference(name, architecture, inputs):
    model = build(architecture, "eager")
    own = name == "torch-transformer"  # its products are not those of nn.Linear
    return {
        "architecture": name, "group": architecture.group, "note": architecture.note,
        "kvHeads": getattr(getattr(model, "config", None), "num_key_value_heads", None),
        "inputs": {key: packed(value) for key, value in inputs.items()},
        **answers_of(name, architecture, inputs, model),
        **({} if own else {"quantized": answers_of(name, architecture, inputs, quantized_model(architecture))}),
    }


def make(name, architecture, folder, again, bases):
    folder.mkdir(parents=True, exist_ok=True)
    inputs = inputs_of(architecture)
    (folder / "reference.json").write_text(json.dumps(reference(name, architecture, inputs)) + "\n")
    failures = {}

    def attempt(case, action):
        target = folder / f"{case}.onnx"
        if target.exists() and not again:
            return
        try:
            action(target)
            print(f"{name}/{case}: {target.stat().st_size / 1000:.0f} kB", flush=True)
        except BaseException as error:  # exporters raise anything
            if isinstance(error, KeyboardInterrupt):
                raise
            target.unlink(missing_ok=True)
            lines = [line.strip() for line in str(error).splitlines() if line.strip()]
            failures[case] = f"{type(error).__name__}: {(lines or [''])[0][:200]}"
            (folder / f"{case}.traceback").write_text(traceback.format_exc())
            print(f"{name}/{case}: {failures[case]}", flush=True)

    for implementation in architecture.implementations:
        for exporter in ("ts", "dynamo", "dynamo23") if implementation == "sdpa" else ("ts", "dynamo"):
            base = f"{implementation}-{exporter}"
            if bases and base not in bases:
                continue
            attempt(base, lambda target: export(architecture, inputs, implementation, exporter, target))
            if not (folder / f"{base}.onnx").exists():
                continue
            for suffix, source, action in variants(architecture, base):
                if (folder / f"{source}.onnx").exists():
                    attempt(f"{base}{suffix}", lambda target: action(folder / f"{source}.onnx", target))
    known = folder / "failures.json"
    before = {} if again or not known.exists() else json.loads(known.read_text())
    kept = {case: words for case, words in {**before, **failures}.items() if not (folder / f"{case}.onnx").exists()}
    known.write_text(json.dumps(kept, indent=1) + "\n")


def commit(cache, target):
    """Copies the committed files, without the exporter's records of Python source lines."""
    shutil.rmtree(target, ignore_errors=True)
    for name, cases in COMMITTED.items():
        (target / name).mkdir(parents=True)
        values = json.loads((cache / name / "reference.json").read_text())
        if not any(case.endswith("int8") for case in cases):
            values.pop("quantized", None)
        (target / name / "reference.json").write_text(json.dumps(values) + "\n")
        for case in cases:
            model = onnx.load(str(cache / name / f"{case}.onnx"))
            for node in [*model.graph.node, *(node for function in model.functions for node in function.node)]:
                node.doc_string = ""
                kept = [copy.deepcopy(entry) for entry in node.metadata_props if entry.key == "pkg.torch.onnx.name_scopes"]
                del node.metadata_props[:]
                node.metadata_props.extend(kept)
            for info in [*model.graph.value_info, *model.graph.input, *model.graph.output]:
                del info.metadata_props[:]
            onnx.save(model, str(target / name / f"{case}.onnx"))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("cache", type=Path)
    parser.add_argument("--only", default="")
    parser.add_argument("--bases", default="", help="of the exports before anything is done to them")
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--commit", type=Path)
    arguments = parser.parse_args()
    if arguments.commit:
        commit(arguments.cache, arguments.commit)
    else:
        chosen = [each for each in arguments.only.split(",") if each] or list(ARCHITECTURES)
        for chosen_name in chosen:
            try:
                make(chosen_name, ARCHITECTURES[chosen_name], arguments.cache / chosen_name, arguments.again,
                     [each for each in arguments.bases.split(",") if each])
            except Exception as error:
                traceback.print_exc()
                print(f"{chosen_name}: {type(error).__name__}: {error}", flush=True)
