"""A footer is found with as few requests as its size allows, or refused for what it is."""

from __future__ import annotations

import struct

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lakeflow_io.errors import CorruptFileError, ObjectNotFoundError, UnsupportedError
from lakeflow_io.parquet.footer import read_footer
from lakeflow_io.storage import MemoryTransport

URI = "memory://tests/file.parquet"
MIB = 1024 * 1024


def parquet(rows: int, columns: int = 1, row_group: int | None = None) -> bytes:
    """A file of random, and so incompressible, numbers."""
    random = np.random.default_rng(0)
    sink = pa.BufferOutputStream()
    data = pa.table({f"column_{number:04d}": random.random(rows) for number in range(columns)})
    pq.write_table(data, sink, row_group_size=row_group)
    return bytes(sink.getvalue())


def transport_with(data: bytes) -> MemoryTransport:
    """A store with one object."""
    transport = MemoryTransport()
    transport.objects[URI] = data
    return transport


def test_a_small_file_takes_one_request() -> None:
    """Up to 1 MiB the whole file comes with its footer."""
    data = parquet(1000)
    transport = transport_with(data)

    footer = read_footer(transport, URI, len(data))

    assert transport.requests == {"get_range": 1}
    assert footer.metadata.num_rows == 1000


def test_a_large_file_takes_one_request_for_its_tail() -> None:
    """A footer of less than 64 KiB comes with one request, whatever the file's size."""
    data = parquet(300_000)
    transport = transport_with(data)

    footer = read_footer(transport, URI, len(data))

    assert len(data) > MIB
    assert transport.requests == {"get_range": 1}
    assert footer.metadata.num_rows == 300_000


def test_a_large_footer_takes_two_requests() -> None:
    """A footer beyond the first 64 KiB costs one request more, and no third."""
    data = parquet(2000, columns=100, row_group=200)
    transport = transport_with(data)

    footer = read_footer(transport, URI, len(data))

    assert struct.unpack("<I", data[-8:-4])[0] > 64 * 1024
    assert transport.requests == {"get_range": 2}
    assert footer.metadata.num_row_groups == 10


@pytest.mark.parametrize("lost", [1, 7, 8, 100])
def test_a_truncated_file_is_corrupt(lost: int) -> None:
    """A file that lost its end is named as corrupt, whether or not metadata still has its old size."""
    data = parquet(1000)
    transport = transport_with(data[:-lost])

    for size in (len(data), len(data) - lost):
        with pytest.raises(CorruptFileError, match=URI):
            read_footer(transport, URI, size)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "too few"),
        (b"PAR1PAR1", "too few"),
        (b"x" * 100, "last four bytes"),
        (b"PAR1" + b"x" * 100 + struct.pack("<I", 2**32 - 1) + b"PAR1", "claims 4294967295 bytes"),
        (b"PAR1" + b"x" * 100 + struct.pack("<I", 100) + b"PAR1", "does not decode"),
        (b"PAR1" + b"x" * 100 + struct.pack("<I", 0) + b"PAR1", "does not decode"),
    ],
)
def test_what_is_no_parquet_file_is_corrupt(data: bytes, why: str) -> None:
    """Wrong magic bytes, a footer larger than the file and one that is no Thrift are told apart."""
    transport = transport_with(data)

    with pytest.raises(CorruptFileError, match=why) as caught:
        read_footer(transport, URI, len(data))

    assert URI in caught.value.message


def test_an_encrypted_footer_is_unsupported() -> None:
    """An encrypted file isn't damaged: it is refused as what it is."""
    data = b"PARE" + b"x" * 100 + struct.pack("<I", 100) + b"PARE"

    with pytest.raises(UnsupportedError, match="encrypted"):
        read_footer(transport_with(data), URI, len(data))


@pytest.mark.parametrize("wrong", [-1, 1, 5000])
def test_a_size_that_is_not_the_files_is_corrupt(wrong: int) -> None:
    """A file that has another size than metadata says was replaced: nothing of it is believed."""
    data = parquet(1000)

    with pytest.raises(CorruptFileError, match=URI):
        read_footer(transport_with(data), URI, len(data) + wrong)


def test_a_missing_file_is_not_corrupt() -> None:
    """A file that isn't there is the store's failure, not the data's."""
    with pytest.raises(ObjectNotFoundError, match=URI):
        read_footer(MemoryTransport(), URI, 5000)
