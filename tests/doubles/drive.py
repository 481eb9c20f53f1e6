"""Google Drive: the entry host, the content host, the sign-in host and their pages.

The pages have the shape that clients parse (form `download-form` with hidden inputs, the class names of the
quota page, each on one line); the text is our own where nobody parses it. Nothing here was compared with the real service.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from doubles.fault_server import Exchange, Host
from doubles.faults import Blob, Faults

ENTRY = "drive.google.com"
CONTENT = "drive.usercontent.google.com"
SIGN_IN = "accounts.google.com"

Kind = Literal["small", "big", "quota", "private"]

WARNING = """<!DOCTYPE html><html><head><title>Google Drive - Virus scan warning</title></head><body>
<div class="uc-main"><div id="uc-text"><p class="uc-warning-caption">Google Drive can't scan this file for viruses.</p>
<p class="uc-warning-subcaption"><span class="uc-name-size"><a href="/open?id={id}">{name}</a> (93M)</span> is too large
to scan. Download it all the same?</p><form id="download-form" action="https://drive.usercontent.google.com/download"
method="get"><input type="submit" id="uc-download-link" value="Download anyway"/><input type="hidden" name="id"
value="{id}"><input type="hidden" name="export" value="download"><input type="hidden" name="confirm" value="t">
<input type="hidden" name="uuid" value="{uuid}"></form></div></div></body></html>""".replace("\n", " ")

QUOTA = """<!DOCTYPE html><html><head><title>Google Drive - Quota exceeded</title></head><body><div class="uc-main">
<div id="uc-text"><p class="uc-error-caption">Sorry, you can't view or download this file at this time.</p>
<p class="uc-error-subcaption">Too many users have viewed or downloaded this file recently. Please try accessing the
file again later.</p></div></div></body></html>""".replace("\n", " ")

SIGN_IN_PAGE = """<!DOCTYPE html><html><head><title>Google Drive: Sign-in</title></head>
<body>Sign in to continue to Google Drive</body></html>""".replace("\n", " ")

MISSING = """<!DOCTYPE html><html><head><title>Error 404 (Not Found)!!1</title></head>
<body>The requested URL was not found on this server.</body></html>""".replace("\n", " ")


@dataclass
class Item:
    blob: Blob
    name: str
    kind: Kind


class Drive:
    """Fault keys are file ids; they apply to the answer that would carry the bytes."""

    def __init__(self) -> None:
        self.items: dict[str, Item] = {}
        self.faults = Faults()

    def add(self, file_id: str, data: bytes, name: str, kind: Kind = "big", *, ranges: bool = True) -> None:
        """`small` answers with the bytes at once, `big` with the virus-scan form first."""
        self.items[file_id] = Item(Blob(data, etag=None, ranges=ranges), name, kind)

    def hosts(self) -> dict[str, Host]:
        return dict.fromkeys((ENTRY, CONTENT, SIGN_IN), self.serve)

    def serve(self, exchange: Exchange) -> None:
        file_id = exchange.query.get("id", "")
        item = self.items.get(file_id)
        if exchange.host == SIGN_IN:
            exchange.page(200, SIGN_IN_PAGE.encode())
        elif item is None:
            exchange.page(404, MISSING.encode())
        elif item.kind == "private":
            exchange.page(302, b"", (("Location", f"https://{SIGN_IN}/ServiceLogin?continue=x"),))
        elif item.kind == "quota":
            exchange.page(200, QUOTA.encode())
        elif exchange.host == ENTRY:
            where = f"https://{CONTENT}/download?id={file_id}&export=download"
            exchange.page(303, b"", (("Location", where),))
        elif item.kind == "big" and "confirm" not in exchange.query:
            page = WARNING.format(id=file_id, name=item.name, uuid="6f2a8c1e-0000-4000-8000-000000000001")
            exchange.page(200, page.encode())
        else:
            self._bytes(exchange, item, file_id)

    def _bytes(self, exchange: Exchange, item: Item, file_id: str) -> None:
        fault = self.faults.take(exchange.command, file_id)
        headers = (
            ("Content-Disposition", f'attachment; filename="{item.name}"'),
            ("Set-Cookie", "NID=511=abc; Path=/; Domain=.google.com; Secure; HttpOnly"),
        )
        exchange.send(item.blob, headers=headers, fault=fault)
        if fault and fault.then:
            item.blob = fault.then
