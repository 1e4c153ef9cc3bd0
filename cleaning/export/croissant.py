"""The data card: ``croissant.json``, metadata in the Croissant format (MLCommons, version 1.0)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cleaning.export.shards import ImageFormat, ShardInfo
from cleaning.export.wording import count_of

_CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
_PERSONAL = (
    "Every sample shows the face of a named person: biometric personal data. Whoever uses the "
    "set needs a legal ground for it where they are.",
    "Names come from the identity list and the sources, and may be wrong; the ledger says for "
    "every image where it came from and why it was kept.",
)
_PREPROCESSING = (
    "Faces were detected and aligned by five landmarks to 112 by 112 pixels (ArcFace template).",
    "Within each identity, embeddings were clustered hierarchically and the largest cluster "
    "kept; photos that clearly show another listed person were moved to that person.",
    "Between identities, the exact smallest distance of any two faces named the pairs that may "
    "be one person; people decided about them.",
)
_MEDIA_TYPES = {ImageFormat.JPG: "image/jpeg", ImageFormat.PNG: "image/png"}


@dataclass(frozen=True, slots=True, kw_only=True)
class CardData:
    """What the data card of a version says beyond what holds for every version.

    ``version`` counts from 1. ``sources`` and ``licences`` map a name to its number of images;
    images without a known licence are under ``None``. ``decisions`` is how many pairs of
    identities people decided, ``exclusions`` sentences on sets whose people were kept out,
    ``limitations`` on what the version does not know.
    """

    name: str
    version: int
    images: int
    identities: int
    shards: Sequence[ShardInfo]
    image_format: ImageFormat = ImageFormat.JPG
    sources: Mapping[str, int] = field(default_factory=dict)
    licences: Mapping[str | None, int] = field(default_factory=dict)
    decisions: int = 0
    exclusions: Sequence[str] = ()
    limitations: Sequence[str] = ()


def render_card(data: CardData) -> bytes:
    """Return ``croissant.json``; the same data give the same bytes."""
    card = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": [
            "http://mlcommons.org/croissant/1.0",
            "http://mlcommons.org/croissant/RAI/1.0",
        ],
        "name": data.name,
        "description": (
            f"Cleaned face recognition training set: {count_of(data.images, 'aligned face')} of "
            f"{count_of(data.identities, 'identity', 'identities')} in "
            f"{count_of(len(data.shards), 'WebDataset shard')}."
        ),
        "version": f"{data.version}.0.0",
        "license": _licences(data.licences),
        "usageInfo": (
            "Licences differ from image to image: see the licence of each sample. Face images "
            "of people: see the personal and sensitive information below."
        ),
        "keywords": ["face recognition", "face images", "identity labels"],
        "distribution": _distribution(data),
        "recordSet": _record_sets(data.image_format) if data.shards else [],
        "rai:dataCollection": _collection(data.sources),
        "rai:dataPreprocessingProtocol": [*_PREPROCESSING, *data.exclusions],
        "rai:dataAnnotationProtocol": [
            f"For {count_of(data.decisions, 'pair')} of identities, people decided whether they "
            "are one person."
        ],
        "rai:personalSensitiveInformation": list(_PERSONAL),
        "rai:dataLimitations": list(data.limitations),
        "rai:dataUseCases": ["Training of face recognition models."],
    }
    shown = {key: value for key, value in card.items() if value != []}
    return (json.dumps(shown, ensure_ascii=False, indent=2) + "\n").encode()


def _licences(licences: Mapping[str | None, int]) -> list[str]:
    named = sorted(licence for licence in licences if licence)
    unknown = sum(count for licence, count in licences.items() if not licence)
    if unknown or not named:
        named.append(f"unknown for {count_of(unknown, 'image')}" if named else "unknown")
    return named


def _collection(sources: Mapping[str, int]) -> str:
    counted = ", ".join(f"{name} ({count_of(sources[name], 'image')})" for name in sorted(sources))
    return (
        f"Images came in from the sources {counted or 'named in the recipe'}. The source and path "
        "or address of every image is in the sample's JSON and in ledger.parquet."
    )


def _distribution(data: CardData) -> list[dict[str, Any]]:
    archives = [
        {
            "@type": "cr:FileObject",
            "@id": shard.name,
            "name": shard.name.rsplit("/", 1)[-1],
            "contentUrl": shard.name,
            "contentSize": f"{shard.size_bytes} B",
            "encodingFormat": "application/x-tar",
            "sha256": shard.sha256,
        }
        for shard in data.shards
    ]
    if not archives:
        return []
    kinds = (
        (data.image_format.value, _MEDIA_TYPES[data.image_format], "Aligned faces, 112 by 112."),
        ("cls", "text/plain", "Class index, the same for an identity in every version."),
        ("json", "application/json", "Identity, face and source facts."),
    )
    contained = [{"@id": shard.name} for shard in data.shards]
    file_sets = [
        {
            "@type": "cr:FileSet",
            "@id": f"{extension}-files",
            "name": f"{extension}-files",
            "description": description,
            "containedIn": contained,
            "encodingFormat": media_type,
            "includes": f"*.{extension}",
        }
        for extension, media_type, description in kinds
    ]
    return [*archives, *file_sets]


def _record_sets(image_format: ImageFormat) -> list[dict[str, Any]]:
    return [
        _record_set("images", image_format.value, ("image", "sc:ImageObject", "The aligned face.")),
        _record_set("classes", "cls", ("class_index", "sc:Integer", "The training label.")),
        _record_set(
            "facts",
            "json",
            ("facts", "sc:Text", "JSON: identity, source, url, licence, box, landmarks, scores."),
        ),
    ]


def _record_set(name: str, extension: str, content: tuple[str, str, str]) -> dict[str, Any]:
    """Describe one file of each sample; the sets join by ``key``, the file's name."""
    field_name, data_type, description = content
    files = {"@id": f"{extension}-files"}
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        "key": {"@id": f"{name}/key"},
        "field": [
            {
                "@type": "cr:Field",
                "@id": f"{name}/key",
                "name": "key",
                "description": "The sample's key, shared by the three record sets.",
                "dataType": "sc:Text",
                "source": {
                    "fileSet": files,
                    "extract": {"fileProperty": "filename"},
                    "transform": {"regex": rf"([^.]+)\.{extension}"},
                },
            },
            {
                "@type": "cr:Field",
                "@id": f"{name}/{field_name}",
                "name": field_name,
                "description": description,
                "dataType": data_type,
                "source": {"fileSet": files, "extract": {"fileProperty": "content"}},
            },
        ],
    }
