"""Addresses of faces: real servers give the very file, whatever its name."""

from __future__ import annotations

import os
import tempfile
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cleaning.review.addresses import Addresses
from facedata.errors import RecipeError, StorageError, WorkspaceError
from facedata.options import ImageOptions
from facedata.storage import Storage

NAMES = [
    "plain.jpg",
    "two words.jpg",
    "Zoë Łukasz 张伟.jpg",
    "a#b.jpg",
    "a?b=c&d=e.jpg",
    "100%.jpg",
    "%41.jpg",
    'it\'s "quoted" <b>.jpg',
    "a+b;c,d@e:f.jpg",
    "~[x]{y}|z^`.jpg",
]
FACE = b"\xff\xd8 a face"


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Nothing is printed."""


@pytest.fixture
def web(tmp_path: Path) -> Iterator[str]:
    """Address of a server that gives the files below ``tmp_path``."""
    handler = partial(_Quiet, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def http(base_url: str) -> ImageOptions:
    return ImageOptions(serve="http", base_url=base_url)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("slash", ["", "/"])
def test_http_gives_the_file(web: str, tmp_path: Path, name: str, slash: str) -> None:
    storage = Storage(tmp_path / "the work")
    path = f"crops/{name}"
    storage.write(path, FACE)
    addresses = Addresses(http(f"{web}/the%20work{slash}"), storage)
    assert httpx.get(addresses.address_of(path)).raise_for_status().content == FACE
    assert addresses.valid_for_seconds is None
    assert addresses.folder_on_server("crops") is None


@given(
    name=st.text(st.characters(codec="utf-8", exclude_characters="/\\\0"), min_size=1, max_size=20)
)
def test_an_address_needs_no_quoting_and_leads_back(name: str) -> None:
    addresses = Addresses(http("https://faces.test/set"), Storage("memory://set"))
    if name == "..":
        with pytest.raises(StorageError):
            addresses.address_of(f"x/{name}")
        return
    address = addresses.address_of(f"x/{name}")
    assert address.isascii()
    assert not set(address) & set(" \"'<>#?&+`")
    wanted = f"/set/x/{name}" if name != "." else "/set/x"
    assert httpx.URL(address).path == wanted


def test_a_name_that_is_not_utf8_keeps_its_bytes(tmp_path: Path) -> None:
    addresses = Addresses(http("http://a.test"), Storage(tmp_path))
    assert addresses.address_of(os.fsdecode(b"caf\xe9.jpg")) == "http://a.test/caf%E9.jpg"


@pytest.mark.parametrize(
    "base_url",
    [
        "",
        "faces",
        "/faces",
        "ftp://a.test",
        "http://",
        "http://user:word@a.test",
        "http://a.test/?d=",
        "http://a.test/#faces",
    ],
)
def test_a_base_url_that_no_path_can_follow_is_refused(base_url: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError) as caught:
        Addresses(http(base_url), Storage(tmp_path))
    assert str(caught.value) == (
        f"review.images.base_url: {base_url!r} cannot be followed by a path; "
        "give http(s)://host/path without user name, ? and #"
    )


def test_local_files_are_named_below_the_workspace(tmp_path: Path) -> None:
    addresses = Addresses(ImageOptions(), Storage(tmp_path))
    assert addresses.address_of("crops/a b.jpg") == "/data/local-files/?d=crops/a%20b.jpg"
    assert addresses.folder_on_server("crops") == f"{tmp_path}/crops"
    assert addresses.valid_for_seconds is None


def test_local_files_are_named_below_the_document_root(tmp_path: Path) -> None:
    options = ImageOptions(document_root=str(tmp_path))
    addresses = Addresses(options, Storage(tmp_path / "our sets" / "work"))
    assert addresses.address_of("c/1.jpg") == "/data/local-files/?d=our%20sets/work/c/1.jpg"
    assert addresses.folder_on_server("c") == f"{tmp_path}/our sets/work/c"


def test_links_are_resolved_and_the_root_stays_as_the_server_knows_it(tmp_path: Path) -> None:
    (tmp_path / "disk" / "work").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "disk")
    root = str(tmp_path / "link")
    addresses = Addresses(ImageOptions(document_root=root), Storage(tmp_path / "disk" / "work"))
    assert addresses.address_of("c/1.jpg") == "/data/local-files/?d=work/c/1.jpg"
    assert addresses.folder_on_server("c") == f"{root}/work/c"


def test_a_workspace_elsewhere_is_refused_with_both_folders(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "root" / "work").symlink_to(tmp_path / "elsewhere")
    options = ImageOptions(document_root=str(tmp_path / "root"))
    for workspace in (tmp_path / "elsewhere", tmp_path / "root" / "work", tmp_path / "root-2"):
        with pytest.raises(RecipeError) as caught:
            Addresses(options, Storage(workspace))
        assert str(caught.value) == (
            f"review.images: the workspace {workspace.resolve()} is not below document_root "
            f"{tmp_path / 'root'}, from where the review server gives files; move the workspace "
            "there, start the server with LOCAL_FILES_DOCUMENT_ROOT above the workspace, "
            "or choose serve: http or presigned"
        )


def test_local_files_need_a_local_workspace() -> None:
    with pytest.raises(WorkspaceError, match="memory://set: this step needs a folder on a local"):
        Addresses(ImageOptions(), Storage("memory://set"))


@pytest.mark.parametrize("serve", ["local-files", "http"])
def test_no_address_leaves_the_workspace(serve: Any, tmp_path: Path) -> None:
    options = ImageOptions(serve=serve, base_url="http://a.test" if serve == "http" else None)
    with pytest.raises(StorageError, match="use a path below it"):
        Addresses(options, Storage(tmp_path)).address_of("../secret")


def test_a_local_workspace_cannot_be_presigned(tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError, match=r"cannot sign an address of .*, or serve its files"):
        Addresses(ImageOptions(serve="presigned"), Storage(tmp_path))


@pytest.fixture
def object_store() -> Iterator[str]:
    """URL of a folder in a store that is never asked: addresses are signed without it."""
    s3fs = pytest.importorskip("s3fs")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_ACCESS_KEY_ID", "tests")
        environment.setenv("AWS_SECRET_ACCESS_KEY", "tests")
        environment.setenv("AWS_ENDPOINT_URL", "http://store.test")
        yield "s3://sets/the work"
    # A later test with another server must not get a file system that knows this one.
    s3fs.S3FileSystem.clear_instance_cache()


def test_presigned_addresses_end_after_the_hours(object_store: str) -> None:
    options = ImageOptions(serve="presigned", hours=1.5)
    addresses = Addresses(options, Storage(object_store))
    address = httpx.URL(addresses.address_of("crops/a b.jpg"))
    assert (address.host, address.path) == ("store.test", "/sets/the work/crops/a b.jpg")
    assert address.params["X-Amz-Expires"] == "5400"
    assert addresses.valid_for_seconds == 5400
    assert addresses.folder_on_server("crops") is None


@dataclass(frozen=True)
class LabelStudio:
    """A running server, with a folder below its document root that is removed afterwards."""

    client: httpx.Client
    document_root: Path


@pytest.fixture(scope="module")
def label_studio() -> Iterator[LabelStudio]:
    wanted = ("WINNOW_LABEL_STUDIO_URL", "WINNOW_LABEL_STUDIO_ROOT", "LABEL_STUDIO_API_KEY")
    if missing := [name for name in wanted if name not in os.environ]:
        pytest.skip(f"no Label Studio server was named: set {', '.join(missing)}")
    url, root, token = (os.environ[name] for name in wanted)
    with httpx.Client(base_url=url, headers={"Authorization": f"Token {token}"}) as client:
        yield LabelStudio(client, Path(root))


@pytest.fixture
def project(label_studio: LabelStudio) -> Iterator[int]:
    """A project of this test's own."""
    config = '<View><Text name="t" value="$t"/></View>'
    body = {"title": f"addresses {uuid.uuid4().hex[:8]}", "label_config": config}
    answer = label_studio.client.post("/api/projects", json=body).raise_for_status()
    number: int = answer.json()["id"]
    yield number
    label_studio.client.delete(f"/api/projects/{number}").raise_for_status()


