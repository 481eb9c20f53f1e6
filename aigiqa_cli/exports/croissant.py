"""croissant: a folder that describes itself, in the JSON-LD of MLCommons' Croissant 1.0.

`croissant.json` (licence, citation, files with hashes, the record set `images`), `images.csv` with the columns of the
index, and the images. Rows and images meet by the file's name.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from aigiqa_cli.digests import sha256_file
from aigiqa_cli.exports.about import About
from aigiqa_cli.exports.columns import Row
from aigiqa_cli.exports.imagefolder import Copy, carry
from aigiqa_cli.exports.pouring import side_by_side
from aigiqa_cli.exports.samples import Plan, Source, changed, shards
from aigiqa_cli.index import KINDS, write_rows

TABLE, IMAGES, REFERENCES = "images.csv", "images", "references"
_TYPES = {"text": "sc:Text", "json": "sc:Text", "number": "sc:Float", "integer": "sc:Integer"}
_CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "rai": "http://mlcommons.org/croissant/RAI/",
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


def write_croissant(source: Source, planned: Plan, folder: Path) -> None:
    """The folder of one database."""
    from aigiqa_cli.store.durable import write_whole

    columns = ["file_name", *(["reference_file_name"] if planned.references else []), *source.columns]
    formats: set[str] = set()
    with open(folder / TABLE, "wb") as stream:
        if write_rows(stream, _table(source, formats), columns) != planned.rows:
            raise changed()
    if source.carries:
        side_by_side(_units(source, planned, folder), lambda copies: carry(source, copies))
    digest, size = sha256_file(folder / TABLE)
    text = json.dumps(_described(source, columns, sorted(formats), digest, size), indent=2, ensure_ascii=False) + "\n"
    write_whole(folder / "croissant.json", text.encode())


def _table(source: Source, formats: set[str]) -> Iterator[Row]:
    for row in source.rows():
        formats.add(row["format"])
        yield {**row, "file_name": source.name(row), "reference_file_name": source.reference_name(row)}


def _units(source: Source, planned: Plan, folder: Path) -> Iterator[list[Copy]]:
    seen: set[str] = set()
    for shard in shards(source, planned):
        copies = [(source.image(row), folder / IMAGES / source.name(row)) for _, row in shard.rows]
        for _, row in shard.rows:
            reference = source.reference(row)
            if reference and reference.path not in seen:
                seen.add(reference.path)
                copies.append((reference, folder / REFERENCES / source.reference_name(row)))
        yield copies


def _described(source: Source, columns: list[str], formats: list[str], digest: str, size: int) -> dict[str, Any]:
    about = source.about[0]
    files: list[dict[str, Any]] = [
        {
            "@type": "cr:FileObject",
            "@id": TABLE,
            "name": TABLE,
            "description": "One row for each image; sha256 is that of the image.",
            "contentSize": f"{size} B",
            "contentUrl": TABLE,
            "encodingFormat": "text/csv",
            "sha256": digest,
        }
    ]
    fields = [_field(column) for column in columns]
    if source.carries:
        sets = [IMAGES, *([REFERENCES] if "reference_file_name" in columns else [])]
        files += [_file_set(name, formats) for name in sets]
        fields[0]["references"] = _from_set(IMAGES, "filename")
        content = {"dataType": "sc:ImageObject", "source": _from_set(IMAGES, "content")}
        fields.append({"@type": "cr:Field", "@id": "images/image", "name": "image", **content})
    return {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": about.title,
        "description": f"{about.summary} Scores: {_scales(about)}.",
        "version": f"{about.version}.0.0",
        "license": _license(about),
        "url": about.homepage or about.url,
        "creator": [{"@type": "sc:Person", "name": name} for name in about.authors],
        "datePublished": str(about.year),
        "citeAs": about.citation,
        "isLiveDataset": False,
        "distribution": files,
        "recordSet": [
            {
                "@type": "cr:RecordSet",
                "@id": "images",
                "name": "images",
                "key": {"@id": "images/file_name"},
                "field": fields,
            }
        ],
    }


def _file_set(name: str, formats: list[str]) -> dict[str, Any]:
    return {
        "@type": "cr:FileSet",
        "@id": f"{name}-files",
        "name": f"{name}-files",
        "encodingFormat": [f"image/{form}" for form in formats],
        "includes": f"{name}/*",
    }


def _field(column: str) -> dict[str, Any]:
    return {
        "@type": "cr:Field",
        "@id": f"images/{column}",
        "name": column,
        "dataType": _TYPES[KINDS.get(column, "text")],
        "source": {"fileObject": {"@id": TABLE}, "extract": {"column": column}},
    }


def _from_set(name: str, part: str) -> dict[str, Any]:
    return {"fileSet": {"@id": f"{name}-files"}, "extract": {"fileProperty": part}}


def _license(about: About) -> str:
    """A page for an SPDX identifier, which has a number or is one of these; else what the database says."""
    known = any(letter.isdigit() for letter in about.license) or about.license in ("MIT", "ISC", "Unlicense")
    return f"https://spdx.org/licenses/{about.license}.html" if known else f"{about.license}: {about.license_scope}"


def _scales(about: About) -> str:
    return ", ".join(f"mos_{dimension} from {low} to {high}" for dimension, (low, high) in about.scales.items())
