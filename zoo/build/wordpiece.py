"""Cuts a WordPiece tokenizer down to the pieces a corpus uses."""

import json
import unicodedata
from collections import Counter
from pathlib import Path

from tokenizers import Tokenizer

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def _is_letter_of_last_resort(piece: str) -> bool:
    """A single character of European writing or punctuation, as a word's start or inside it.

    With these any word in such writing still has pieces, whatever else is dropped. Pieces
    of other scripts would be rows the training mails never touch: [UNK] is more honest.
    """
    character = piece.removeprefix("##")
    return len(character) == 1 and (ord(character) < 0x250 or unicodedata.category(character)[0] in "PS")


def choose_pieces(tokenizer: Tokenizer, texts: list[str], size: int) -> list[str]:
    """At most `size` pieces in the order of their old ids: special, single characters, most used."""
    vocabulary = tokenizer.get_vocab()
    kept = set(SPECIAL) | set(filter(_is_letter_of_last_resort, vocabulary))
    counts = Counter(piece for text in texts for piece in tokenizer.encode(text).tokens)
    # Ties fall to the smaller old id, which is the commoner piece in general English.
    ranked = sorted(counts, key=lambda piece: (-counts[piece], vocabulary[piece]))
    for piece in ranked:
        if len(kept) >= size:
            break
        kept.add(piece)
    return sorted(kept, key=vocabulary.__getitem__)


def write_pruned(source: Path, target: Path, pieces: list[str], length: int) -> None:
    """tokenizer.json with only `pieces`, renumbered, and the small files that belong to it."""
    data = json.loads(source.read_text(encoding="utf8"))
    numbers = {piece: number for number, piece in enumerate(pieces)}
    data["model"]["vocab"] = numbers
    data["added_tokens"] = [
        {**token, "id": numbers[token["content"]]} for token in data["added_tokens"] if token["content"] in numbers
    ]
    for piece, token in data["post_processor"]["special_tokens"].items():
        token["ids"] = [numbers[piece]]
    # How long and how padded an input is, is the caller's choice.
    data["truncation"] = data["padding"] = None
    target.mkdir(parents=True, exist_ok=True)
    _write(target / "tokenizer.json", data)
    names = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), SPECIAL))
    _write(target / "special_tokens_map.json", names)
    _write(target / "tokenizer_config.json", {
        "tokenizer_class": "BertTokenizer",
        "do_lower_case": True,
        "strip_accents": None,
        "tokenize_chinese_chars": True,
        "model_max_length": length,
        "clean_up_tokenization_spaces": True,
        **names,
    })


def _write(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf8")
