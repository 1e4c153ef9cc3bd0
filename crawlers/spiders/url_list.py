"""URL lists: a CSV or Parquet file of identities and the addresses of their images.

Columns: ``identity``, ``url``; and, as far as known, ``page_url``, ``licence``, ``licence_url``,
``author``, ``attribution`` (``license`` and ``license_url`` are read too). Others are passed over.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pyarrow as pa

from crawlers.identity_name import normalise_identity, shown
from crawlers.importers.parquet_file import opened_parquet
from crawlers.ledger.rows import Claim
from crawlers.spiders.licences import licence_name
from crawlers.spiders.links import one_line
from crawlers.spiders.page_content import Rights
from facedata.errors import SourceError

_NEEDED = ("identity", "url")
_COLUMNS = {
    "identity": ("identity",),
    "url": ("url",),
    "page_url": ("page_url",),
    "licence": ("licence", "license"),
    "licence_url": ("licence_url", "license_url"),
    "author": ("author",),
    "attribution": ("attribution",),
}
_BATCH_ROWS = 8192
_LONGEST_TEXT = 1000


def read_url_list(path: Path, site: str) -> Iterator[Claim]:
    """Yield what the rows of a list wish for, in its order, with bounded memory.

    Whether an address can be asked for, and for this person, is not looked at here.

    Raises:
        SourceError: when the file cannot be read or lacks a column, or a row is not of its form;
            the message names the line, or the row of a Parquet file.
    """
    rows = _parquet_rows(path) if path.suffix in {".parquet", ".pq"} else _csv_rows(path)
    count = 0
    for where, row in rows:
        count += 1
        yield _claim(row, site, where)
    if not count:
        raise SourceError(f"URL list {path} has no rows; list identities and addresses")


def _claim(row: Mapping[str, str], site: str, where: str) -> Claim:
    licence, licence_url = row.get("licence"), row.get("licence_url")
    return Claim(
        identity=normalise_identity(row["identity"], where=where),
        site=site,
        url=row["url"],
        page_url=row.get("page_url") or None,
        rights=Rights(
            licence=licence_name(licence, licence_url),
            licence_url=licence_url or None,
            author=one_line(row.get("author", ""), _LONGEST_TEXT) or None,
            attribution=one_line(row.get("attribution", ""), _LONGEST_TEXT) or None,
        ),
    )


def _csv_rows(path: Path) -> Iterator[tuple[str, Mapping[str, str]]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream, strict=True)
            header = [name.strip() for name in next(reader, [])]
            places = _places(header, path)
            for cells in reader:
                where = f"{path}:{reader.line_num}"
                if not cells:
                    continue
                if len(cells) != len(header):
                    raise SourceError(
                        f"{where}: {len(cells)} cells, but the header has {len(header)}; "
                        "quote the commas"
                    )
                yield where, {name: cells[place].strip() for name, place in places.items()}
    except OSError as error:
        raise SourceError(
            f"URL list {path} cannot be read ({error.strerror}); check the path"
        ) from error
    except UnicodeDecodeError as error:
        raise SourceError(f"URL list {path} is not UTF-8; save it as UTF-8 CSV") from error
    except csv.Error as error:
        raise SourceError(
            f"URL list {path} is not a CSV file after line {reader.line_num}: {error}"
        ) from error


def _parquet_rows(path: Path) -> Iterator[tuple[str, Mapping[str, str]]]:
    with opened_parquet(str(path)) as file:
        schema = file.schema_arrow
        places = _places(schema.names, path)
        columns = {name: schema.names[place] for name, place in places.items()}
        for name in columns.values():
            if not _is_text(schema.field(name).type):
                raise SourceError(
                    f"URL list {path}: column {shown(name)} is {schema.field(name).type}; "
                    "it must be text"
                )
        number = 0
        for batch in file.iter_batches(_BATCH_ROWS, columns=list(columns.values())):
            texts = {name: batch.column(column).to_pylist() for name, column in columns.items()}
            for row in zip(*texts.values(), strict=True):
                number += 1
                cells = ((text or "").strip() for text in row)
                yield f"{path} row {number}", dict(zip(texts, cells, strict=True))


def _is_text(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or (pa.types.is_dictionary(kind) and _is_text(kind.value_type))
    )


def _places(header: Sequence[str], path: Path) -> dict[str, int]:
    """Return where the columns are that are read.

    Raises:
        SourceError: when a needed one is not there, or one is there twice.
    """
    if missing := [name for name in _NEEDED if name not in header]:
        raise SourceError(
            f"URL list {path} has no column {missing[0]!r}; its columns are {list(header)[:20]}"
        )
    places: dict[str, int] = {}
    for name, spellings in _COLUMNS.items():
        found = [place for place, column in enumerate(header) if column in spellings]
        if len(found) > 1:
            raise SourceError(f"URL list {path} has the column {name!r} twice; rename one")
        if found:
            places[name] = found[0]
    return places
