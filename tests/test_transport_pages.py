"""A web page where a file was asked for: never stored, named for what it is."""

from __future__ import annotations

import gzip

import pytest
from doubles import Blob, Box, Fault
from doubles.github import pointer
from wire import DATA, LOOSE, PINNED, Wire, same

from aigiqa_cli.errors import Exit
from aigiqa_cli.transport import Wanted
from aigiqa_cli.transport.redact import cleaned

PAGES = {
    "quota": b"<!DOCTYPE html><html><head><title>Google Drive - Quota exceeded</title></head><body><p>Too many users have viewed or downloaded this file recently.</p>",
    "sign-in": b"<html><head><title>Sign in - Accounts</title></head><body>Sign in to continue</body></html>",
    "virus scan": b"<!DOCTYPE html><html><head><title>Google Drive - Virus scan warning</title></head><form id='download-form'></form>",
    "permission": b"<html><head><title>You need access</title></head><body>Request access</body></html>",
    "login form": b"<HTML><BODY><form action=/login><input type=password></form>",
    "licence": b"\n\n  <html><head><title>License agreement</title></head><body>I accept</body></html>",
    "disguised 404": b"<!doctype html><title>404 Not Found</title>",
    "baidu": "<html><head><title>百度网盘 请输入提取码</title></head></html>".encode(),
    "comment first": b"<!-- saved page --><html><body>moved</body></html>",
    "xml error": b"<?xml version='1.0'?><Error><Code>NoSuchKey</Code></Error>",
    "json error": b'{"error": "Repository not found"}',
    "head only": b"<head><meta http-equiv=refresh content='0;url=/login'></head>",
    "script": b"<script>location='/login'</script>",
    "bom": b"\xef\xbb\xbf<!DOCTYPE html><html><title>Hello</title></html>",
    "portal": b"<html><head><title>Hotel WiFi login</title></head><body>Accept to use this network</body></html>",
}


@pytest.mark.parametrize("kind", ["text/html", "application/zip", ""])
@pytest.mark.parametrize("page", PAGES)
def test_N06_html_instead_of_zip(wire: Wire, page: str, kind: str) -> None:
    wire.server.site.put("/set.zip", PAGES[page], type=kind or "application/octet-stream")
    problem = wire.fails(LOOSE, wire.source())
    assert problem.exit_code == Exit.PERSON or (page == "json error" and problem.exit_code == Exit.INTEGRITY)
    assert wire.bytes_kept() == 0, "a page is never stored"


@pytest.mark.parametrize(
    ("page", "word"),
    [
        ("quota", "quota"),
        ("sign-in", "sign-in"),
        ("virus scan", "virus"),
        ("licence", "licence"),
        ("portal", "network asks for a login"),
    ],
)
def test_N06_known_pages_are_named(wire: Wire, page: str, word: str) -> None:
    wire.server.site.put("/set.zip", PAGES[page], type="text/html")
    assert word in str(wire.fails(PINNED, wire.source()))


@pytest.mark.parametrize(
    "wrapped", [gzip.compress(PAGES["sign-in"]), PAGES["sign-in"].decode().encode("utf-16")], ids=["gzip", "utf-16"]
)
def test_N06_wrapped_page_is_still_a_page(wire: Wire, wrapped: bytes) -> None:
    wire.server.site.put("/set.zip", wrapped, type="application/zip")
    problem = wire.fails(LOOSE, wire.source())
    assert problem.exit_code == Exit.PERSON
    assert "web page" in str(problem)
    assert wire.bytes_kept() == 0


@pytest.mark.parametrize("kind", ["application/json", "application/problem+json; charset=utf-8"])
def test_N06_json_instead_of_a_table(wire: Wire, kind: str) -> None:
    """What an interface says of an error; a table that is served as json is still a table."""
    wire.server.site.put("/data", b'\n {"error": "gone"}', type=kind)
    problem = wire.fails(Wanted("data.csv", "csv"), wire.source("/data"))
    assert (problem.exit_code, problem.fault, wire.bytes_kept()) == (Exit.PERSON, "N06", 0)
    wire.server.site.put("/data", b"name,mos\n", type=kind)
    assert same(wire.receive(Wanted("data.csv", "csv"), wire.source("/data")), b"name,mos\n")


