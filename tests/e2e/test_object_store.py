"""A workspace on an object store: the same command against a real S3 server on loopback."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("s3fs")
moto_server = pytest.importorskip("moto.server")


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    """URL of an empty bucket."""
    import s3fs

    with pytest.MonkeyPatch.context() as environment:
        server = moto_server.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
        server.start()
        host, port = server.get_host_and_port()
        for name, value in {
            "AWS_ACCESS_KEY_ID": "tests",
            "AWS_SECRET_ACCESS_KEY": "tests",
            "AWS_DEFAULT_REGION": "us-east-1",
            "FSSPEC_S3_ENDPOINT_URL": f"http://{host}:{port}",
        }.items():
            environment.setenv(name, value)
        s3fs.S3FileSystem(endpoint_url=f"http://{host}:{port}", skip_instance_cache=True).mkdir(
            "sets"
        )
        yield "s3://sets"
        server.stop()


def test_a_bucket_gives_the_same_version_as_a_disk(
    winnow: Any, recipe: Path, bucket: str, tmp_path: Path
) -> None:
    remote = winnow("build", recipe, "-w", f"{bucket}/work", "--json").answer
    local = winnow("build", recipe, "-w", tmp_path / "work", "--json").answer
    assert remote["release"]["digest"] == local["release"]["digest"]
    assert remote["release"]["folder"] == "s3://sets/work/versions/people-v0001"
    again = winnow("build", recipe, "-w", f"{bucket}/work", "--json").answer
    assert not again["release"]["is_new"]
    verified = winnow("versions", "verify", "people-v0001", "-w", f"{bucket}/work", "--json")
    assert verified.answer == {"version": "people-v0001", "ok": True, "problems": []}
