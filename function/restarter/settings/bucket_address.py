"""Where a ledger in an object store is: `gs://bucket/prefix` or `obs://bucket/prefix`. No I/O here."""

import re
from typing import NamedTuple

ADDRESS = re.compile(r"(gs|obs)://([a-z0-9][a-z0-9._-]{1,61}[a-z0-9])(?:/([A-Za-z0-9._-]+(?:/[A-Za-z0-9._-]+)*)?)?/?")
MAX_PREFIX_LENGTH = 512  # an object's name has at most 1024 characters


class BucketAddress(NamedTuple):
    """A bucket, and the prefix of the names of the ledger's objects: empty, or a path that ends with a slash."""

    scheme: str
    bucket: str
    prefix: str


def parse_bucket_address(text: str) -> BucketAddress:
    """Parse an address.

    Raises:
        ValueError: The text is not an address; the message says what is wrong, without a value.
    """
    match = ADDRESS.fullmatch(text)
    if match is None or len(match[3] or "") > MAX_PREFIX_LENGTH:
        raise ValueError("must be like gs://bucket/prefix or obs://bucket/prefix")
    return BucketAddress(match[1], match[2], f"{match[3]}/" if match[3] else "")
