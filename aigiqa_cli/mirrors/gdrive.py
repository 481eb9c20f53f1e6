"""A file on Google Drive by its id: the link, the content host, and for large files the form in between."""

from __future__ import annotations

from urllib.parse import urlencode, urlsplit

from aigiqa_cli.errors import PersonNeeded
from aigiqa_cli.mirrors.record import Mirror
from aigiqa_cli.transport.answer import Answer, status_fault
from aigiqa_cli.transport.model import Request
from aigiqa_cli.transport.pages import page_instead
from aigiqa_cli.transport.session import Session, WebPage

_LINK = "https://drive.google.com/uc"
_SIGN_IN = "accounts.google.com"
_QUOTA = "too many users have viewed or downloaded"


def resolve(mirror: Mirror, session: Session) -> Request:
    """Ask the link; a file is taken as it comes, a page is read for its form or its reason."""
    link = f"{_LINK}?{urlencode({'export': 'download', 'id': mirror.id})}"
    with session.open(link) as answer:
        if answer.host == _SIGN_IN:
            raise _closed(mirror)
        page = answer.content_type == "text/html"
        if answer.status == 200 and not page:  # noqa: PLR2004
            return Request(url=answer.url, bytes=None if answer.encoding else answer.length)
        if answer.status == 404:  # noqa: PLR2004
            raise PersonNeeded(f"Google Drive knows no file {mirror.id}: it is gone", fault="N07")
        if answer.status != 200:  # noqa: PLR2004
            raise _refusal(answer, session)
        return Request(url=_after(session.read_page(answer), mirror))


def _after(page: WebPage, mirror: Mirror) -> str:
    """The address that the warning page's form leads to, as gdown reads it."""
    from gdown.download import get_url_from_gdrive_confirmation
    from gdown.exceptions import FileURLRetrievalError

    try:
        found = get_url_from_gdrive_confirmation(page.text)
    except FileURLRetrievalError as error:
        if _QUOTA in f"{error} {page.text}".lower():
            raise PersonNeeded(
                "host quota: too many users have viewed or downloaded this file lately",
                hint="try again in some hours, or open the link in a browser, copy the file to a Drive of "
                "your own and download that copy",
                fault="N06",
            ) from error
        raise _closed(mirror) from error
    host = urlsplit(found).hostname or ""
    if not (host == "google.com" or host.endswith((".google.com", ".googleusercontent.com"))):
        raise PersonNeeded("the form of Google Drive leads to another host", fault="N10")
    return str(found)


def _closed(mirror: Mirror) -> PersonNeeded:
    return PersonNeeded(
        f"Google Drive asks for a sign-in: the file {mirror.id} is not shared with everybody",
        hint="open the link in a browser that is signed in, and import the file",
        fault="N07",
    )


def _refusal(answer: Answer, session: Session) -> Exception:
    fault = status_fault(answer.status, answer.headers, answer.host, session.limits)
    return page_instead(answer) or fault