@pytest.fixture
def workspace(label_studio: LabelStudio) -> Iterator[Storage]:
    """A workspace below the document root."""
    with tempfile.TemporaryDirectory(dir=label_studio.document_root, prefix="my sets ") as folder:
        yield Storage(Path(folder) / "work")


def test_label_studio_gives_the_files_to_people_logged_in(
    label_studio: LabelStudio, project: int, workspace: Storage
) -> None:
    options = ImageOptions(document_root=str(label_studio.document_root))
    addresses = Addresses(options, workspace)
    for name in NAMES:
        workspace.write(f"crops/{name}", FACE + name.encode())
    workspace.write("raw/secret.jpg", FACE)
    client = label_studio.client
    assert client.get(addresses.address_of("crops/plain.jpg")).status_code == 404
    storage = {"project": project, "path": addresses.folder_on_server("crops")}
    client.post("/api/storages/localfiles", json=storage).raise_for_status()
    for name in NAMES:
        address = addresses.address_of(f"crops/{name}")
        assert client.get(address).raise_for_status().content == FACE + name.encode()
        stranger = httpx.get(client.base_url.join(address))
        assert stranger.status_code == 401
        assert FACE not in stranger.content
    assert client.get(addresses.address_of("raw/secret.jpg")).status_code == 404
