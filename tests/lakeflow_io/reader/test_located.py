"""An error that is told where it happened is a copy, whatever else is imported."""

from __future__ import annotations

import pickle
import traceback

import distributed
import pytest

from lakeflow_io.errors import AccessDeniedError, InternalError
from lakeflow_io.reader.located import located


def failed() -> AccessDeniedError:
    """An error with a cause and a traceback."""
    with pytest.raises(AccessDeniedError) as caught:
        raise AccessDeniedError("s3://b/k: no.", "ask.") from OSError("403")
    return caught.value


def test_the_original_stays_as_it_was() -> None:
    """Dask teaches Python another way to copy exceptions, which shares their attributes."""
    assert distributed.__version__
    error = failed()

    told = located(located(error, "bytes 1-2"), "for t@1")

    assert str(told) == "s3://b/k: no.\nWhere: bytes 1-2, for t@1\nHint: ask."
    assert (error.message, error.hint) == ("s3://b/k: no.", "ask.")
    assert told.__traceback__ is None
    assert error.__traceback__ is not None


def test_it_is_of_the_same_kind_and_travels() -> None:
    """Type, message, hint and cause are the original's, also in another process."""
    told = located(failed(), "bytes 1-2")

    again = pickle.loads(pickle.dumps(told))

    assert type(told) is type(again) is AccessDeniedError
    assert str(again) == str(told)
    assert isinstance(told.__cause__, OSError)


def test_a_foreign_exception_becomes_ours() -> None:
    """It is the cause, with its traceback, for whoever has to find the mistake."""
    with pytest.raises(ZeroDivisionError) as caught:
        1 / 0  # noqa: B018  (raising it is the act)

    told = located(caught.value, "row group 3")

    assert isinstance(told, InternalError)
    assert "ZeroDivisionError" in told.message
    assert told.__cause__ is caught.value
    assert traceback.extract_tb(caught.value.__traceback__)
