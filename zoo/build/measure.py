"""Measures the committed models with onnxruntime and writes the numbers into the pages.

    python zoo/build/measure.py --zoo zoo

Each page holds a block between two marks; what stands there is written by this script
and by nothing else.
"""

import argparse
import hashlib
import json
from pathlib import Path

import numpy as np
import onnx
from PIL import Image
from sklearn.metrics import roc_auc_score
from tokenizers import Tokenizer

from onnx_files import session

BEGIN, END = "<!-- begin:measured -->", "<!-- end:measured -->"


def replace_block(page: Path, block: str) -> None:
    text = page.read_text(encoding="utf8")
    before, rest = text.split(BEGIN, 1)
    _, after = rest.split(END, 1)
    page.write_text(f"{before}{BEGIN}\n\n{block.strip()}\n\n{END}{after}", encoding="utf8")


def table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


# --- What the file is ----------------------------------------------------------------


def shape(value: onnx.ValueInfoProto) -> str:
    kind = onnx.TensorProto.DataType.Name(value.type.tensor_type.elem_type).lower()
    dims = ", ".join(dim.dim_param or str(dim.dim_value) for dim in value.type.tensor_type.shape.dim)
    return f"`{value.name}` {kind} [{dims}]"


def parameters(model: onnx.ModelProto) -> int:
    """How many numbers were learned; scalars and integers are constants of the arithmetic."""
    learned = [t for t in model.graph.initializer if t.dims and t.data_type == onnx.TensorProto.FLOAT]
    return sum(int(np.prod(tensor.dims)) for tensor in learned)


def facts(path: Path) -> dict:
    model = onnx.load(path)
    return {
        "bytes": path.stat().st_size,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "parameters": parameters(model),
        "nodes": len(model.graph.node),
        "opset": model.opset_import[0].version,
        "inputs": [shape(value) for value in model.graph.input],
        "outputs": [shape(value) for value in model.graph.output],
    }


def file_table(about: dict) -> str:
    return table(["The file", ""], [
        ["inputs", "; ".join(about["inputs"])],
        ["outputs", "; ".join(about["outputs"])],
        ["opset, nodes", f"{about['opset']}, {about['nodes']}"],
        ["parameters", f"{about['parameters']:,}"],
        ["size", f"{about['bytes']:,} bytes"],
        ["SHA-256", f"`{about['sha256']}`"],
    ])


# --- The text model ------------------------------------------------------------------


def spam_probabilities(folder: Path, texts: list[str]) -> np.ndarray:
    runtime = session(folder / "onnx" / "model.onnx")
    limit = json.loads((folder / "tokenizer_config.json").read_text())["model_max_length"]
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(limit)
    tokenizer.enable_padding(pad_id=0, pad_token="[PAD]")
    result = []
    for start in range(0, len(texts), 16):
        rows = tokenizer.encode_batch(texts[start : start + 16])
        feeds = {
            "input_ids": np.array([row.ids for row in rows], np.int64),
            "attention_mask": np.array([row.attention_mask for row in rows], np.int64),
            "token_type_ids": np.array([row.type_ids for row in rows], np.int64),
        }
        result.append(softmax(runtime.run(["logits"], feeds)[0])[:, 1])
    return np.concatenate(result)


