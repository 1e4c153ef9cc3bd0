"""Parquet files of unknown origin: opened with limits, and damaged ones told of in one line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa
import pyarrow.parquet as pq

from crawlers.identity_name import shown
from crawlers.importers.listing import opened
from facedata.errors import SourceError

_STRING_BYTES = 64 << 20
_CONTAINER_ITEMS = 4 << 20


@contextmanager
def opened_parquet(file: str) -> Iterator[pq.ParquetFile]:
    """Open a Parquet file; what its footer makes the reader allocate is limited.

    Raises:
        SourceError: when it cannot be read, or is not a whole Parquet file; the latter also for
            what is read of it later, inside the block.
    """
    with opened(file) as stream:
        try:
            yield pq.ParquetFile(
                stream,
                pre_buffer=False,
                thrift_string_size_limit=_STRING_BYTES,
                thrift_container_size_limit=_CONTAINER_ITEMS,
            )
        except (pa.ArrowException, UnicodeDecodeError, OSError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise
            # pyarrow tells of damaged pages as OSError without a number.
            problem = " ".join(str(error).split())
            raise SourceError(
                f"{shown(file)}: not a whole Parquet file ({problem}); fetch it again"
            ) from error
