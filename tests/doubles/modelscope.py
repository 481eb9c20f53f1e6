"""ModelScope: the interface that its client calls for datasets, and its content network on another host.

A file below LFS_FROM bytes is answered by the host itself, which then ignores Range. A private set is not told from
a missing one. Nothing here was compared with the real service.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

from doubles.fault_server import Exchange, Host
from doubles.faults import Blob, Faults

SCOPE = "modelscope.cn"
SCOPE_CDN = "cdn-lfs-cn-1.modelscope.cn"
SCOPE_TOKEN = "ms-0123456789abcdef"
LFS_FROM = 1000  # bytes
MISSING = 10010205001


@dataclass
class Set:
    name: str
    blobs: dict[str, Blob]
    private: bool = False
    hashes: bool = True  # the listing states SHA-256


class ModelScope:
    """Fault keys: `owner/name/path` for the bytes, `file owner/name/path` for the host's answer before them,
    `tree owner/name` for a page of the listing."""

    def __init__(self) -> None:
        self.sets: dict[str, Set] = {}
        self.faults = Faults()
        self.tokens = {SCOPE_TOKEN}

    def add(self, name: str, files: dict[str, bytes], **about: Any) -> Set:
        """Publish `files`; a set that is there already keeps its other files."""
        before = self.sets.get(name)
        blobs = {**(before.blobs if before else {}), **{path: Blob(data) for path, data in files.items()}}
        self.sets[name] = Set(name, blobs, **about)
        return self.sets[name]

    def hosts(self) -> dict[str, Host]:
        return {SCOPE: self.serve, SCOPE_CDN: self.serve_content}

    def serve_content(self, exchange: Exchange) -> None:
        name, _, path = exchange.path_only.removeprefix("/lfs/").partition("/-/")
        found = self.sets.get(name)
        blob = found.blobs.get(path) if found else None
        fault = self.faults.take(exchange.command, f"{name}/{path}")
        if found is None or blob is None or "Signature" not in exchange.query:
            exchange.page(403, b"<Error><Code>AccessDenied</Code></Error>", kind="application/xml")
            return
        exchange.send(blob, fault=fault)
        if fault and fault.then:
            found.blobs[path] = fault.then

    def serve(self, exchange: Exchange) -> None:
        path = exchange.path_only
        if path == "/api/v1/repos/internalAccelerationInfo":
            _answer(exchange, {"InternalRegionQueryAddress": ""})
            return
        for found in self.sets.values():
            base = f"/api/v1/datasets/{found.name}"
            if not (path == base or path.startswith(base + "/")) or (found.private and not self._accepted(exchange)):
                continue
            if exchange.query.get("Revision", "master") != "master":
                _missing(exchange, "revision not found")
            elif path == base:
                _answer(exchange, {"Id": 1, "Name": found.name})
            elif path == base + "/repo/tree":
                self._tree(exchange, found)
            elif path == base + "/repo":
                self._file(exchange, found, exchange.query.get("FilePath", ""))
            else:
                _missing(exchange, "no such call")
            return
        _missing(exchange, "the set does not exist, or you may not see it")

    def _accepted(self, exchange: Exchange) -> bool:
        cookie = exchange.asked("Cookie").partition("m_session_id=")[2].partition(";")[0]
        return bool({cookie, exchange.asked("Authorization").removeprefix("Bearer ")} & self.tokens)

    def _tree(self, exchange: Exchange, found: Set) -> None:
        if fault := self.faults.take(exchange.command, f"tree {found.name}"):
            exchange.send(Blob(b""), fault=fault)
            return
        paths = [*sorted({path.partition("/")[0] + "/" for path in found.blobs if "/" in path}), *found.blobs]
        size = int(exchange.query.get("PageSize", "200"))
        first = (int(exchange.query.get("PageNumber", "1")) - 1) * size
        _answer(
            exchange,
            {"Files": [_row(found, path) for path in paths[first : first + size]], "TotalCount": len(paths)},
        )

    def _file(self, exchange: Exchange, found: Set, path: str) -> None:
        blob = found.blobs.get(path)
        fault = self.faults.take(exchange.command, f"file {found.name}/{path}")
        if fault:
            exchange.send(Blob(b""), fault=fault)
        elif blob is None:
            _missing(exchange, "file not found")
        elif len(blob.data) < LFS_FROM:
            small = replace(blob, ranges=False)
            exchange.send(small, fault=self.faults.take(exchange.command, f"{found.name}/{path}"))
        else:
            where = f"https://{SCOPE_CDN}/lfs/{found.name}/-/{quote(path)}?Expires=1&Signature=x"
            exchange.page(302, b"", (("Location", where), ("X-Linked-ETag", blob.tag)), "text/plain")


def _row(found: Set, path: str) -> dict[str, Any]:
    about = {"Name": path.strip("/").rpartition("/")[2], "Path": path.strip("/"), "Revision": "a" * 40}
    if path.endswith("/"):
        return about | {"Type": "tree", "Size": 0}
    blob = found.blobs[path]
    stated = {"Sha256": blob.sha256} if found.hashes else {}
    large = len(blob.data) >= LFS_FROM
    return about | {"Type": "blob", "Size": len(blob.data), "IsLFS": large, "CommittedDate": 1_700_000_000} | stated


def _answer(exchange: Exchange, data: Any, status: int = 200, code: int = 200, message: str = "success") -> None:
    body = {"Code": code, "Data": data, "Message": message, "RequestId": "r", "Success": status == 200}
    exchange.page(status, json.dumps(body).encode(), kind="application/json")


def _missing(exchange: Exchange, message: str) -> None:
    _answer(exchange, None, 404, MISSING, message)