def measure_text(folder: Path, about: dict) -> str:
    mails = json.loads((folder / "heldout.json").read_text(encoding="utf8"))
    sizes = json.loads((folder / "split.json").read_text())
    chance = spam_probabilities(folder, [mail["text"] for mail in mails])
    spam = np.array([mail["label"] == "spam" for mail in mails])
    said = chance > 0.5
    hits, alarms, missed = int((said & spam).sum()), int((said & ~spam).sum()), int((~said & spam).sum())
    precision, recall = hits / (hits + alarms), hits / (hits + missed)
    about["result"] = f"{(said == spam).mean():.1%} of {len(mails)} held-out mails right"
    groups = sorted({mail["id"].split("/")[0] for mail in mails})
    rows = []
    for group in groups:
        inside = np.array([mail["id"].startswith(f"{group}/") for mail in mails])
        rows.append([f"`{group}`", int(inside.sum()), f"{(said == spam)[inside].mean():.1%}"])
    scores = table([f"Held-out mails: {len(mails)}, of them spam: {int(spam.sum())}", ""], [
        ["accuracy", f"{(said == spam).mean():.2%}"],
        ["accuracy of always answering ham", f"{1 - spam.mean():.2%}"],
        ["precision for spam", f"{precision:.2%}"],
        ["recall for spam", f"{recall:.2%}"],
        ["F1 for spam", f"{2 * precision * recall / (precision + recall):.2%}"],
        ["area under the ROC curve", f"{roc_auc_score(spam, chance):.4f}"],
        ["ham called spam", alarms],
        ["spam called ham", missed],
    ])
    data = (f"Of {sizes['read']:,} mails with readable text, {sizes['withoutCopies']:,} are left without near copies: "
            f"{sizes['training']:,} to train on ({sizes['trainingSpam']:,} spam), {sizes['heldOut']:,} held out.")
    return "\n\n".join([data, scores, table(["Group of the corpus", "Held out", "Right"], rows), file_table(about)])


# --- The image model -----------------------------------------------------------------


def pixels(path: Path, settings: dict) -> np.ndarray:
    """One picture as preprocessor_config.json says: shorter side, crop, scale, normalise."""
    image = Image.open(path).convert("RGB")
    ratio = settings["size"]["shortest_edge"] / min(image.size)
    image = image.resize([round(side * ratio) for side in image.size], settings["resample"])
    height, width = settings["crop_size"]["height"], settings["crop_size"]["width"]
    left, top = (image.width - width) // 2, (image.height - height) // 2
    array = np.asarray(image.crop((left, top, left + width, top + height)), np.float32)
    array = (array * settings["rescale_factor"] - settings["image_mean"]) / settings["image_std"]
    return array.transpose(2, 0, 1)[None].astype(np.float32)


def measure_image(folder: Path, photographs: Path, about: dict) -> str:
    settings = json.loads((folder / "preprocessor_config.json").read_text())
    names = json.loads((folder / "config.json").read_text(encoding="utf8"))["id2label"]
    runtime = session(folder / "onnx" / "model.onnx")
    rows = []
    for path in sorted(photographs.glob("*.jpg")):
        (logits,) = runtime.run(["logits"], {"pixel_values": pixels(path, settings)})
        chance = softmax(logits[0])
        best = np.argsort(-chance)[:5]
        rows.append([f"`{path.name}`", ", ".join(f"{names[str(at)]} {chance[at]:.1%}" for at in best)])
    about["result"] = "top-5 answers on the photographs in its card"
    return "\n\n".join([table(["Photograph", "The five likeliest classes"], rows), file_table(about)])


# --- The zoo -------------------------------------------------------------------------


def models_table(models: dict[str, dict]) -> str:
    rows = [
        [f"[{name}]({name}/CARD.md)", about["task"], f"{about['parameters']:,}", f"{about['bytes']:,}", about["result"]]
        for name, about in models.items()
    ]
    return table(["Model", "Task", "Parameters", "Bytes", "Measured"], rows)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--zoo", type=Path, required=True)
    zoo: Path = arguments.parse_args().zoo
    text, image = zoo / "text-spam", zoo / "image-imagenet"
    models = {
        "text-spam": {"task": "text classification: ham, spam", **facts(text / "onnx" / "model.onnx")},
        "image-imagenet": {"task": "image classification: 1,000 classes", **facts(image / "onnx" / "model.onnx")},
    }
    replace_block(text / "CARD.md", measure_text(text, models["text-spam"]))
    replace_block(image / "CARD.md", measure_image(image, zoo / "photographs", models["image-imagenet"]))
    replace_block(zoo / "README.md", models_table(models))


if __name__ == "__main__":
    main()
