"""Hugging Face Hub (dataset repositories) and its content network on another host."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from doubles.fault_server import Exchange, Host
from doubles.faults import Blob, Faults

HUB = "huggingface.co"
CDN = "cdn-lfs.hf.co"
COMMIT = hashlib.sha1(b"first commit").hexdigest()
TOKEN = "hf_" + "a" * 34  # the token that the double accepts
LFS_FROM = 1000  # bytes; smaller files are answered by the Hub itself


@dataclass
class Repository:
    name: str
    blobs: dict[str, Blob]
    commit: str = COMMIT
    gated: bool = False
    private: bool = False
    signed: int = field(default=0)  # the signature in the newest link; older ones have expired after `Hub.expire`


class Hub:
    """Fault keys: `owner/name/path` for the bytes, `resolve owner/name/path` and `api owner/name` for the Hub."""

    def __init__(self) -> None:
        self.repositories: dict[str, Repository] = {}
        self.faults = Faults()
        self.tokens = {TOKEN}
        self.page = 1000  # entries of one page of a tree

    def add(self, name: str, files: dict[str, bytes], **about: Any) -> Repository:
        """Publish `files`; a repository that is there already keeps its other files."""
        before = self.repositories.get(name)
        blobs = {**(before.blobs if before else {}), **{path: Blob(data) for path, data in files.items()}}
        self.repositories[name] = Repository(name, blobs, **about)
        return self.repositories[name]

    def expire(self, name: str) -> None:
        """Every signed link handed out so far answers 403 from now on."""
        self.repositories[name].signed += 1

    def hosts(self) -> dict[str, Host]:
        return {HUB: self.serve_hub, CDN: self.serve_content}

    # -- content network -----------------------------------------------------------------------------

    def serve_content(self, exchange: Exchange) -> None:
        name, _, path = exchange.path_only.strip("/").partition("/-/")
        repository = self.repositories.get(name)
        blob = repository.blobs.get(path) if repository else None
        fault = self.faults.take(exchange.command, f"{name}/{path}")
        if repository is None or blob is None or exchange.query.get("Signature") != f"s{repository.signed}":
            exchange.page(403, b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", kind="application/xml")
            return
        exchange.send(blob, fault=fault)
        if fault and fault.then:
            repository.blobs[path] = fault.then

    # -- hub -----------------------------------------------------------------------------------------

    def serve_hub(self, exchange: Exchange) -> None:
        path = exchange.path_only
        if path == "/api/agent-harnesses":
            _json(exchange, 200, {"standardEnvVars": [], "harnesses": {}})
            return
        for repository in self.repositories.values():
            api, resolve = f"/api/datasets/{repository.name}", f"/datasets/{repository.name}/resolve/"
            if path == api or path.startswith((api + "/", resolve)):
                if repository.private and not self._accepted(exchange):
                    break
                if path.startswith(resolve):
                    self._resolve(exchange, repository, path.removeprefix(resolve))
                else:
                    self._api(exchange, repository, path.removeprefix(api))
                return
        _error(exchange, 401, "RepoNotFound", "Repository not found")  # the Hub's answer to an unknown name

    def _accepted(self, exchange: Exchange) -> bool:
        return exchange.asked("Authorization").removeprefix("Bearer ") in self.tokens

    def _resolve(self, exchange: Exchange, repository: Repository, rest: str) -> None:
        revision, _, path = rest.partition("/")
        blob = repository.blobs.get(path)
        fault = self.faults.take(exchange.command, f"resolve {repository.name}/{path}")
        head = (("X-Repo-Commit", repository.commit),)
        if fault:
            exchange.send(Blob(b""), fault=fault)
        elif revision not in ("main", repository.commit):
            _error(exchange, 404, "RevisionNotFound", f"Invalid rev id: {revision}")
        elif repository.gated and not self._accepted(exchange):
            status = 403 if exchange.asked("Authorization") else 401
            _error(exchange, status, "GatedRepo", f"Access to dataset {repository.name} is restricted.")
        elif blob is None:
            _error(exchange, 404, "EntryNotFound", "Entry not found", head)
        elif len(blob.data) < LFS_FROM:
            own = (*head, ("ETag", f'"{blob.git}"'))
            exchange.send(blob, headers=own, fault=self.faults.take(exchange.command, f"{repository.name}/{path}"))
        else:
            where = f"https://{CDN}/{repository.name}/-/{quote(path)}?Expires=1&Signature=s{repository.signed}"
            linked = (("X-Linked-Etag", f'"{blob.sha256}"'), ("X-Linked-Size", str(len(blob.data))))
            exchange.page(302, b"", (*head, *linked, ("Location", where)), "text/plain")

    def _api(self, exchange: Exchange, repository: Repository, rest: str) -> None:
        fault = self.faults.take(exchange.command, f"api {repository.name}")
        verb, _, place = rest.strip("/").partition("/")
        revision, _, below = place.partition("/")
        if fault:
            exchange.send(Blob(b""), fault=fault)
        elif revision and revision not in ("main", repository.commit):
            _error(exchange, 404, "RevisionNotFound", f"Invalid rev id: {revision}")
        elif verb == "tree":
            self._tree(exchange, repository, below)
        else:
            _json(exchange, 200, _info(repository, blobs="blobs" in exchange.path))

    def _tree(self, exchange: Exchange, repository: Repository, below: str) -> None:
        paths = [path for path in repository.blobs if not below or path.startswith(below + "/")]
        if below and not paths:
            _error(exchange, 404, "EntryNotFound", f"{below} does not exist")
            return
        cursor = int(exchange.query.get("cursor", "0"))
        following = cursor + self.page
        blobs = [(path, repository.blobs[path]) for path in paths[cursor:following]]
        rows = [{"type": "file", "path": path, "oid": blob.git, "size": len(blob.data)} | _lfs("oid", blob)
                for path, blob in blobs]  # fmt: skip
        link = f'<https://{HUB}{exchange.path_only}?recursive=true&expand=false&cursor={following}>; rel="next"'
        _json(exchange, 200, rows, (("Link", link),) if following < len(paths) else ())


def _info(repository: Repository, *, blobs: bool) -> dict[str, Any]:
    siblings = []
    for path, blob in repository.blobs.items():
        more = {"size": len(blob.data), "blobId": blob.git} | _lfs("sha256", blob) if blobs else {}
        siblings.append({"rfilename": path} | more)
    return {
        "id": repository.name,
        "sha": repository.commit,
        "private": repository.private,
        "gated": "auto" if repository.gated else False,
        "disabled": False,
        "lastModified": "2026-01-01T00:00:00.000Z",
        "tags": [],
        "downloads": 0,
        "likes": 0,
        "siblings": siblings,
    }


def _lfs(key: str, blob: Blob) -> dict[str, Any]:
    if len(blob.data) < LFS_FROM:
        return {}
    return {"lfs": {key: blob.sha256, "size": len(blob.data), "pointerSize": 134}}


def _json(exchange: Exchange, status: int, value: Any, headers: tuple[tuple[str, str], ...] = ()) -> None:
    exchange.page(status, json.dumps(value).encode(), headers, "application/json")


def _error(exchange: Exchange, status: int, code: str, text: str, headers: tuple[tuple[str, str], ...] = ()) -> None:
    _json(exchange, status, {"error": text}, (*headers, ("X-Error-Code", code), ("X-Error-Message", text)))
