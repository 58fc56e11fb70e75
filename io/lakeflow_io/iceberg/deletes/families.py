"""Equality deletes of many data files -> the few sets of delete files that are put together once."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lakeflow_io.iceberg.deletes.file import DeleteFile
    from lakeflow_io.iceberg.plan import Piece

__all__ = ["Family", "families_of"]

Family: TypeAlias = "tuple[DeleteFile, ...]"
"""Delete files that compare the same columns, those with lower sequence numbers first."""


def families_of(pieces: Iterable[Piece]) -> dict[tuple[DeleteFile, ...], list[tuple[int, Family, int]]]:
    """The families that data files need, by all their deletes.

    What applies to a file are the newest ones of a family, from some sequence number on: the file of a
    younger commit needs a part of what an older one needs.

    Args:
        pieces: With deletes, ordered as the index gives them.

    Returns:
        Of each combination of deletes: its families, numbered, and the lowest sequence number that applies.
    """
    found: dict[tuple[DeleteFile, ...], list[Family]] = {}
    longest: dict[tuple[tuple[int, ...], tuple[str, int]], Family] = {}
    for deletes in dict.fromkeys(piece.deletes for piece in pieces):
        by_ids: dict[tuple[int, ...], list[DeleteFile]] = {}
        for delete in deletes:
            if delete.kind == "equality":
                by_ids.setdefault(delete.equality_ids, []).append(delete)
        found[deletes] = [tuple(own) for own in by_ids.values()]
        for own in found[deletes]:
            key = own[0].equality_ids, own[-1].name
            if len(own) > len(longest.get(key, ())):
                longest[key] = own
    numbers: dict[Family, int] = {}
    made: dict[tuple[DeleteFile, ...], list[tuple[int, Family, int]]] = {}
    for deletes, parts in found.items():
        made[deletes] = []
        for own in parts:
            family = _whole(own, longest[own[0].equality_ids, own[-1].name])
            made[deletes].append((numbers.setdefault(family, len(numbers)), family, own[0].sequence))
    return made


def _whole(own: Family, family: Family) -> Family:
    """The family, if all it has besides is older than what applies here; else what applies is one by itself."""
    rest = len(family) - len(own)
    is_end = own == family[rest:] and (rest == 0 or family[rest - 1].sequence < own[0].sequence)
    return family if is_end else own
