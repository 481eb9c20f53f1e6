"""pyiqa, pyiqa-fr: the meta information files of IQA-PyTorch (pyiqa).

Its `GeneralNRDataset` reads the csv with pandas and takes the columns by place: name below `dataroot_target`, MOS. Its
`GeneralFRDataset`: reference below `dataroot_ref`, name, MOS. A split is a column whose name holds "split" and whose
cells are train, val or test (option `split_index: split`), so no pickled split file is needed. Source:
pyiqa/data/{base_iqa,general_nr,general_fr}_dataset.py of chaofengc/IQA-PyTorch.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import BinaryIO

from aigiqa_cli.exports.columns import Row
from aigiqa_cli.exports.wanted import Wanted
from aigiqa_cli.index import write_rows


def write_pyiqa(rows: Iterable[Row], wanted: Wanted, stream: BinaryIO) -> int:
    """`img_name,mos,std,split`; names are below the data root, so that it is `dataroot_target`."""
    return _write(rows, wanted, stream, {"img_name": "image_path"})


def write_pyiqa_fr(rows: Iterable[Row], wanted: Wanted, stream: BinaryIO) -> int:
    """`ref_name,dist_name,mos,std,split`, of the images that have a reference; both roots are the data root."""
    return _write(rows, wanted, stream, {"ref_name": "reference_path", "dist_name": "image_path"})


def _write(rows: Iterable[Row], wanted: Wanted, stream: BinaryIO, names: dict[str, str]) -> int:
    source = names | {"mos": wanted.score, "std": wanted.deviation, "split": "split"}
    table = ({header: row.get(column, "") for header, column in source.items()} for row in rows)
    return write_rows(stream, table, tuple(source))
