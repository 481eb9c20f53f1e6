"""GitHub: files of a repository at a revision, as the raw host gives them."""

from __future__ import annotations

from urllib.parse import quote

from doubles.fault_server import Exchange, Host
from doubles.faults import Blob, Faults

SITE = "github.com"
RAW = "raw.githubusercontent.com"


class GitHub:
    """Fault keys: `owner/repository/revision/path`."""

    def __init__(self) -> None:
        self.blobs: dict[str, Blob] = {}
        self.faults = Faults()

    def add(self, repository: str, revision: str, files: dict[str, bytes], *, lfs: bool = False) -> None:
        """`lfs`: the files are tracked by Git LFS, so the raw host answers with their pointers."""
        for path, data in files.items():
            blob = Blob(data, modified=None, type="text/plain; charset=utf-8")
            kept = Blob(pointer(blob), modified=None, type=blob.type) if lfs else blob
            self.blobs[f"{repository}/{revision}/{path}"] = kept

    def hosts(self) -> dict[str, Host]:
        return {SITE: self.serve_site, RAW: self.serve_raw}

    def serve_raw(self, exchange: Exchange) -> None:
        key = exchange.path_only.removeprefix("/")
        fault, blob = self.faults.take(exchange.command, key), self.blobs.get(key)
        if blob is None and fault is None:
            exchange.page(404, b"404: Not Found", kind="text/plain; charset=utf-8")
            return
        exchange.send(blob or Blob(b""), fault=fault)
        if fault and fault.then:
            self.blobs[key] = fault.then

    def serve_site(self, exchange: Exchange) -> None:
        """github.com/OWNER/REPOSITORY/raw/REVISION/PATH leads to the raw host."""
        parts = exchange.path_only.removeprefix("/").split("/", 3)
        if len(parts) == 4 and parts[2] == "raw":
            where = f"https://{RAW}/" + quote(f"{parts[0]}/{parts[1]}/{parts[3]}")
            exchange.page(302, b"", (("Location", where),))
        else:
            exchange.page(404, b"<html><head><title>Page not found</title></head></html>")


def pointer(blob: Blob) -> bytes:
    text = f"version https://git-lfs.github.com/spec/v1\noid sha256:{blob.sha256}\nsize {len(blob.data)}\n"
    return text.encode()
