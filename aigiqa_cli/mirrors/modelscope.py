"""A file or folder of a dataset on ModelScope: its client lists names, lengths and hashes, the bytes are ours to move.

Only `modelscope_hub`, the client half, is imported: `import modelscope` pulls in torch wherever torch is installed.
"""

from __future__ import annotations

import logging
import os
import re
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from aigiqa_cli.errors import Fault, PersonNeeded
from aigiqa_cli.mirrors.record import Mirror, is_commit
from aigiqa_cli.mirrors.surroundings import lent, proxies
from aigiqa_cli.transport.model import Later, Leaf, Listing, Request
from aigiqa_cli.transport.session import Session

if TYPE_CHECKING:
    from modelscope_hub import HubApi
    from modelscope_hub.errors import APIError

ENDPOINT = "https://modelscope.cn"
BRANCH = "master"
COOKIE = "m_session_id"  # older parts of the host look for the token there
_SHA256 = re.compile(r"[0-9a-f]{64}")
_OWN_FILES = (".gitattributes", ".gitignore")


def resolve(mirror: Mirror, session: Session) -> Request:
    """One file: length and hash from the listing, which is asked for once in a run."""
    if not mirror.path:
        raise PersonNeeded(
            f"nobody has published which file of {mirror.repo} on ModelScope it is",
            hint=f"see {_page(mirror, session)}",
            fault="N07",
        )
    leaf = next((leaf for leaf in _leaves(mirror, session) if leaf.path == mirror.path), None)
    if leaf is None:
        raise PersonNeeded(
            f"{mirror.repo} on ModelScope has no file {mirror.path}: it is gone",
            hint=f"see {_page(mirror, session)}",
            fault="N07",
        )
    token = _token(session)
    return Request(
        leaf.url,
        token,
        COOKIE if token else "",
        leaf.bytes,
        leaf.sha256,
        fixed=is_commit(mirror.revision),
        unhashed=not leaf.sha256,
    )


def listing(mirror: Mirror, session: Session) -> Listing:
    """Every file below `mirror.path`, or of the whole set."""
    below = f"{mirror.path}/" if mirror.path else ""
    leaves = tuple(leaf for leaf in _leaves(mirror, session) if leaf.path.startswith(below))
    if not leaves:
        raise PersonNeeded(
            f"{mirror.repo} on ModelScope has no files below {mirror.path}: they are gone",
            hint=f"see {_page(mirror, session)}",
            fault="N07",
        )
    token = _token(session)
    return Listing(leaves, token, COOKIE if token else "", fixed=is_commit(mirror.revision))


def endpoint_of(session: Session) -> str:
    """Where the set is asked for; a bare host name means https."""
    found = (session.settings.get("MODELSCOPE_ENDPOINT", "").strip() or ENDPOINT).rstrip("/")
    return found if "://" in found else f"https://{found}"


def _leaves(mirror: Mirror, session: Session) -> tuple[Leaf, ...]:
    """The files of the whole set, as the host listed them first in this run."""
    endpoint, revision = endpoint_of(session), mirror.revision or BRANCH
    session.gate(f"{endpoint}/api/v1/datasets/{quote(mirror.repo)}")
    key = ("modelscope", endpoint, mirror.repo, revision)
    if key not in session.remembered:
        session.remembered[key] = tuple(_list(mirror, revision, endpoint, session))
    leaves: tuple[Leaf, ...] = session.remembered[key]
    if all(leaf.path in _OWN_FILES for leaf in leaves):
        raise PersonNeeded(
            f"the page of {mirror.repo} on ModelScope shows no files",
            hint=f"see {_page(mirror, session)}; the owner may give them out in another way",
            fault="N07",
        )
    return leaves


def _list(mirror: Mirror, revision: str, endpoint: str, session: Session) -> Iterator[Leaf]:
    with _asked(mirror, endpoint, session) as api:
        entries = api.list_repo_files(mirror.repo, "dataset", revision=revision)
    for entry in entries:
        if entry.is_dir:
            continue
        words = urlencode({"Revision": revision, "FilePath": entry.path}, quote_via=quote)
        sha256 = (entry.sha256 or "").lower()
        yield Leaf(
            entry.path,
            f"{endpoint}/api/v1/datasets/{quote(mirror.repo)}/repo?{words}",
            entry.size,
            sha256 if _SHA256.fullmatch(sha256) else "",
            tag=f"{entry.blob_id or ''} {entry.last_modified or ''}".strip(),
        )


