"""An S3-like server for one machine: objects in memory, and delays, limits and faults by profile.

    with run_s3like("s3") as server:
        lake = lf.connect(type="sql", uri=..., warehouse=f"s3://{server.bucket}", **server.store_properties)

It uses the standard library alone, and little CPU: it shares the machine with the client it measures.
"""

from benchmarks.s3like.access import Access, AccessKey
from benchmarks.s3like.child import S3Like, run_s3like
from benchmarks.s3like.profiles import NONE, PROFILES, S3, S3_FAULTS, S3_TAIL, Profile

__all__ = [
    "NONE",
    "PROFILES",
    "S3",
    "S3_FAULTS",
    "S3_TAIL",
    "Access",
    "AccessKey",
    "Profile",
    "S3Like",
    "run_s3like",
]
