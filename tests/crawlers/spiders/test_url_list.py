from __future__ import annotations

import tracemalloc
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from crawlers.ledger.rows import Claim
from crawlers.spiders.page_content import Rights
from crawlers.spiders.url_list import read_url_list
from facedata.errors import SourceError


def write(tmp_path: Path, content: str | bytes) -> Path:
    path = tmp_path / "urls.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def claims(path: Path) -> list[Claim]:
    return list(read_url_list(path, "list"))


def test_a_row_says_who_where_and_under_what_terms(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "\ufefflicense, url ,identity,page_url,licence_url,author,attribution,width\n"
        'CC BY 4.0, https://a.org/1.jpg ," Zoe\u0308, x",https://a.org/1,'
        "https://creativecommons.org/licenses/by/4.0/,Jo,Jo / A,640\n"
        ",https://a.org/2.jpg,Bo,,http://creativecommons.org/publicdomain/zero/1.0/,,,\n",
    )
    assert claims(path) == [
        Claim(
            identity="Zoë, x",
            site="list",
            url="https://a.org/1.jpg",
            page_url="https://a.org/1",
            rights=Rights(
                licence="cc-by-4.0",
                licence_url="https://creativecommons.org/licenses/by/4.0/",
                author="Jo",
                attribution="Jo / A",
            ),
        ),
        Claim(
            identity="Bo",
            site="list",
            url="https://a.org/2.jpg",
            rights=Rights(
                licence="cc0", licence_url="http://creativecommons.org/publicdomain/zero/1.0/"
            ),
        ),
    ]


def test_parquet_says_the_same_as_csv(tmp_path: Path) -> None:
    rows = {
        "identity": ["Ada", "Bo"],
        "url": ["https://a.org/1.jpg", "https://a.org/2.jpg"],
        "licence": ["CC0", None],
        "width": [1, 2],
    }
    parquet = tmp_path / "urls.parquet"
    table = pa.table(rows)
    encoded = table.set_column(0, "identity", table["identity"].dictionary_encode())
    pq.write_table(encoded, parquet)
    csv = write(
        tmp_path,
        "identity,url,licence\nAda,https://a.org/1.jpg,CC0\nBo,https://a.org/2.jpg,\n",
    )
    assert claims(parquet) == claims(csv)
    assert [claim.rights.licence for claim in claims(parquet)] == ["cc0", None]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", "has no column 'identity'; its columns are []"),
        ("identity,link\nAda,x\n", "has no column 'url'; its columns are ['identity', 'link']"),
        ("identity,url,url\nAda,x,y\n", "has the column 'url' twice; rename one"),
        ("identity,url,licence,license\nA,x,,\n", "has the column 'licence' twice; rename one"),
        ("identity,url\n", "has no rows; list identities and addresses"),
        ("identity,url\nAda,x\nBo\n", "urls.csv:3: 1 cells, but the header has 2"),
        ("identity,url\nAda,x,y\n", "urls.csv:2: 3 cells, but the header has 2; quote the commas"),
        ("identity,url\nAda,x\n\n ,y\n", "urls.csv:4: identity name '' is empty"),
        ('identity,url\nAda,"x\n', "is not a CSV file after line 2"),
        ('identity,url\nAda,"x"y\n', "is not a CSV file after line 2"),
        (b"identity,url\nAda,\xff\n", "is not UTF-8; save it as UTF-8 CSV"),
    ],
)
def test_errors_name_the_line(tmp_path: Path, content: str | bytes, problem: str) -> None:
    with pytest.raises(SourceError) as caught:
        claims(write(tmp_path, content))
    assert problem in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_line_is_counted_as_the_file_has_it(tmp_path: Path) -> None:
    path = write(tmp_path, 'identity,url\n"Ada\r\n",x\nBo,y\n,z\n')
    with pytest.raises(SourceError, match=r"urls\.csv:5: identity name '' is empty"):
        claims(path)


def test_errors_in_parquet_name_the_row_or_the_column(tmp_path: Path) -> None:
    path = tmp_path / "urls.parquet"
    pq.write_table(pa.table({"identity": ["Ada", None], "url": ["x", "y"]}), path)
    with pytest.raises(SourceError, match=r"urls\.parquet row 2: identity name '' is empty"):
        claims(path)
    pq.write_table(pa.table({"identity": [1], "url": ["x"]}), path)
    with pytest.raises(SourceError, match="column 'identity' is int64; it must be text"):
        claims(path)
    pq.write_table(pa.table({"identity": ["Ada"], "link": ["x"]}), path)
    with pytest.raises(SourceError, match="has no column 'url'"):
        claims(path)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(SourceError, match="not a whole Parquet file"):
        claims(path)


@pytest.mark.parametrize("name", ["urls.csv", "urls.parquet"])
def test_a_missing_list_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(SourceError, match=name):
        claims(tmp_path / name)


@pytest.mark.parametrize("name", ["urls.csv", "urls.parquet"])
def test_a_long_list_is_read_with_bounded_memory(tmp_path: Path, name: str) -> None:
    count = 20_000
    people = [f"Person {number // 20}" for number in range(count)]
    urls = [f"https://example.org/{number}/photo.jpg" for number in range(count)]
    path = tmp_path / name
    if path.suffix == ".csv":
        lines = (f"{who},{url}\n" for who, url in zip(people, urls, strict=True))
        path.write_text("identity,url\n" + "".join(lines))
    else:
        pq.write_table(pa.table({"identity": people, "url": urls}), path, row_group_size=5_000)
    rows = read_url_list(path, "list")
    next(rows)
    tracemalloc.start()
    last = next(islice(rows, count - 2, None))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert last.url == urls[-1]
    assert peak < 6_000_000
