"""The recipe: defaults, paths, and errors that name the key and the value."""

from pathlib import Path

import pytest

from facedata.errors import RecipeError
from facedata.recipe import load_recipe, parse_recipe, resolve_paths

GOOD = "name: politicians\nsources:\n  - folder: {path: photos}\n"


def test_paths_are_relative_to_the_recipe_file(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(GOOD + "models: ./pack\n")
    recipe = resolve_paths(load_recipe(tmp_path / "recipe.yaml"), tmp_path)
    assert recipe.sources[0].folder is not None
    assert recipe.sources[0].folder.path == str(tmp_path / "photos")
    assert recipe.models == str(tmp_path / "pack")


def test_a_pack_name_stays_a_name(tmp_path: Path) -> None:
    assert resolve_paths(parse_recipe(GOOD), tmp_path).models == "buffalo_l"


def test_sources_are_named_by_kind_and_number() -> None:
    text = "name: a\nsources:\n" + "  - folder: {path: x}\n" * 3
    assert parse_recipe(text).source_names() == ["folder", "folder-2", "folder-3"]


def test_digest_ignores_layout_and_sees_values() -> None:
    plain = parse_recipe(GOOD)
    spelled_out = parse_recipe(GOOD + "# comment\nintra: {threshold: auto}\n")
    changed = parse_recipe(GOOD + "intra: {threshold: 0.3}\n")
    assert plain.digest() == spelled_out.digest()
    assert plain.digest() != changed.digest()


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ("colour: red\n", "unknown key 'colour' with value 'red'; allowed here: name, models"),
        (
            "faces: {min_scor: 0.4}\n",
            "unknown key 'faces.min_scor' with value 0.4; "
            "allowed here: min_score, min_size, near_duplicates",
        ),
        (
            "inter: {threshold: high}\n",
            "key 'inter.threshold' is 'high'; allowed: 'auto' or a number in [-1, 1]",
        ),
        (
            "inter: {threshold: 3}\n",
            "key 'inter.threshold' is 3; allowed: 'auto' or a number in [-1, 1]",
        ),
        ("intra: {method: dbscan}\n", "key 'intra.method' is 'dbscan'; input should be 'average'"),
        ("shards: {max_images: 0}\n", "key 'shards.max_images' is 0; input should be greater"),
        (
            "release: {max_noise: 0.01}\n",
            "key 'release' is {'max_noise': 0.01}; "
            "max_noise needs audit: the number of photos to be looked at",
        ),
        ("release: {max_noise: 1, audit: 9}\n", "key 'release.max_noise' is 1; input should be"),
        ("release: {audit: -1}\n", "key 'release.audit' is -1; input should be greater"),
        (
            "release: {noise: 0.1}\n",
            "unknown key 'release.noise' with value 0.1; allowed here: max_noise, audit",
        ),
        ("exclude: [lfw]\n", "key 'exclude.0' is 'lfw'; expected keys and values: name, "),
        (
            "exclude: [{crawl: {identities: a.csv, sites: b.yaml}}]\n",
            "key 'exclude.0' is {'crawl': {'identities': 'a.csv', 'sites': 'b.yaml'}}; "
            "a crawl cannot be excluded; build it, and exclude the set it gave",
        ),
        (
            "exclude: [{name: x}]\n",
            "key 'exclude.0' is {'name': 'x'}; needs exactly one of folder, recordio, webdataset, "
            "img2dataset, parquet, ",
        ),
        ("licences: cc0\n", "key 'licences' is 'cc0'; "),
        ("licences: [cc0, '']\n", "key 'licences.1' is ''; string should match pattern"),
        ("exclude: [{name: folder, folder: {path: x}}]\n", "sources need different names; found "),
    ],
)
def test_a_bad_value_is_named(extra: str, message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        parse_recipe(GOOD + extra, origin="r.yaml")
    assert str(caught.value).startswith(f"recipe r.yaml: {message}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected keys and values, found NoneType"),
        ("- a\n", "expected keys and values, found list"),
        ("name: [\n", "not valid YAML"),
        ("name: a\n", "key 'sources' is missing"),
        ("name: ../up\nsources: [{folder: {path: x}}]\n", "key 'name' is '../up'"),
        ("name: a\nsources: []\n", "key 'sources' is []"),
        (
            "name: a\nsources: [{}]\n",
            "needs exactly one of folder, recordio, webdataset, img2dataset, parquet, urls, "
            "crawl; found none",
        ),
        (
            "name: a\nsources: [{name: x, folder: {path: a}}, {name: x, folder: {path: b}}]\n",
            "sources need different names",
        ),
    ],
)
def test_a_recipe_that_is_not_one_is_refused(text: str, message: str) -> None:
    with pytest.raises(RecipeError, match="recipe") as caught:
        parse_recipe(text)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="No such file or directory"):
        load_recipe(tmp_path / "none.yaml")


SOURCES = """name: a
sources:
  - folder: {path: photos, identity: -1}
  - recordio: {path: ms1m/train.rec, names: names.csv}
  - webdataset: {urls: "shards/{000..099}.tar"}
  - webdataset: {urls: "s3://bucket/{000..099}.tar", identity: json.who}
  - img2dataset: {path: out}
  - parquet: {path: hf, label: person}
    aligned: true
"""


