"""Everything on disk: paths, locks, the commit protocol, records. No other room writes below the root."""

from __future__ import annotations

from aigiqa_cli.store.durable import fsync_folder, machine_faults, whole_file, write_whole
from aigiqa_cli.store.locks import ROOT_INDEX, locked
from aigiqa_cli.store.records import (
    Record,
    StoredFile,
    StoredSource,
    installed_ids,
    read_record,
    read_records,
)
from aigiqa_cli.store.root import Root, find_root
from aigiqa_cli.store.staging import Staging, heal, staged, withdraw
from aigiqa_cli.store.sweeping import Leftover, discard, drop_replaced, leftovers, retire

__all__ = [
    "ROOT_INDEX", "Leftover", "Record", "Root", "Staging", "StoredFile", "StoredSource", "discard", "drop_replaced",
    "find_root", "fsync_folder", "heal", "installed_ids", "leftovers", "locked", "machine_faults", "read_record",
    "read_records", "retire", "staged", "whole_file", "withdraw", "write_whole",
]  # fmt: skip