@pytest.mark.parametrize("form", ["csv", "tsv", "json", "txt", "tar", "zip"])
def test_N06_page_instead_of_a_table(wire: Wire, form: str) -> None:
    wire.server.site.put("/data", PAGES["sign-in"], type="text/plain")
    assert wire.fails(Wanted("data." + form, form), wire.source("/data")).exit_code == Exit.PERSON


@pytest.mark.parametrize(("said", "shown"), [("A" * 80, "A" * 80), ("A" * 81, "A" * 79 + "…"), (" a\r\n\tb ", "a b")])
def test_N06_what_a_host_says_is_one_line_of_a_bounded_length(said: str, shown: str) -> None:
    assert cleaned(said) == shown


def test_N06_title_is_cleaned_before_it_is_shown(wire: Wire) -> None:
    title = b"\x1b[31mEvil\x1b]0;x\x07 \xe2\x80\xaetitle " + b"A" * 200
    wire.server.site.put("/set.zip", b"<html><head><title>" + title + b"</title></head></html>", type="text/html")
    text = str(wire.fails(PINNED, wire.source()))
    assert "Evil" in text
    assert text.isprintable()
    assert "A" * 81 not in text


def test_N06_lfs_pointer_is_named(wire: Wire) -> None:
    wire.server.site.put("/data.csv", pointer(Blob(DATA)), type="text/plain")
    problem = wire.fails(Wanted("data.csv", "csv"), wire.source("/data.csv"))
    assert problem.exit_code == Exit.PERSON
    assert "Git LFS pointer" in str(problem)


@pytest.mark.parametrize(
    "head", [b"Rar!\x1a\x07\x00", b"7z\xbc\xaf\x27\x1c", b"\x1f\x8b\x08", b"\x89PNG\r\n\x1a\n", b"name,prompt\n"]
)
def test_N06_wrong_magic_number(wire: Wire, head: bytes) -> None:
    wire.server.site.put("/bad.zip", head + DATA)
    assert wire.receive(LOOSE, wire.source("/bad.zip"), wire.source()).source == "http /set.zip"
    assert wire.fails(LOOSE, wire.source("/bad.zip")).exit_code in (Exit.PERSON, Exit.INTEGRITY)


def test_N06_page_on_one_mirror_does_not_stop_the_next(wire: Wire) -> None:
    wire.server.site.put("/page.zip", PAGES["quota"], type="text/html")
    assert same(wire.receive(PINNED, wire.source("/page.zip"), wire.source()))


def test_N06_page_on_resume_does_not_spoil_the_part(wire: Wire) -> None:
    page = Fault(status=200, body=PAGES["sign-in"])
    wire.server.site.faults.add("/set.zip", Fault(cut=150_000), page)
    wire.server.site.put("/good.zip", DATA)
    assert same(wire.receive(PINNED, wire.source(), wire.source("/good.zip")))
    assert wire.log[-1].start == 150_000


def test_N08_status_511(wire: Wire) -> None:
    wire.server.site.faults.add("/set.zip", Fault(status=511, body=PAGES["portal"], always=True))
    problem = wire.fails(PINNED, wire.source())
    assert problem.exit_code == Exit.PERSON
    assert "network asks for a login" in str(problem)


def test_N08_status_511_of_one_host_does_not_stop_the_next_of_two_it_does(box: Box, wire: Wire) -> None:
    hosts = ["files.one.example", "files.two.example", "files.three.example"]
    for host in hosts:
        box.web(host).put("/set.zip", DATA)
        box.web(host).faults.add("/set.zip", Fault(status=511, body=PAGES["sign-in"], always=True))
    wire.settings = box.settings()
    sources = [wire.source(url=f"https://{host}/set.zip", label=host) for host in hosts]
    assert wire.fails(PINNED, *sources).fault == "N08"
    assert box.paths() == [f"GET {host}/set.zip" for host in hosts[:2]]
    box.web(hosts[1]).faults.clear()
    assert same(wire.receive(PINNED, *sources))


def test_N08_same_foreign_page_from_two_hosts_ends_the_round(box: Box, wire: Wire) -> None:
    hosts = ["files.one.example", "files.two.example", "files.three.example"]
    for host in hosts:
        box.web(host).put("/set.zip", PAGES["portal"], type="text/html")
    wire.settings = box.settings()
    problem = wire.fails(PINNED, *[wire.source(url=f"https://{host}/set.zip", label=host) for host in hosts])
    assert problem.exit_code == Exit.PERSON
    assert "network asks for a login" in str(problem)
    assert box.paths() == [f"GET {host}/set.zip" for host in hosts[:2]]
