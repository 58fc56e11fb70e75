"""The address of a running Dask scheduler -> a client of it, with the certificates of Dask's configuration."""

from __future__ import annotations

from typing import Any

from lakeflow_io.errors import ConfigError, RunError

__all__ = ["connect"]

_CONNECT_SECONDS = 10
_HOW_TO_CONFIGURE = (
    "set DASK_DISTRIBUTED__COMM__TLS__CA_FILE, DASK_DISTRIBUTED__COMM__TLS__CLIENT__CERT and "
    "DASK_DISTRIBUTED__COMM__TLS__CLIENT__KEY, or pass a distributed.Client with a security of its own."
)


def connect(address: str) -> Any:
    """A `distributed.Client` of the scheduler at an address; the caller closes it.

    Args:
        address: `tcp://host:port`, or `tls://host:port`, for which Dask's configuration names the
            authority's certificate, the client's, and its key.

    Raises:
        ConfigError: distributed isn't installed; or the address is one of TLS, and the configured
            certificates are missing, can't be read, or are another authority's than the scheduler's.
        RunError: nobody answers there.
    """
    try:
        from distributed.comm.core import CommClosedError
    except ImportError:
        raise ConfigError.missing_extra("Dask", "dask", "The Dask engine") from None
    encrypted = address.startswith("tls://")
    if encrypted:
        _check_certificates(address)
    try:
        return _client(address)
    except (OSError, ValueError, RuntimeError, TimeoutError) as error:
        # A connection that is refused, or isn't one of TLS, is tried again until it times out. One that is closed
        # after it was there, by an alert or just so, was closed for its certificates.
        if encrypted and isinstance(error, CommClosedError):
            raise ConfigError(
                f"The scheduler at {address} and this process have certificates of different authorities: {error}",
                _HOW_TO_CONFIGURE,
            ) from error
        raise RunError(
            f"No Dask scheduler answers at {address}: {error}",
            "check the address, whether it is tcp:// or tls://, and that `dask scheduler` runs there.",
        ) from error


def _client(address: str) -> Any:
    import distributed

    try:
        return distributed.Client(address, timeout=_CONNECT_SECONDS, set_as_default=False)  # type: ignore[no-untyped-call]
    except AssertionError:
        # Dask's client takes the scheduler's first message for its welcome alone, and trips over news of
        # another client's tasks that come with it (distributed 2026.8). The next one comes by itself.
        return distributed.Client(address, timeout=_CONNECT_SECONDS, set_as_default=False)  # type: ignore[no-untyped-call]


def _check_certificates(address: str) -> None:
    """Read what Dask would, so that each thing that may be wrong with it has its own message."""
    import distributed
    from dask.config import get

    if get("distributed.client.security-loader"):  # the certificates are its own matter
        return
    try:
        certificates = distributed.Security().get_connection_args("client")["ssl_context"]  # type: ignore[no-untyped-call]
    except (OSError, ValueError) as error:
        raise ConfigError(f"The certificates for {address} can't be read: {error}", _HOW_TO_CONFIGURE) from error
    if certificates is None:
        raise ConfigError(
            f"{address} is reached over TLS, and Dask's configuration has no certificates for a client.",
            _HOW_TO_CONFIGURE,
        )
