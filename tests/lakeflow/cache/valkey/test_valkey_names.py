"""Names of the server's keys."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lakeflow.cache.valkey.names import bucket_names


@given(st.lists(st.integers(0, 2**32 - 1), min_size=1))
def test_names_of_buckets_have_one_width(buckets: list[int]) -> None:
    """Eight hexadecimal digits."""
    names = [name.tobytes() for name in bucket_names(b"p:", np.array(buckets))]

    assert [b"p:%08x" % bucket for bucket in buckets] == names
