"""Checks that stop a publish: what a new version must be, alone and beside the one that it would replace.

A check is any callable that takes two versions, the new one and the current one (None where nothing was
published), both open for reading. It returns None, or what is wrong; raising an exception is the same.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lakeflow_io.errors import CheckFailedError, InputError, SchemaError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from lakeflow.cache.reading.version import OpenVersion

__all__ = ["Check", "checked", "drift_from_previous", "max_null", "min_rows", "run_checks", "shown"]

Check: TypeAlias = "Callable[[OpenVersion, OpenVersion | None], str | None]"


def min_rows(limit: int) -> Check:
    """Return a check that a version has at least `limit` rows.

    Raises:
        InputError: the limit is no number.
    """
    if not isinstance(limit, (int, float)):
        raise InputError(f"min_rows({limit!r}): the limit is a number of rows.", "give one, such as 1000.")

    def check(new: OpenVersion, previous: OpenVersion | None) -> str | None:
        del previous
        return None if new.rows >= limit else f"there are {new.rows:,} rows; the limit is {limit:,}"

    return _Named(f"min_rows({limit!r})", check)


def max_null(column: str, limit: float) -> Check:
    """Return a check that a column is missing in few rows.

    Args:
        column: Any column; in one of floats NaN counts as missing, since pandas and numpy write it so.
        limit: The share of rows, 0 to 1, up to which it may be.

    Raises:
        InputError: the limit is no share.
    """
    if not 0 <= limit <= 1:
        raise InputError(
            f"max_null({column!r}, {limit!r}): the limit is a share of rows.", "give 0.01 for one percent."
        )

    def check(new: OpenVersion, previous: OpenVersion | None) -> str | None:
        del previous
        missing = sum(_missing(batch.column(0)) for batch in new.batches([column]))
        share = missing / max(new.rows, 1)
        if share <= limit:
            return None
        seen = f"{missing:,} of {new.rows:,} rows, a share of {share:.4g}"
        return f"column {column!r} is missing in {seen}; the limit is {limit:g}"

    return _Named(f"max_null({column!r}, {limit!r})", check)


def drift_from_previous(column: str, limit: float) -> Check:
    """Return a check that the mean of a column is about where it was.

    The drift is the standardised difference of the means: their distance over the root of the mean of
    both variances. 0.1 is commonly taken for negligible: Austin, "Balance diagnostics for comparing the
    distribution of baseline covariates", Statistics in Medicine 28, 2009. Nulls and NaN are left out. A
    first version passes, and so does one whose previous version has no value of the column.

    Args:
        column: Of integers, floats, decimals or booleans.
        limit: The drift up to which a version is published, at least 0.

    Raises:
        InputError: the limit is negative or no number.
    """
    if not limit >= 0:
        raise InputError(f"drift_from_previous({column!r}, {limit!r}): the limit is at least 0.")

    def check(new: OpenVersion, previous: OpenVersion | None) -> str | None:
        if previous is None or column not in previous.schema.names:
            return None
        before, now = _moments(previous, column), _moments(new, column)
        if not before.count:
            return None
        if not now.count:
            return f"column {column!r} has no value left; its mean was {before.mean:.6g}"
        drift = _standardised(before, now)
        if drift <= limit:
            return None
        means = f"the mean {now.mean:.6g}, which was {before.mean:.6g}"
        return f"column {column!r} has {means}: a drift of {drift:.4g}; the limit is {limit:g}"

    return _Named(f"drift_from_previous({column!r}, {limit!r})", check)


def checked(checks: Iterable[Check]) -> tuple[Check, ...]:
    """Return checks as they can be run more than once.

    Raises:
        InputError: they are no list of callables.
    """
    listed = tuple(checks) if isinstance(checks, Iterable) else None
    if listed is None or not all(map(callable, listed)):
        raise InputError(f"checks={checks!r} is no list of checks.", "give one, such as [min_rows(1000)].")
    return listed


def run_checks(checks: Sequence[Check], new: OpenVersion, previous: OpenVersion | None) -> None:
    """Run all checks.

    Raises:
        CheckFailedError: names each that failed, and what it says.
        InputError: a check returned what is no message.
    """
    failures: list[str] = []
    cause: Exception | None = None
    for check in checks:
        name = shown(check)
        try:
            said: object = check(new, previous)
        except Exception as error:  # noqa: BLE001  (a check of the caller's may raise anything to say no)
            said = str(getattr(error, "message", error)) or type(error).__name__
            cause = cause or error
        if said is not None and not (isinstance(said, str) and said):
            message = f"Check {name} returned {said!r}."
            raise InputError(message, "return None where all is well, else say what is wrong.")
        if said:
            failures.append(f"{name}: {said}")
    if failures:
        message = (
            f"{len(failures)} of {len(checks)} checks failed, so nothing was published. "
            + "; ".join(failures).rstrip(".")
            + "."
        )
        stays = f"version {previous.id} stays current; " if previous else ""
        raise CheckFailedError(message, f"{stays}mend the data, or change the limit.") from cause


def shown(check: Check) -> str:
    """Return what a check is called."""
    return repr(check) if isinstance(check, _Named) else str(getattr(check, "__name__", repr(check)))


@dataclass(frozen=True, slots=True)
class _Named:
    """A check that is shown as it was made."""

    shown: str
    check: Check

    def __call__(self, new: OpenVersion, previous: OpenVersion | None) -> str | None:
        return self.check(new, previous)

    def __repr__(self) -> str:
        return self.shown


@dataclass(frozen=True, slots=True)
class _Moments:
    """Count, mean and sum of squared distances from the mean of a column's values."""

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0

    @property
    def variance(self) -> float:
        return self.squares / self.count

    def with_values(self, values: NDArray[np.float64]) -> _Moments:
        """Add values; Chan, Golub, LeVeque, "Updating formulae and a pairwise algorithm", 1979."""
        if not len(values):
            return self
        with np.errstate(invalid="ignore"):  # infinities: the mean is one or NaN, and the drift fails every limit
            mean = float(values.mean())
            squares = float(np.square(values - mean).sum())
        count = self.count + len(values)
        apart = mean - self.mean
        return _Moments(
            count,
            self.mean + apart * len(values) / count,
            self.squares + squares + apart * apart * self.count * len(values) / count,
        )


def _moments(version: OpenVersion, column: str) -> _Moments:
    moments = _Moments()
    for batch in version.batches([column]):
        moments = moments.with_values(_numbers(column, batch.column(0)))
    return moments


def _numbers(name: str, column: pa.Array) -> NDArray[np.float64]:
    kind, types = column.type, pa.types
    if not any(test(kind) for test in (types.is_integer, types.is_floating, types.is_decimal, types.is_boolean)):
        raise SchemaError(f"column {name!r} is {kind}, of which there is no mean")
    numbers: NDArray[np.float64] = column.drop_null().cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    return numbers[~np.isnan(numbers)]


def _standardised(before: _Moments, now: _Moments) -> float:
    distance = abs(now.mean - before.mean)
    spread = math.sqrt((before.variance + now.variance) / 2)
    if not spread:
        return 0.0 if not distance else math.inf
    return distance / spread


def _missing(column: pa.Array) -> int:
    if pa.types.is_floating(column.type):
        missing: int = pc.call_function("is_null", [column], pc.NullOptions(nan_is_null=True)).true_count
        return missing
    nulls: int = column.null_count
    return nulls