@contextmanager
def _asked(mirror: Mirror, endpoint: str, session: Session) -> Iterator[HubApi]:
    """The client for one question: with our settings, a home that is gone afterwards, and errors in our vocabulary."""
    with tempfile.TemporaryDirectory(prefix="modelscope-", dir=session.scratch) as home, lent(_wanted(session, home)):
        _import_quietly()
        from modelscope_hub import HubApi, HubConfig
        from modelscope_hub.errors import APIError, HubError

        token = _token(session)
        config = HubConfig(endpoint=endpoint, token=token, cache_dir=Path(home), config_dir=Path(home))
        try:
            yield HubApi(config)
        except APIError as error:
            raise _meaning(error, mirror, endpoint, session) from error
        except (ValueError, TypeError, AttributeError, KeyError) as error:
            host = endpoint.partition("://")[2]
            raise PersonNeeded(f"{host} answered with something that is no list of files", fault="N06") from error
        except (HubError, OSError) as error:
            raise _lost(error, endpoint, session) from error


def _wanted(session: Session, home: str) -> dict[str, str | None]:
    """What the client reads from the environment, partly when it is imported. A page of a listing is tried a few times
    by the client, which would lose all pages before it; a host that is away is waited for by us."""
    return proxies(session) | {
        "REQUESTS_CA_BUNDLE": session.certificates() or None,
        "CURL_CA_BUNDLE": None,
        "NETRC": os.devnull,  # passwords of other programs are none of its business
        "MODELSCOPE_HOME": home,
        "MODELSCOPE_CACHE": home,
        "MODELSCOPE_REPO_TREE_PAGE_MAX_ATTEMPTS": "3",
        "MODELSCOPE_REPO_TREE_PAGE_RETRY_MAX_DELAY_SECONDS": str(int(session.limits.retry_after)),
    }


def _import_quietly() -> None:
    """Its logger would write to the terminal, unless it has a handler already."""
    logger = logging.getLogger("modelscope_hub")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
    logger.propagate = False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about variables that it calls deprecated
        import modelscope_hub  # noqa: F401 - read here, while the warnings are off


def _meaning(error: APIError, mirror: Mirror, endpoint: str, session: Session) -> Fault:
    from modelscope_hub import errors as hub

    from aigiqa_cli.transport.answer import status_fault

    page = _page(mirror, session)
    token_hint = "" if _token(session) else ", and set MODELSCOPE_API_TOKEN if it is private"
    if isinstance(error, hub.NotExistError):
        return PersonNeeded(
            f"{mirror.repo} is not on ModelScope: it is gone or private", hint=f"see {page}{token_hint}", fault="N07"
        )
    if isinstance(error, (hub.AuthenticationError, hub.PermissionDeniedError)):
        return PersonNeeded(
            f"{mirror.repo} on ModelScope needs a permission", hint=f"see {page}{token_hint}", fault="N07"
        )
    host = endpoint.partition("://")[2]
    asked = getattr(error, "retry_after", None)
    headers = {} if asked is None else {"Retry-After": str(int(asked))}
    return status_fault(_status(error), headers, host, session.limits)


def _status(error: APIError) -> int:
    """Too many requests are known by their class: a code in the body may say so under another status."""
    from modelscope_hub.errors import RateLimitError, ServerError

    if isinstance(error, RateLimitError):
        return 429
    return error.status_code or (503 if isinstance(error, ServerError) else 400)


def _lost(error: Exception, endpoint: str, session: Session) -> Fault:
    from aigiqa_cli.transport.answer import trouble

    fault = trouble(error, endpoint.partition("://")[2])
    if isinstance(fault, Later):
        fault.message = session.redact(fault.message)
    return fault


def _token(session: Session) -> str:
    return session.settings.get("MODELSCOPE_API_TOKEN", "").strip()


def _page(mirror: Mirror, session: Session) -> str:
    return f"{endpoint_of(session)}/datasets/{mirror.repo}/files"