def test_every_kind_of_source_is_read(tmp_path: Path) -> None:
    recipe = resolve_paths(parse_recipe(SOURCES), tmp_path)
    assert recipe.source_names() == [
        "folder",
        "recordio",
        "webdataset",
        "webdataset-2",
        "img2dataset",
        "parquet",
    ]
    assert [source.kind for source in recipe.sources][1:3] == ["recordio", "webdataset"]
    _, recordio, near, far, _, parquet = recipe.sources
    assert recordio.recordio is not None
    assert recordio.recordio.path == str(tmp_path / "ms1m/train.rec")
    assert recordio.recordio.names == str(tmp_path / "names.csv")
    assert near.webdataset is not None
    assert near.webdataset.urls == str(tmp_path / "shards/{000..099}.tar")
    assert far.webdataset is not None
    assert far.webdataset.urls == "s3://bucket/{000..099}.tar"
    assert parquet.parquet is not None
    assert (parquet.parquet.image, parquet.parquet.label) == ("image", "person")


def test_sets_for_training_are_aligned_unless_said_otherwise() -> None:
    assert parse_recipe(SOURCES).aligned_sources() == {"recordio", "parquet"}
    text = "name: a\nsources:\n  - recordio: {path: x}\n    aligned: false\n"
    assert parse_recipe(text).aligned_sources() == frozenset()


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("folder: {path: x, identity: 0}", "identity is folder 0; give 1 to 32, or -1 to -32"),
        ("folder: {path: x, identity: '('}", "identity is no regular expression"),
        ("folder: {path: x, identity: 'a+'}", "identity has no group"),
        ("webdataset: {urls: x, identity: who}", "key 'sources.0.webdataset.identity' is 'who'"),
        ("recordio: {rec: x}", "key 'sources.0.recordio.path' is missing"),
        ("parquet: {path: x}, folder: {path: y}", "found ['folder', 'parquet']"),
    ],
)
def test_a_source_that_is_not_one_is_named(source: str, message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        parse_recipe(f"name: a\nsources: [{{{source}}}]\n")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


EXCLUDED = """
name: people
sources: [{name: web, identities: own, folder: {path: photos}}]
exclude:
  - folder: {path: lfw}
  - bin: {path: sets/agedb_30.bin}
  - {name: ours, recordio: {path: s3://bucket/ours.rec}, identities: own}
  - folder: {path: more}
"""


def test_excluded_sets_are_sources_with_names_of_their_own() -> None:
    recipe = parse_recipe(EXCLUDED)
    assert recipe.source_names() == ["web"]
    assert recipe.excluded_names() == [
        "excluded-folder",
        "excluded-bin",
        "ours",
        "excluded-folder-2",
    ]
    assert recipe.aligned_sources() == {"excluded-bin", "ours"}
    assert [source.identities for source in recipe.exclude] == ["shared", "shared", "own", "shared"]
    resolved = resolve_paths(recipe, Path("/base")).exclude
    assert resolved[1].bin is not None
    assert resolved[1].bin.path == "/base/sets/agedb_30.bin"
    assert resolved[2].recordio is not None
    assert resolved[2].recordio.path == "s3://bucket/ours.rec"


def test_a_set_of_pairs_is_no_source() -> None:
    text = "name: p\nsources: [{bin: {path: lfw.bin}}]\n"
    with pytest.raises(RecipeError, match=r"unknown key 'sources\.0\.bin' with value"):
        parse_recipe(text)


URLS = "name: a\nsources:\n  - urls: {path: urls.csv, contact: 'mailto:a@example.org'"


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (", contact: ''}", "key 'sources.0.urls.contact' is ''"),
        (", user_agent: Mozilla/5.0}", "key 'sources.0.urls.user_agent' is 'Mozilla/5.0'"),
        (", delay_s: -1}", "key 'sources.0.urls.delay_s' is -1; input should be greater"),
        (", partitions: 0}", "key 'sources.0.urls.partitions' is 0"),
        (", refresh_days: 0}", "key 'sources.0.urls.refresh_days' is 0; input should be greater"),
        (", allow_private: ['a:70000']}", "key 'sources.0.urls.allow_private.0' is 'a:70000'"),
        (", allow_private: ['http://a']}", "key 'sources.0.urls.allow_private.0' is 'http://a'"),
        (", sites: x.yaml}", "unknown key 'sources.0.urls.sites' with value 'x.yaml'; allowed"),
    ],
)
def test_a_source_of_urls_names_what_is_wrong(keys: str, message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        parse_recipe(URLS + keys)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_spider_is_of_a_known_kind() -> None:
    text = "name: a\nsources:\n  - crawl: {identities: a.csv, sites: b.yaml, spider: flickr}\n"
    with pytest.raises(RecipeError) as caught:
        parse_recipe(text)
    assert "key 'sources.0.crawl.spider' is 'flickr'; input should be 'gallery', 'jsonapi'" in str(
        caught.value
    )


def test_lists_of_fetched_sources_are_beside_the_recipe(tmp_path: Path) -> None:
    keys = ", identities: people.csv, allow_private: ['127.0.0.1:8080', '[::1]', intern]}"
    (source,) = resolve_paths(parse_recipe(URLS + keys), tmp_path).sources
    assert source.urls is not None
    assert source.urls.path == str(tmp_path / "urls.csv")
    assert source.urls.identities == str(tmp_path / "people.csv")
    assert source.urls.contact == "mailto:a@example.org"
    assert source.urls.allow_private == ("127.0.0.1:8080", "[::1]", "intern")
