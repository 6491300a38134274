"""Makes the tiny tokenizers of test/inputs/fixtures and what the Rust `tokenizers` package says of some texts.

Needs Python with tokenizers 0.22. Run from the repository root: python reference/inputs/tokenizers_reference.py
"""
import json
import pathlib

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

OUT = pathlib.Path("test/inputs/fixtures")
CORPUS = [
    "the movie was great, the the actors were great too",
    "tokenization of words: token, tokens, tokenizer; a naive cafe in Paris",
    "hello world, hello there! 你好世界 你好 it's 12 o'clock and 345 more",
    "ΟΔΟΣ street, odos. Résumé, café, façade, naïve, Ångström",
    "I liked the film, I disliked the ending. don't stop",
] * 4

TEXTS = [
    "Hello world, hello there!",
    "  the   movie\twas\n\ngreat  ",
    "naïve café, Résumé, Ångström",
    "cafe\u0301 nai\u0308ve e\u0301\u0301",
    "你好世界, 中文 and English混合",
    "😀 great 👩‍👩‍👧‍👦 family 👍🏽!",
    "the the the tokens tokenization",
    "ΟΔΟΣ street",
    "don't I'd o'clock's",
    "ﬁne ｆｕｌｌ ① ﷺ Ⅷ",
    "zzqqxx ✓ unknown §",
    "𠀀a b",
    "a\u200bb \u00a0c \u3000d",
    "12345 + 67 = $890",
    "x[SEP]y </s> z",
]
PAIRS = [["Hello there!", "the movie was great"], ["你好", "café 😀"]]


def wordpiece():
    t = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    t.normalizer = normalizers.BertNormalizer(lowercase=True)
    t.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    t.decoder = decoders.WordPiece()
    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    t.train_from_iterator(CORPUS, trainers.WordPieceTrainer(vocab_size=160, special_tokens=specials, show_progress=False))
    t.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return t, {"model_max_length": 32, "pad_token": "[PAD]", "mask_token": "[MASK]", "unk_token": "[UNK]"}


def bytelevel():
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    t.decoder = decoders.ByteLevel()
    specials = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    t.train_from_iterator(
        CORPUS,
        trainers.BpeTrainer(
            vocab_size=330,
            special_tokens=specials,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    t.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    return t, {"model_max_length": 64, "pad_token": "<pad>", "mask_token": {"content": "<mask>"}, "unk_token": "<unk>"}


def unigram():
    t = Tokenizer(models.Unigram())
    t.normalizer = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.Replace(__import__("tokenizers").Regex(" {2,}"), " ")]
    )
    t.pre_tokenizer = pre_tokenizers.Metaspace()
    t.decoder = decoders.Metaspace()
    specials = ["<pad>", "</s>", "<unk>"]
    t.train_from_iterator(
        CORPUS, trainers.UnigramTrainer(vocab_size=120, special_tokens=specials, unk_token="<unk>", show_progress=False)
    )
    t.post_processor = processors.TemplateProcessing(
        single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", 1)]
    )
    return t, {"model_max_length": 64, "pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}


def sentencepiece_bpe():
    """Llama's layout: no pre-tokenizer, a normaliser that writes the spaces, bytes for unknown characters."""
    t = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    t.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    t.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    specials = ["<unk>", "<s>", "</s>"] + [f"<0x{byte:02X}>" for byte in range(256)]
    words = [word for line in CORPUS[:5] for word in line.split(" ") if word.isascii()]
    t.train_from_iterator(words, trainers.BpeTrainer(vocab_size=400, special_tokens=specials, show_progress=False))
    data = json.loads(t.to_str())
    data["added_tokens"] = [token for token in data["added_tokens"] if token["id"] < 3]
    t = Tokenizer.from_str(json.dumps(data))
    t.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s>:1 $B:1", special_tokens=[("<s>", 1)]
    )
    return t, {"model_max_length": 1e30, "unk_token": "<unk>", "bos_token": "<s>"}


def clip_bpe():
    """CLIP's layout: NFC, whitespace, lower case, a split by regex, bytes, and </w> at the end of words."""
    from tokenizers import Regex

    t = Tokenizer(models.BPE(unk_token="<|endoftext|>", end_of_word_suffix="</w>", fuse_unk=False))
    t.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    t.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"), "removed", True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    t.decoder = decoders.ByteLevel()
    t.train_from_iterator(
        CORPUS,
        trainers.BpeTrainer(
            vocab_size=700,
            special_tokens=["<|startoftext|>", "<|endoftext|>"],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            end_of_word_suffix="</w>",
            show_progress=False,
        ),
    )
    t.post_processor = processors.RobertaProcessing(("<|endoftext|>", 1), ("<|startoftext|>", 0))
    return t, {"model_max_length": 77, "pad_token": "<|endoftext|>", "unk_token": "<|endoftext|>"}


def describe(tokenizer, text, pair=None):
    e = tokenizer.encode(text, pair) if pair is not None else tokenizer.encode(text)
    return {
        "text": text,
        **({"pair": pair} if pair is not None else {}),
        "ids": e.ids,
        "tokens": e.tokens,
        "types": e.type_ids,
        # Rust counts code points; sequence is null for special tokens.
        "offsets": e.offsets,
        "sequences": e.sequence_ids,
    }


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    for name, make in {
        "wordpiece": wordpiece,
        "bytelevel": bytelevel,
        "unigram": unigram,
        "sentencepiece-bpe": sentencepiece_bpe,
        "clip-bpe": clip_bpe,
    }.items():
        tokenizer, config = make()
        reference = [describe(tokenizer, text) for text in TEXTS] + [describe(tokenizer, a, b) for a, b in PAIRS]
        document = {"tokenizer": json.loads(tokenizer.to_str()), "config": config, "reference": reference}
        path = OUT / f"{name}.json"
        path.write_text(json.dumps(document, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")
        print(path, path.stat().st_size)


main()
