"""Normal forms of place names, as fixed-width matrices of ASCII bytes.

`ascii_names` folds a name to words of [a-z0-9]; `letters` lays the words
of all names into one byte matrix, and `skeletons` reduces that matrix to
classes of consonants, so that Köln, Kyoln and kwlwn come close to each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]

# Letters that Unicode does not decompose.
LETTERS = {
    "ß": "ss", "ı": "i", "ł": "l", "ø": "o", "æ": "ae", "œ": "oe", "đ": "d", "ð": "d",
    "þ": "th", "ħ": "h", "ŋ": "n", "ə": "a", "ǝ": "a", "ɔ": "o", "ɛ": "e", "ƶ": "z",
    "ɣ": "g", "ƣ": "g", "ɵ": "o", "ɲ": "n", "ʊ": "u", "ɩ": "i", "ɪ": "i",
}  # fmt: skip

# Classes of consonants; the letters missing here are dropped.
CLASSES = {"P": "bpfv", "K": "kgqc", "S": "szx", "T": "td", "L": "lr", "N": "nm"}


def ascii_names(name: pl.Expr) -> pl.Expr:
    """Fold a name to lower-case ASCII words with single spaces between them."""
    plain = name.str.normalize("NFKD").str.replace_all(r"\p{M}+", "").str.to_lowercase()
    plain = plain.str.replace_many(list(LETTERS), list(LETTERS.values()))
    plain = plain.str.replace_all(r"['`’‘ʼ]", "")
    return plain.str.replace_all(r"[^a-z0-9]+", " ").str.strip_chars(" ")


def letters(names: pl.Series, width: int) -> Bytes:
    """The first `width` bytes of every ASCII string, padded with zeros."""
    array = names.rechunk().to_arrow(compat_level=pl.CompatLevel.oldest())
    kind: Any = np.int64 if str(array.type).startswith("large") else np.int32
    _, offset_buffer, data_buffer = array.buffers()
    offsets = np.frombuffer(offset_buffer, kind).astype(np.int64)
    offsets = offsets[array.offset : array.offset + len(array) + 1]
    # One byte more, so that there is one to point at where all strings are empty.
    data = np.append(np.frombuffer(data_buffer or b"", np.uint8), np.uint8(0))
    at = offsets[:-1, None] + np.arange(width)
    inside = at < offsets[1:, None]
    return np.where(inside, data[np.minimum(at, len(data) - 1)], 0).astype(np.uint8)


def squeeze(matrix: Bytes, keep: NDArray[np.bool_], width: int) -> Bytes:
    """Move the kept bytes of every row to its left end."""
    place = np.cumsum(keep, axis=1) - 1
    row, column = np.nonzero(keep & (place < width))
    out = np.zeros((len(matrix), width), np.uint8)
    out[row, place[row, column]] = matrix[row, column]
    return out


def skeletons(matrix: Bytes, width: int) -> Bytes:
    """Consonant classes of every row, without vowels and without doubles."""
    table = np.zeros(256, np.uint8)
    for name, members in CLASSES.items():
        table[list(members.encode())] = ord(name)
    table[ord("0") : ord("9") + 1] = np.arange(ord("0"), ord("9") + 1)
    classes = table[matrix]
    following = np.zeros_like(matrix)
    following[:, :-1] = matrix[:, 1:]
    soft = (matrix == ord("c")) & np.isin(following, list(b"eihyz"))
    classes[soft] = ord("S")
    bare = squeeze(classes, classes > 0, width + 4)
    keep = bare > 0
    keep[:, 1:] &= bare[:, 1:] != bare[:, :-1]
    return squeeze(bare, keep, width)


def skeleton_strings(ascii_name: pl.Series) -> pl.Series:
    """Skeletons as strings, for string similarities."""
    plain = letters(ascii_name.str.replace_all(" ", "", literal=True), LETTER_WIDTH)
    bare = skeletons(plain, SKELETON_WIDTH)
    fixed = np.ascontiguousarray(bare).view(f"S{SKELETON_WIDTH}").ravel()
    return pl.Series("skeleton", pa.array(fixed).cast(pa.string()))


@dataclass(frozen=True, slots=True)
class Kind:
    """Grams of `size` bytes of one normal form; keys on more than `cap` names are dropped."""

    form: str
    size: int
    cap: int
    weight: float


KINDS = (
    Kind("letters", 3, 250, 1.0),
    Kind("skeleton", 3, 250, 1.0),
    Kind("letters", 2, 100, 0.6),
    Kind("skeleton", 2, 100, 0.6),
)
LETTER_WIDTH = 24
SKELETON_WIDTH = 12
# A key is region | kind (2 bits) | gram (24 bits); with a row of 24 bits it still fits 64 bits.
KIND_SHIFT = np.uint64(24)
REGION_SHIFT = np.uint64(26)
ROW_SHIFT = np.uint64(24)


def framed(matrix: Bytes) -> Bytes:
    """Put ^ before and $ behind every row, so that grams know the ends of a name."""
    rows, width = matrix.shape
    out = np.zeros((rows, width + 2), np.uint8)
    out[:, 0] = ord("^")
    out[:, 1:-1] = matrix
    out[np.arange(rows), np.count_nonzero(matrix, axis=1) + 1] = ord("$")
    return out


def grams(matrix: Bytes, size: int) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """All runs of `size` bytes, packed into integers, and the rows they are from."""
    span = matrix.shape[1] - size + 1
    packed = np.zeros((len(matrix), span), np.uint64)
    for shift in range(size):
        packed = (packed << np.uint64(8)) | matrix[:, shift : shift + span]
    row, column = np.nonzero(matrix[:, size - 1 :])
    return packed[row, column], row


def gram_keys(ascii_name: pl.Series, region: NDArray[np.integer]) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Distinct (key, row) of all names, sorted by key; a key is of one region and one kind."""
    plain = letters(ascii_name.str.replace_all(" ", "", literal=True), LETTER_WIDTH)
    forms = {"letters": framed(plain), "skeleton": framed(skeletons(plain, SKELETON_WIDTH))}
    base = region.astype(np.uint64) << REGION_SHIFT
    found = []
    for number, kind in enumerate(KINDS):
        packed, row = grams(forms[kind.form], kind.size)
        key = packed | base[row] | (np.uint64(number) << KIND_SHIFT)
        found.append((key << ROW_SHIFT) | row.astype(np.uint64))
    both = np.concatenate(found)
    both.sort()
    both = both[np.r_[True, both[1:] != both[:-1]]]
    return both >> ROW_SHIFT, (both & np.uint64((1 << 24) - 1)).astype(np.int64)


def kind_of(key: NDArray[np.uint64]) -> NDArray[np.int64]:
    """The number of the kind in `KINDS` a key is of."""
    return ((key >> KIND_SHIFT) & np.uint64(3)).astype(np.int64)


def region_of(key: NDArray[np.uint64]) -> NDArray[np.int64]:
    """The region a key is of."""
    return (key >> REGION_SHIFT).astype(np.int64)
