"""A file in a dataset repository of the Hugging Face Hub, or of a server that speaks its protocol."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from aigiqa_cli.errors import Fault, PersonNeeded, RefusedInput
from aigiqa_cli.mirrors.record import Mirror, is_commit
from aigiqa_cli.mirrors.surroundings import lent, proxies
from aigiqa_cli.transport.model import Closed, Leaf, Listing, Request
from aigiqa_cli.transport.redact import cleaned
from aigiqa_cli.transport.session import Session

if TYPE_CHECKING:
    from huggingface_hub.errors import HfHubHTTPError

ENDPOINT = "https://huggingface.co"
_SHA256 = re.compile(r"[0-9a-f]{64}")
_LONG_ANSWER = 4  # times the usual patience for one answer that lists tens of thousands of files
LONGEST_LIST = 50_000  # files in one answer; the Hub may cut a longer list
_OWN_FILES = (".gitattributes", ".gitignore")  # of the repository itself: every one has the first


def resolve(mirror: Mirror, session: Session) -> Request:
    """Ask the Hub for size and hash; the bytes come from the address at the commit, by our own transport."""
    endpoint, token = endpoint_of(session), session.settings.get("HF_TOKEN", "").strip()
    url = _url(mirror.repo, mirror.path, mirror.revision, endpoint)
    session.gate(url)
    found = _metadata(url, token, endpoint, mirror, session)
    commit = found.commit_hash or ""
    if is_commit(commit) and commit != mirror.revision:
        url = _url(mirror.repo, mirror.path, commit, endpoint)
    etag = found.etag or ""
    return Request(
        url=url,
        token=token,
        bytes=found.size,
        sha256=etag if _SHA256.fullmatch(etag) else "",
        fixed=is_commit(commit or mirror.revision),
    )


def listing(mirror: Mirror, session: Session) -> Listing:
    """Every file below `mirror.path` at one commit: length, and SHA-256 or git's own hash. One call lists them all;
    of a repository so large that the Hub may leave files out of that answer the folder alone is listed, page by page.
    """
    endpoint, token = endpoint_of(session), session.settings.get("HF_TOKEN", "").strip()
    session.gate(_url(mirror.repo, "x", mirror.revision, endpoint))
    found = _dataset(mirror, token, endpoint, session)
    commit = found.sha or mirror.revision
    start = _url(mirror.repo, "", commit, endpoint)
    entries = [(entry.rfilename, entry) for entry in found.siblings or ()]
    if len(entries) >= LONGEST_LIST:
        entries = _folder(mirror, commit, token, endpoint, session)
    below = f"{mirror.path}/" if mirror.path else ""
    leaves = tuple(_leaf(path, entry, start) for path, entry in entries if path.startswith(below))
    if all(leaf.path in _OWN_FILES for leaf in leaves):
        raise PersonNeeded(
            f"{mirror.repo} has no files{f' below {mirror.path}' if mirror.path else ''}: it is empty or gone",
            hint=f"see {endpoint}/datasets/{mirror.repo}",
            fault="N07",
        )
    return Listing(leaves, token, fixed=is_commit(commit), closed=_gated(mirror, token, endpoint))


def _leaf(path: str, entry: Any, start: str) -> Leaf:
    url, blob = f"{start}{quote(path)}", entry.blob_id or ""
    if entry.lfs is None:
        return Leaf(path, url, entry.size, tag=blob, blob=blob)
    return Leaf(path, url, entry.lfs.size, entry.lfs.sha256, tag=blob)


def _folder(mirror: Mirror, commit: str, token: str, endpoint: str, session: Session) -> list[tuple[str, Any]]:
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import RepoFile

    api = HfApi(endpoint=endpoint, token=token or False)
    with _asked(mirror, token, endpoint, session):
        found = api.list_repo_tree(
            mirror.repo, mirror.path or None, recursive=True, revision=commit or None, repo_type="dataset"
        )
        return [(entry.path, entry) for entry in found if isinstance(entry, RepoFile)]


def _dataset(mirror: Mirror, token: str, endpoint: str, session: Session) -> Any:
    from huggingface_hub import HfApi

    api = HfApi(endpoint=endpoint, token=token or False)
    patience = session.limits.silence * _LONG_ANSWER
    with _asked(mirror, token, endpoint, session):
        return api.dataset_info(mirror.repo, revision=mirror.revision or None, files_metadata=True, timeout=patience)


def endpoint_of(session: Session) -> str:
    return (session.settings.get("HF_ENDPOINT", "").strip() or ENDPOINT).rstrip("/")


def _url(repo: str, path: str, revision: str, endpoint: str) -> str:
    _prepare()
    from huggingface_hub import hf_hub_url
    from huggingface_hub.errors import HFValidationError

    try:
        return hf_hub_url(repo, path, repo_type="dataset", revision=revision or None, endpoint=endpoint)
    except HFValidationError as error:
        raise RefusedInput(f"{repo} is no repository name: {cleaned(str(error))}", fault="M06") from error


def _metadata(url: str, token: str, endpoint: str, mirror: Mirror, session: Session) -> Any:
    from huggingface_hub import get_hf_file_metadata

    with _asked(mirror, token, endpoint, session):
        return get_hf_file_metadata(url, token=token or False, endpoint=endpoint, timeout=session.limits.connect)


@contextmanager
def _asked(mirror: Mirror, token: str, endpoint: str, session: Session) -> Iterator[None]:
    """A question that the library asks: with our settings, and with its errors in the vocabulary of this program."""
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    with _settings(session):
        try:
            yield
        except HfHubHTTPError as error:
            raise _meaning(error, mirror, token, endpoint, session) from error
        except OfflineModeIsEnabled as error:
            raise PersonNeeded("HF_HUB_OFFLINE forbids to ask the Hub", fault="N24") from error
        except _transport_errors() as error:
            raise _lost(error, endpoint, session) from error
        except (ValueError, TypeError, KeyError) as error:
            host = endpoint.partition("://")[2]
            said = "answered with something that the Hub's library cannot read"
            raise PersonNeeded(f"{host} {said}", fault="N06") from error


def _meaning(error: HfHubHTTPError, mirror: Mirror, token: str, endpoint: str, session: Session) -> Fault:
    """The Hub's answer in the vocabulary of this program."""
    from huggingface_hub import errors as hub

    from aigiqa_cli.transport.answer import status_fault

    page = f"{endpoint}/datasets/{mirror.repo}"
    if isinstance(error, hub.GatedRepoError):
        return _gated(mirror, token, endpoint)
    if isinstance(error, hub.DisabledRepoError):
        return PersonNeeded(f"{mirror.repo} was disabled by the host", fault="N07")
    if isinstance(error, hub.RevisionNotFoundError):
        return PersonNeeded(f"{mirror.repo} has no revision {mirror.revision}: it is gone", fault="N07")
    if isinstance(error, hub.EntryNotFoundError):
        return PersonNeeded(f"{mirror.repo} has no file {mirror.path}: it is gone", fault="N07")
    if isinstance(error, hub.RepositoryNotFoundError):
        return PersonNeeded(f"{mirror.repo} is not there: it is gone or private", hint=f"see {page}", fault="N07")
    host = endpoint.partition("://")[2]
    return status_fault(error.response.status_code, error.response.headers, host, session.limits)


