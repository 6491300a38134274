"""Reads the SpamAssassin mails as text a person would read, and splits them fairly.

A mail of this corpus gives its label away in ways that have nothing to do with spam:
which mailing list carried it, which trap received it, whether somebody replied. All of
that is taken out here, so that a model (and an explanation of it) has to look at what
the mail says.
"""

import email
import hashlib
import html
import html.parser
import json
import random
import re
from collections import defaultdict
from dataclasses import dataclass
from email.header import decode_header
from email.message import Message
from pathlib import Path

# More than the model's longest input needs, so that nothing it could read is lost.
CHARACTERS = 1500
HELD_OUT = 800


@dataclass(frozen=True)
class Mail:
    id: str
    label: str
    subject: str
    text: str


# --- From a message to text ---------------------------------------------------------


class _Text(html.parser.HTMLParser):
    """What of an HTML page is shown: no tags, scripts, styles or comments."""

    HIDDEN = {"script", "style", "head", "title"}
    INLINE = {"a", "b", "i", "u", "em", "strong", "font", "span", "big", "small", "tt", "sup", "sub"}

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []
        self.hidden: str | None = None

    def handle_starttag(self, tag, attributes):
        if tag in self.HIDDEN and self.hidden is None:
            self.hidden = tag
        # A page without </head> must not hide its body.
        if tag == "body":
            self.hidden = None
        if tag not in self.INLINE:
            self.pieces.append("\n")

    def handle_endtag(self, tag):
        if tag == self.hidden:
            self.hidden = None
        if tag not in self.INLINE:
            self.pieces.append("\n")

    def handle_data(self, data):
        if self.hidden is None:
            self.pieces.append(data)


def _strip_html(page: str) -> str:
    reader = _Text()
    try:
        reader.feed(page)
        reader.close()
    except AssertionError:
        # The standard parser gives up on some broken declarations; what was read so far stays.
        pass
    return "".join(reader.pieces)


def _content(part: Message) -> str:
    if str(part.get("Content-Transfer-Encoding", "")).strip().lower() in ("base64", "quoted-printable"):
        content = part.get_payload(decode=True) or b""
        try:
            return content.decode(part.get_content_charset("latin-1"), errors="replace")
        except LookupError:
            return content.decode("latin-1")
    payload = part.get_payload()
    return payload if isinstance(payload, str) else ""


def _body(message: Message) -> str:
    parts = [part for part in message.walk() if not part.is_multipart() and not part.get_filename()]
    plain = "\n".join(_content(part) for part in parts if part.get_content_type() == "text/plain")
    pages = "\n".join(_content(part) for part in parts if part.get_content_type() == "text/html")
    # Some senders label a page as plain text.
    if re.search(r"<(html|body|table|font|p|br)\b", plain, re.I):
        plain = _strip_html(plain)
    return plain if plain.strip() else _strip_html(pages)


def _subject(message: Message) -> str:
    raw = re.sub(r"\s+", " ", str(message.get("Subject", "")))
    try:
        words = decode_header(raw)
        text = "".join(w if isinstance(w, str) else w.decode(c or "latin-1", "replace") for w, c in words)
    except (LookupError, ValueError, email.errors.HeaderParseError):
        text = raw
    # A list's tag and a reply's mark, in any order and number: they say who carried it.
    return re.sub(r"^(\s*(re|fwd?|aw)(\[\d+\])?\s*:|\s*\[[^\]]{1,40}\])+", "", text, flags=re.I).strip()


# From here to the end of a mail: signatures and the footers of lists.
_FOOTER = re.compile(
    r"^(-- ?|-- Irish Linux.*|Irish Linux Users' Group.*|To unsubscribe from this (group|list).*|"
    r"-{5,} ?BEGIN PGP SIGNATURE.*|This sf\.net (e-?mail|list) is sponsored.*|.*mailman/listinfo.*)$",
    re.I | re.M,
)
# The same, but only after some text: senders of spam open with such lines for show.
_RULE = re.compile(r"^(_{20,}|-{20,}\s*|-{3,} ?Original Message.*|-+~-->|.*Yahoo! Groups Sponsor.*)$", re.I | re.M)
RULE_AFTER = 200
# Lines that aren't the sender's own: what is replied to, and headers repeated in the body.
_LINES = re.compile(
    r"^(\s*[\w)]{0,3}\s?[>|}].*|.{0,120}\b(wrote|writes|said|quoted|mentioned|schrieb)\s*:\s*|"
    r"On .{4,80}\n?.{0,80}(wrote|mentioned):\s*|(URL|Date|From|To|Cc|Sent|Subject|Hash|Version|Forwarded-by):.*|"
    r"-+BEGIN PGP.*|\s*[-=_*~#+]{5,}\s*)$",
    re.I | re.M,
)
_ADDRESS = re.compile(r"[\w.+*-]+@[\w-]+(\.[\w-]+)*")
_LINK = re.compile(r"\b(?:https?|ftp)://(?:[^\s/@]*@)?([\w.-]+)[^\s<>\")]*", re.I)
_TELEPHONE = re.compile(r"(?<![\w.,$/:])(?!\d{4}-\d\d-\d\d)\+?\(?\d[\d ().-]{7,16}\d(?![\w,])")


