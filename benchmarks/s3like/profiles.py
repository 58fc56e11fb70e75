"""What a simulated store is like: its delays, its speed limits, its faults."""

from __future__ import annotations

from dataclasses import dataclass, replace

__all__ = ["NONE", "PROFILES", "S3", "S3_FAULTS", "S3_TAIL", "Profile"]


@dataclass(frozen=True, slots=True)
class Profile:
    """One store's behaviour. Every default is "nothing of that kind"."""

    name: str
    seed: int = 1
    """All randomness comes from this, the request's own text, and how often it was made before."""
    first_byte_ms: float = 0.0
    """Median delay before the answer of any request, in milliseconds."""
    first_byte_sigma: float = 0.0
    """Spread of that delay: the sigma of a lognormal distribution. 0.3 puts p99 at twice the median."""
    connection_bytes_s: int = 0
    """Bytes per second that one connection sends at most; 0 is no limit. Uploads are not paced."""
    total_bytes_s: int = 0
    """Bytes per second that all connections together send at most; 0 is no limit."""
    straggler_share: float = 0.0
    """Share of requests that are slow for no reason that a client could see."""
    straggler_extra_s: float = 0.0
    """Seconds added to a straggler's first-byte delay."""
    straggler_slowdown: float = 1.0
    """A straggler's connection sends at its limit divided by this."""
    slow_down_share: float = 0.0
    """Share of requests answered by 503 SlowDown."""
    cut_share: float = 0.0
    """Share of bodies after a part of which the connection closes, although all was promised."""
    stall_share: float = 0.0
    """Share of bodies that stop for `stall_s` seconds after a part."""
    stall_s: float = 0.0


NONE = Profile("none")
# S3 in its own region: 30 ms to the first byte and 80 MB/s a connection are what AWS's performance
# guidelines suggest to plan with; 500 MB/s is a small instance's network.
S3 = Profile("s3", first_byte_ms=30, first_byte_sigma=0.3, connection_bytes_s=80_000_000, total_bytes_s=500_000_000)
S3_TAIL = replace(S3, name="s3-tail", straggler_share=0.01, straggler_extra_s=1.0, straggler_slowdown=4.0)
S3_FAULTS = replace(S3, name="s3-faults", slow_down_share=0.05, cut_share=0.01, stall_share=0.005, stall_s=10.0)

PROFILES = {profile.name: profile for profile in (NONE, S3, S3_TAIL, S3_FAULTS)}