def _gated(mirror: Mirror, token: str, endpoint: str) -> Closed:
    """The Hub lists to everybody what it gives out only to those who have accepted its terms."""
    token_hint = "" if token else " and set HF_TOKEN"
    return Closed(
        f"{mirror.repo} is given out only after its terms are accepted",
        hint=f"open {endpoint}/datasets/{mirror.repo}, accept the terms{token_hint}, then run the same command again",
        fault="N07",
    )


def _lost(error: Exception, endpoint: str, session: Session) -> Fault:
    from aigiqa_cli.transport.answer import trouble

    fault = trouble(error, endpoint.partition("://")[2])
    fault.message = session.redact(fault.message)
    return fault


def _transport_errors() -> tuple[type[Exception], ...]:
    """The base of the network errors of the library's HTTP client, which has changed its name before."""
    from huggingface_hub.errors import HfHubHTTPError

    clients = tuple(base for base in HfHubHTTPError.__bases__ if not issubclass(base, OSError))
    return (*clients, OSError)


def _prepare() -> None:
    """No statistics and no content store of its own. The library reads both once, when it is imported."""
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    os.environ["HF_HUB_DISABLE_XET"] = "1"


@contextmanager
def _settings(session: Session) -> Iterator[None]:
    """Give the library's client our proxies and certificates; it reads them from the environment when made."""
    from huggingface_hub import close_session

    wanted = proxies(session)
    certificates = session.certificates()
    if certificates:
        wanted["SSL_CERT_DIR" if os.path.isdir(certificates) else "SSL_CERT_FILE"] = certificates
    with lent(wanted):
        close_session()
        try:
            yield
        finally:
            close_session()
