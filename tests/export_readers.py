"""Reads exported folders back with other people's libraries, in a process of its own: `export_readers.py FOLDER`.

Below FOLDER lie the exports, each called LIBRARY-anything. What was read goes to FOLDER/read.json:
export -> part -> rows as the library gives them; of images, the SHA-256 of the bytes, or of the pixels where the
library decodes them.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import sys
from pathlib import Path
from typing import Any

os.environ |= {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_DATASETS_DISABLE_PROGRESS_BARS": "1"}

Rows = list[dict[str, Any]]


def pixels(image: Any) -> str:
    return hashlib.sha256(image.convert("RGB").tobytes()).hexdigest()


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def with_datasets(folder: Path) -> dict[str, Rows]:
    import datasets

    found: dict[str, Rows] = {}
    for part, rows in datasets.load_dataset(str(folder)).items():
        pictures = [name for name, kind in rows.features.items() if isinstance(kind, datasets.Image)]
        raw = rows
        for name in pictures:
            assert rows[0][name] is None or rows[0][name].width > 0  # decodes
            raw = raw.cast_column(name, datasets.Image(decode=False))
        found[str(part)] = [dict(row) for row in raw]
        for row in found[str(part)]:
            for name in pictures:
                if row[name] is not None:
                    row[name] = sha256(row[name]["bytes"] or Path(row[name]["path"]).read_bytes())
    return found


def with_webdataset(folder: Path) -> dict[str, Rows]:
    import webdataset

    found: dict[str, Rows] = {}
    for path in sorted(folder.glob("*.tar")):
        rows = found.setdefault(path.stem.rpartition("-")[0], [])
        for sample in webdataset.WebDataset(str(path), shardshuffle=False):
            row = {"__key__": sample["__key__"], **json.loads(sample["json"])}
            for name, data in sample.items():
                if name.endswith(("png", "jpg")):
                    row["reference" if name.startswith("reference.") else "image"] = sha256(data)
            rows.append(row)
        decoded = next(iter(webdataset.WebDataset(str(path), shardshuffle=False).decode("pil")))
        assert all(decoded[name].width > 0 for name in ("png", "jpg") if name in decoded)
    return found


def with_mlcroissant(folder: Path) -> dict[str, Rows]:
    import mlcroissant

    dataset = mlcroissant.Dataset(jsonld=folder / "croissant.json")
    assert not dataset.metadata.ctx.issues.errors
    rows = []
    for record in dataset.records("images"):
        row = {name.removeprefix("images/"): value for name, value in record.items()}
        row = {name: value.decode() if isinstance(value, bytes) else value for name, value in row.items()}
        if "image" in row:
            row["image"] = pixels(row["image"])
        nothing = [name for name, value in row.items() if isinstance(value, float) and math.isnan(value)]
        rows.append(row | dict.fromkeys(nothing))
    return {"": rows}


def with_duckdb(folder: Path) -> dict[str, Rows]:
    """hf-parquet by another reader of Parquet, which knows nothing of images."""
    import duckdb

    found = {}
    for part in sorted({path.name.partition("-")[0] for path in (folder / "data").iterdir()}):
        table = duckdb.sql(f"SELECT * FROM read_parquet('{folder}/data/{part}-*.parquet')").to_arrow_table()
        found[part] = table.to_pylist()
        for row in found[part]:
            for name in ("image", "reference"):
                if row.get(name):
                    row[name] = sha256(row[name]["bytes"])
    return found


READERS = {
    "hf": with_datasets,
    "parquet": with_datasets,
    "webdataset": with_webdataset,
    "croissant": with_mlcroissant,
}


def main() -> None:
    base = Path(sys.argv[1])
    read = {}
    for folder in sorted(path for path in base.iterdir() if path.name.partition("-")[0] in READERS):
        read[folder.name] = READERS[folder.name.partition("-")[0]](folder)
        if folder.name.startswith("parquet"):
            read[f"duckdb-{folder.name}"] = with_duckdb(folder)
    (base / "read.json").write_text(json.dumps(read))


if __name__ == "__main__":
    main()