def clean(body: str) -> str:
    """The sender's own words; addresses and telephone numbers of persons by stand-ins."""
    body = body.replace("\r", "")
    # Quoted-printable that its header didn't announce.
    body = re.sub(r"=[ \t]*\n", "", body).replace("=20", " ").replace("=3D", "=")
    body = html.unescape(body)
    for end in (_FOOTER.search(body), _RULE.search(body, min(len(body), RULE_AFTER))):
        if end and end.start() < len(body):
            body = body[: end.start()]
    body = _LINES.sub("", body)
    body = _LINK.sub(lambda link: f"http://{link[1].lower()}", body)
    body = _ADDRESS.sub("name@example.com", body)
    body = _TELEPHONE.sub("555-0100", body)
    return re.sub(r"\s+", " ", body).strip()


def _read(path: Path) -> Mail | None:
    """The mail of one file, or None where there's nothing to read."""
    record = json.loads(path.read_text(encoding="utf8"))
    message = email.message_from_string(record["text"])
    subject = _ADDRESS.sub("name@example.com", _subject(message))
    text = f"{subject}\n{clean(_body(message))}"[:CHARACTERS].strip()
    # The corpus was decoded as UTF-8; mails in other encodings arrive as replacement marks,
    # which would give their (nearly always spam) label away.
    broken = text.count("\ufffd") > 0.01 * len(text)
    letters = sum(character.isalpha() for character in text)
    if broken or letters < 40:
        return None
    text = text.replace("\ufffd", "")
    label = "ham" if "ham" in record["group"] else "spam"
    return Mail(f"{record['group']}/{record['id']}", label, subject, text)


def read_mails(folder: Path) -> list[Mail]:
    paths = sorted(folder.glob("*-[12]/*.json"))
    return [mail for mail in map(_read, paths) if mail]


# --- Near duplicates and the split --------------------------------------------------


def _shingles(text: str) -> set[int]:
    """Hashes of each three words in a row, digits and punctuation left out: they vary in copies."""
    words = re.findall(r"[a-z]+", text.lower())
    rows = {" ".join(words[at : at + 3]) for at in range(max(1, len(words) - 2))}
    return {int.from_bytes(hashlib.blake2b(row.encode(), digest_size=8).digest()) for row in rows}


class _Groups:
    """Disjoint sets over mail numbers."""

    def __init__(self, count: int):
        self.parents = list(range(count))

    def find(self, at: int) -> int:
        while self.parents[at] != at:
            self.parents[at] = self.parents[self.parents[at]]
            at = self.parents[at]
        return at

    def join(self, one: int, other: int) -> None:
        # The smaller number leads, so the result doesn't depend on the order of joining.
        low, high = sorted((self.find(one), self.find(other)))
        self.parents[high] = low


def _near_duplicates(mails: list[Mail], share: float = 0.4) -> _Groups:
    """Mails whose shingles overlap by at least `share` (Jaccard), in the same group."""
    shingles = [_shingles(mail.text) for mail in mails]
    holders: dict[int, list[int]] = defaultdict(list)
    for at, rows in enumerate(shingles):
        for row in rows:
            holders[row].append(at)
    common: dict[tuple[int, int], int] = defaultdict(int)
    for mails_with in holders.values():
        # A phrase in very many mails ("click here to") says nothing about copies.
        if len(mails_with) <= 60:
            for first, one in enumerate(mails_with):
                for other in mails_with[first + 1 :]:
                    common[one, other] += 1
    groups = _Groups(len(mails))
    for (one, other), shared in common.items():
        if shared >= share * (len(shingles[one]) + len(shingles[other]) - shared):
            groups.join(one, other)
    return groups


def without_copies(mails: list[Mail]) -> list[Mail]:
    groups = _near_duplicates(mails)
    return [mail for at, mail in enumerate(mails) if groups.find(at) == at]


def split(mails: list[Mail], seed: int) -> tuple[list[Mail], list[Mail]]:
    """(training, held out). A whole conversation (one subject) falls on one side.

    Mails that still resemble each other a little do too: a template's other instance
    in the training set would make the held-out one easy.
    """
    groups = _near_duplicates(mails, share=0.2)
    by_subject: dict[str, int] = {}
    for at, mail in enumerate(mails):
        key = re.sub(r"[^a-z]+", " ", mail.subject.lower()).strip()
        if key:
            groups.join(by_subject.setdefault(key, at), at)
    members: dict[int, list[Mail]] = defaultdict(list)
    for at, mail in enumerate(mails):
        members[groups.find(at)].append(mail)
    order = sorted(members)
    random.Random(seed).shuffle(order)
    training, held_out = [], []
    for leader in order:
        (held_out if len(held_out) < HELD_OUT else training).extend(members[leader])
    return training, held_out
