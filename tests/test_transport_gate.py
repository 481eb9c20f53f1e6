"""Redirects, the URL gate, and where secrets may go."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from doubles import Box, Fault
from wire import DATA, LOOSE, PINNED, Wire, same

from aigiqa_cli.errors import Exit, RefusedInput, TemporaryFault
from aigiqa_cli.transport import Request, Session, Source, gate


def _redirect(location: str, body: bytes = b"") -> Fault:
    return Fault(status=302, headers=(("Location", location),), body=body, always=True)


def test_N09_loop_and_long_chain(wire: Wire) -> None:
    wire.server.site.faults.add("/loop", _redirect("/loop"))
    assert wire.fails(PINNED, wire.source("/loop")).exit_code == Exit.PERSON
    assert len(wire.log) <= 11
    for hop in range(12):
        wire.server.site.faults.add(f"/hop{hop}", _redirect(f"/hop{hop + 1}" if hop < 9 else "/set.zip"))
    assert same(wire.receive(PINNED, wire.source("/hop0")))


@pytest.mark.parametrize("location", ["set.zip", "./set.zip", "/set.zip#part", "//127.0.0.1:{port}/set.zip"])
def test_N09_relative_location(wire: Wire, location: str) -> None:
    wire.server.site.faults.add("/go", _redirect(location.format(port=wire.server.server_address[1])))
    assert same(wire.receive(PINNED, wire.source("/go")))


@pytest.mark.parametrize(
    "location",
    [
        "",
        "http://",
        "http://[::1",
        "https://:443/",
        "\x7f",
        "a" * 5000,
        "http://127.0.0.1:99999/",
        "http://127.0.0.1:port/",
        "https://[x]/",
    ],
)
def test_N09_broken_location(wire: Wire, location: str) -> None:
    wire.server.site.faults.add("/go", _redirect(location))
    assert same(wire.receive(PINNED, wire.source("/go"), wire.source()))


def test_N09_body_of_a_redirect_is_not_read(wire: Wire) -> None:
    wire.server.site.faults.add("/go", _redirect("/set.zip", bytes(50_000_000)))
    assert same(wire.receive(PINNED, wire.source("/go")))
    assert wire.log[0].sent < 50_000_000


FORBIDDEN = [
    "http://files.example.org/set.zip",
    "file:///etc/passwd",
    "ftp://files.example.org/set.zip",
    "data:application/zip;base64,UEsDBA==",
    "https://127.0.0.1/set.zip",
    "https://localhost/set.zip",
    "https://169.254.169.254/latest/meta-data",
    "https://[::1]/set.zip",
    "https://[::ffff:10.0.0.1]/set.zip",
    "https://10.0.0.5/set.zip",
    "https://192.168.1.1/set.zip",
    "https://2130706433/set.zip",
    "https://0x7f.1/set.zip",
    "https://0177.0.0.1/set.zip",
    "https://user:secret@files.example.org/set.zip",
    "https://files.example.org:8443/set.zip",
    "https://files.example.org:22/set.zip",
]


@pytest.mark.parametrize("target", FORBIDDEN)
def test_N10_redirect_to_a_forbidden_place(box: Box, wire: Wire, target: str) -> None:
    site = box.web("files.example.org")
    site.faults.add("/go", _redirect(target))
    site.put("/set.zip", DATA)
    wire.settings = box.settings()
    problem = wire.fails(PINNED, wire.source(url="https://files.example.org/go"))
    assert problem.exit_code in (Exit.PERSON, Exit.REFUSED)
    assert "secret" not in str(problem)
    assert box.paths() == ["GET files.example.org/go"], "no other request was made"


@pytest.mark.parametrize(
    "target",
    [
        *FORBIDDEN,
        "https://bücher.example/set.zip",
        "https://files.example.org/a b",
        "https://x/\r\nHost: y",
        "https://files.example.org/" + "a" * 2000,
    ],
)
def test_M06_M07_gate_before_the_first_request(box: Box, wire: Wire, target: str) -> None:
    wire.settings = box.settings()
    with Session(settings=wire.settings) as session, pytest.raises(RefusedInput):
        session.open(target)
    assert box.log == []


@pytest.mark.parametrize(
    ("url", "own"),
    [
        ("http://files.example.org/", "M06"),
        ("https://files.example.org:8443/", "M06"),
        ("https://me@files.example.org/", "M06"),
        ("https://localhost/", "M07"),
        ("https://10.0.0.1/", "M07"),
        ("https://[::1]/", "M07"),
    ],
)
def test_M06_M07_N10_by_which_rule_an_address_is_refused(url: str, own: str) -> None:
    for given, expected in (("M06", own), ("N10", "N10")):
        with pytest.raises(RefusedInput) as caught:
            gate.check(url, private_allowed=False, proxied=True, fault=given)
        assert caught.value.fault == expected


def test_M07_name_that_resolves_to_loopback_is_refused_without_a_proxy() -> None:
    with Session(settings={}) as session, pytest.raises((RefusedInput, TemporaryFault)):
        session.open("https://localhost.localdomain/")


def test_K02_token_stays_at_its_host(box: Box, wire: Wire) -> None:
    site = box.web("files.example.org")
    site.faults.add("/go", _redirect("https://cdn.example.org/set.zip"))
    box.web("cdn.example.org").put("/set.zip", DATA)
    wire.settings = box.settings()
    assert same(wire.receive(PINNED, wire.source(url="https://files.example.org/go", token="canary-token")))
    assert [(entry.host, entry.auth) for entry in box.log] == [
        ("files.example.org", "Bearer canary-token"),
        ("cdn.example.org", ""),
    ]
    box.log.clear()


def test_N23_link_is_resolved_anew_for_each_attempt(wire: Wire) -> None:
    wire.server.site.faults.add("/set.zip", Fault(cut=100_000))
    links: list[str] = []

    def resolve() -> Request:
        links.append(wire.server.url(f"/set.zip?Signature=s{len(links)}"))
        return Request(links[-1], fixed=True)

    assert same(wire.receive(PINNED, Source("huggingface", "huggingface owner/name", resolve)))
    assert len(links) == 2
    assert [entry.query for entry in wire.log] == ["Signature=s0", "Signature=s1"]


def test_N24_proxies_and_netrc_of_the_process_are_not_read(
    wire: Wire, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login canary password canary\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert same(wire.receive(PINNED, wire.source()))
    assert wire.log[0].auth == ""


def test_N24_no_proxy_is_obeyed(wire: Wire) -> None:
    wire.settings |= {"HTTP_PROXY": "http://127.0.0.1:9", "NO_PROXY": "example.org,127.0.0.1"}
    assert same(wire.receive(PINNED, wire.source()))
    wire.settings |= {"NO_PROXY": "example.org"}
    assert wire.fails(LOOSE, wire.source()).exit_code == Exit.TEMPORARY, "the dead proxy was asked"


def test_N26_cookie_lives_in_memory(wire: Wire, tmp_path: Path) -> None:
    go = Fault(status=302, headers=(("Location", "/set.zip"), ("Set-Cookie", "consent=yes; Path=/")))
    wire.server.site.faults.add("/go", go)
    assert same(wire.receive(PINNED, wire.source("/go")))
    assert wire.log[-1].cookie == "consent=yes"
    assert not list(tmp_path.rglob("*cookie*"))


def test_K01_token_never_reaches_a_message(wire: Wire) -> None:
    token = "hf_" + "canary" * 5
    wire.settings["HF_TOKEN"] = token
    body = f"<html><head><title>{token}</title></head></html>".encode()
    wire.server.site.put("/page.zip", body, type="text/html")
    wire.server.site.faults.add("/denied.zip", Fault(status=403, body=body, always=True))
    sources = [wire.source(path, token=token) for path in ("/page.zip", "/denied.zip")]
    problem = wire.fails(PINNED, *sources)
    told = json.dumps([str(problem), problem.as_json(), [f.as_json() for f in problem.findings], wire.reporter.notes])
    assert "canary" not in told


def test_K04_signed_link_is_neither_stored_nor_shown(wire: Wire) -> None:
    signed = wire.source("/set.zip?Signature=canary&Expires=9", "mirror")
    wire.server.site.faults.add("/set.zip", Fault(cut=100_000), Fault(status=503, always=True))
    problem = wire.fails(LOOSE, signed)
    stored = "".join(path.read_text() for path in wire.files("*.json"))
    assert "/set.zip" in stored
    assert "canary" not in stored + str(problem) + str(problem.findings) + str(wire.reporter.notes)
    wire.server.site.faults.clear()
    got = wire.receive(LOOSE, signed)
    assert same(got)
    assert got.url == wire.server.url("/set.zip")
