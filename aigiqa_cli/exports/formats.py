"""The formats: what each is, what of the rows it needs, which options it takes, and the function that writes it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from aigiqa_cli.exports.arrow import write_arrow, write_feather
from aigiqa_cli.exports.code_bases import write_amff_net, write_cmim, write_name_prompt_mos
from aigiqa_cli.exports.columns import Row
from aigiqa_cli.exports.conversations import write_llava, write_q_align
from aigiqa_cli.exports.croissant import write_croissant
from aigiqa_cli.exports.image_parquet import write_image_parquet
from aigiqa_cli.exports.imagefolder import write_imagefolder
from aigiqa_cli.exports.jsonl import write_jsonl
from aigiqa_cli.exports.pairs import write_pairs, write_pairs_jsonl
from aigiqa_cli.exports.parquet import write_parquet
from aigiqa_cli.exports.pyiqa import write_pyiqa, write_pyiqa_fr
from aigiqa_cli.exports.samples import SHARD_BYTES, UNIT_BYTES, Plan, Source
from aigiqa_cli.exports.text import write_csv, write_tsv
from aigiqa_cli.exports.wanted import Wanted
from aigiqa_cli.exports.webdataset import write_webdataset

SCORE = "score"  # stands in `needs` for the column of the one score

Stream = Callable[[Iterable[Row], Wanted, BinaryIO], int]
Fill = Callable[[Source, Plan, Path], None]


@dataclass(frozen=True)
class Format:
    """One format. `write` makes a file, `fill` a folder. `needs` are columns without which a row is left out; `takes`
    are the options that mean something to it; `alone`: it can hold one database only."""

    name: str
    suffix: str = ""
    write: Stream | None = None
    fill: Fill | None = None
    binary: bool = False
    needs: tuple[str, ...] = ()
    takes: frozenset[str] = frozenset()
    alone: bool = False
    images: tuple[str, ...] = ()
    shard_bytes: int = SHARD_BYTES

    @property
    def to_stdout_by_default(self) -> bool:
        return self.write is not None and not self.binary

    def lacks(self, wanted: Wanted) -> tuple[str, ...]:
        """The columns that a row must have."""
        return tuple(wanted.score if name == SCORE else name for name in self.needs)


_TABLE = frozenset({"columns", "scale"})
_TEXT = _TABLE | {"spreadsheet"}
_TYPED = _TABLE | {"exact"}
_SCORED = frozenset({"dimension", "scale"})
_FOLDER = _TABLE | {"images"}
_HERE = ("image_path",)
_RATED = ("image_path", SCORE)

FORMATS: dict[str, Format] = {
    each.name: each
    for each in (
        Format("csv", ".csv", write_csv, takes=_TEXT),
        Format("tsv", ".tsv", write_tsv, takes=_TEXT),
        Format("jsonl", ".jsonl", write_jsonl, takes=_TABLE),
        Format("parquet", ".parquet", write_parquet, binary=True, takes=_TYPED),
        Format("arrow", ".arrow", write_arrow, binary=True, takes=_TYPED),
        Format("feather", ".feather", write_feather, binary=True, takes=_TYPED),
        Format("pyiqa", ".csv", write_pyiqa, needs=_RATED, takes=_SCORED),
        Format("pyiqa-fr", ".csv", write_pyiqa_fr, needs=(*_RATED, "reference_path"), takes=_SCORED),
        Format("llava", ".json", write_llava, needs=_RATED, takes=frozenset({"dimension"})),
        Format("q-align", ".json", write_q_align, needs=_RATED, takes=frozenset({"dimension"})),
        Format("pairs", ".csv", write_pairs, needs=(SCORE, "prompt_id"), takes=_SCORED | {"margin"}),
        Format("pairs-jsonl", ".jsonl", write_pairs_jsonl, needs=(SCORE, "prompt_id"), takes=_SCORED | {"margin"}),
        Format("cmim", ".csv", write_cmim, needs=("mos_quality", "mos_alignment"), alone=True),
        Format("ma-agiqa", ".csv", write_name_prompt_mos, needs=(SCORE,), takes=_SCORED, alone=True),
        Format("m3-agiqa", ".csv", write_name_prompt_mos, needs=(SCORE,), takes=_SCORED, alone=True),
        Format("amff-net", ".txt", write_amff_net, needs=("mos_quality", "mos_alignment", "prompt"), alone=True),
        Format(
            "hf", fill=write_imagefolder, needs=_HERE, takes=_FOLDER, images=("copy", "link"), shard_bytes=UNIT_BYTES
        ),
        Format(
            "hf-parquet",
            fill=write_image_parquet,
            needs=_HERE,
            takes=_FOLDER | {"shard-size"},
            images=("copy", "none"),
        ),
        Format(
            "webdataset", fill=write_webdataset, needs=_HERE, takes=_FOLDER | {"shard-size"}, images=("copy", "none")
        ),
        Format(
            "croissant",
            fill=write_croissant,
            needs=_HERE,
            takes=_FOLDER,
            alone=True,
            images=("copy", "link", "none"),
            shard_bytes=UNIT_BYTES,
        ),
    )
}
