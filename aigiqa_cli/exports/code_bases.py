"""cmim, ma-agiqa, m3-agiqa, amff-net: the tables that published code for these databases reads.

Each names the images by their bare names, as all of them keep the images of a database in one folder: give them
`$(aigiqa path DB)/images`, or a link to it. What they read is said by their own loaders:

    cmim      Buka-Xing/CMIM-AIGIQA, ImageDataset.py, AGIQA3kDataset_pyiqa: columns 0, 1, 5 and 7 below a header
    ma-agiqa  wangpuyi/MA-AGIQA, utils/process.py, dataset_general: the columns name and mos of info_train.csv
    m3-agiqa  strawhatboy/M3-AGIQA, dataset.py, load_and_split_data: name, prompt and `label_name` of data.csv
    amff-net  TanSongBai/AMFF-Net, ImageDataset4.py: lines of path, scores and prompt between tabs
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import BinaryIO

from aigiqa_cli.errors import UsageFault
from aigiqa_cli.exports.columns import Row
from aigiqa_cli.exports.wanted import Wanted
from aigiqa_cli.index import write_rows

_FREE = ("adj1", "adj2", "style")  # further columns of the nine, where `extra` has them


def write_cmim(rows: Iterable[Row], _wanted: Wanted, stream: BinaryIO) -> int:
    """`name,prompt,adj1,adj2,style,mos_quality,std_quality,mos_align,std_align`: quality and alignment at once."""
    columns = {
        "mos_quality": "mos_quality", "std_quality": "std_quality", "mos_align": "mos_alignment",
        "std_align": "std_alignment",
    }  # fmt: skip

    def line(row: Row) -> dict[str, str]:
        extra = json.loads(row["extra"] or "{}")
        free = {name: str(extra.get(name, "")) for name in _FREE}
        return {"name": row["image_id"], "prompt": row["prompt"], **free, **{n: row[c] for n, c in columns.items()}}

    return write_rows(stream, map(line, rows), ("name", "prompt", *_FREE, *columns))


def write_name_prompt_mos(rows: Iterable[Row], wanted: Wanted, stream: BinaryIO) -> int:
    """`name,prompt,mos`, for MA-AGIQA as `info_train.csv`, for M3-AGIQA as `data.csv` with `label_name: mos`. CMIM's
    AGIQA1kDataset_pyiqa reads the same three by place."""
    columns = {"name": "image_id", "prompt": "prompt", "mos": wanted.score}
    table = ({name: row[column] for name, column in columns.items()} for row in rows)
    return write_rows(stream, table, tuple(columns))


def write_amff_net(rows: Iterable[Row], _wanted: Wanted, stream: BinaryIO) -> int:
    """Lines of `images/NAME`, quality, authenticity, alignment, prompt; without authenticity where the database has
    none (the loader's `is_aigc2013`). The folder is `$(aigiqa path DB)`. White space in a prompt becomes one blank: the
    loader splits at tabs and line ends."""
    count, authenticity = 0, False
    for count, row in enumerate(rows, 1):
        if count == 1:
            authenticity = bool(row["mos_authenticity"])
        if authenticity != bool(row["mos_authenticity"]):
            raise UsageFault(
                f"{row['image_id']} has not the scores that the images before it have, and this format has one shape",
                hint='--where "mos_authenticity IS NOT NULL"',
            )
        scores = [row["mos_quality"], *([row["mos_authenticity"]] if authenticity else []), row["mos_alignment"]]
        stream.write(
            ("\t".join([f"images/{row['image_id']}", *scores, " ".join(row["prompt"].split())]) + "\n").encode()
        )
    return count
