"""Everything on disk: paths, locks, the commit protocol, records. No other room writes below the root."""

from __future__ import annotations

from aigiqa_cli.machine import machine_faults
from aigiqa_cli.store.durable import fsync_folder, whole_file, write_whole
from aigiqa_cli.store.locks import ROOT_INDEX, locked
from aigiqa_cli.store.mending import Mend, is_sound, mend
from aigiqa_cli.store.records import (
    Record,
    StoredSource,
    installed_ids,
    read_record,
    read_records,
)
from aigiqa_cli.store.root import Root, find_root
from aigiqa_cli.store.staging import CHECKSUMS, Staging, heal, is_prepared, staged, unfinished, withdraw, withdrawn
from aigiqa_cli.store.stored_files import StoredFile, StoredFiles
from aigiqa_cli.store.sweeping import Leftover, discard, drop_replaced, leftovers, retire

__all__ = [
    "CHECKSUMS", "ROOT_INDEX", "Leftover", "Mend", "Record", "Root", "Staging", "StoredFile", "StoredFiles",
    "StoredSource", "discard", "drop_replaced", "find_root", "fsync_folder", "heal", "installed_ids", "is_prepared",
    "is_sound", "leftovers", "locked", "machine_faults", "mend", "read_record", "read_records", "retire", "staged",
    "unfinished", "whole_file", "withdraw", "withdrawn", "write_whole",
]  # fmt: skip
