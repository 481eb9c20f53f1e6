"""The doubles themselves, judged by clients that are not ours."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
import replicas
import requests
import yaml
from doubles import Box, Fault, FaultServer
from doubles.hub import COMMIT

DATA = b"PK\x03\x04" + bytes(range(256)) * 1000
CLIENTS = """
import hashlib, os, gdown
from huggingface_hub import HfApi, hf_hub_download
home = os.environ["HOME"]
def digest(path):
    return hashlib.sha256(open(path, "rb").read()).hexdigest()
print(digest(hf_hub_download("owner/name", "sub/set.zip", repo_type="dataset", local_dir=home + "/hub")))
info = HfApi().dataset_info("owner/name", files_metadata=True)
print(info.sha, info.siblings[0].lfs.sha256, info.siblings[0].size)
print(digest(gdown.download(id="ID", output=home + "/set.zip", quiet=True, use_cookies=False, timeout=(5, 5))))
for file_id in ("QUOTA", "PRIVATE", "UNKNOWN"):
    try:
        gdown.download(id=file_id, output=home + "/none", quiet=True, use_cookies=False, timeout=(5, 5))
    except gdown.exceptions.FileURLRetrievalError as error:
        print("quota" if "Too many users" in str(error) else "no link")
"""


def test_real_clients_meet_the_box_unpatched(box: Box, tmp_path: Path) -> None:
    box.hub.add("owner/name", {"sub/set.zip": DATA})
    box.drive.add("ID", DATA, "set.zip")
    box.drive.add("QUOTA", DATA, "set.zip", "quota")
    box.drive.add("PRIVATE", DATA, "set.zip", "private")
    calm = {"HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_XET": "1"}
    ended = subprocess.run(
        [sys.executable, "-c", CLIENTS],
        env=box.environment(tmp_path) | calm,
        capture_output=True,
        text=True,
        check=False,
    )
    digest = hashlib.sha256(DATA).hexdigest()
    assert ended.stdout.split() == [
        digest, COMMIT, digest, str(len(DATA)), digest, "quota", "no", "link", "no", "link",
    ], ended.stderr  # fmt: skip


def test_unknown_host_is_refused_and_recorded(box: Box) -> None:
    with pytest.raises(requests.exceptions.ProxyError):
        _get("https://example.com/", box)
    assert box.refused == ["example.com:443"]
    assert box.leaks() == ["unknown host example.com:443"]
    box.refused.clear()


@pytest.mark.parametrize(
    "fault",
    [
        Fault(cut=0),
        Fault(cut=1000),
        Fault(cut=1000, how="rst"),
        Fault(longer=1),
        Fault(chunked=True, cut=1000),
        Fault(gzip=True, cut=100),
    ],
)
@pytest.mark.parametrize("secure", [False, True])
def test_faults_reach_the_client(box: Box, server: FaultServer, fault: Fault, secure: bool) -> None:
    site = box.web("files.example.org") if secure else server.site
    site.put("/set.zip", DATA)
    site.faults.add("/set.zip", fault)
    url = "https://files.example.org/set.zip" if secure else server.url("/set.zip")
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        _get(url, box if secure else None)
    assert _get(url, box if secure else None) == DATA, "a fault is used up by one answer"


def test_body_that_ends_with_the_connection_is_whole(box: Box) -> None:
    site = box.web("files.example.org")
    site.put("/set.zip", DATA)
    site.faults.add("/set.zip", Fault(no_length=True))
    assert _get("https://files.example.org/set.zip", box) == DATA


def test_ranges_and_validators(server: FaultServer) -> None:
    blob = server.site.put("/set.zip", DATA)
    url = server.url("/set.zip")
    assert _get(url, headers={"Range": "bytes=1000-"}) == DATA[1000:]
    assert _get(url, headers={"Range": "bytes=10-19"}) == DATA[10:20]
    assert _get(url, headers={"Range": "bytes=-5"}) == DATA[-5:]
    assert _get(url, headers={"Range": "bytes=1000-", "If-Range": blob.tag}) == DATA[1000:]
    assert _get(url, headers={"Range": "bytes=1000-", "If-Range": '"another"'}) == DATA
    assert [entry.status for entry in server.log] == [206, 206, 206, 206, 200]
    assert [entry.sent for entry in server.log][:3] == [len(DATA) - 1000, 10, 5]


def _get(url: str, box: Box | None = None, headers: dict[str, str] | None = None) -> bytes:
    with requests.Session() as session:
        session.trust_env = False
        if box:
            session.proxies = {"https": box.settings()["HTTPS_PROXY"]}
            session.verify = str(box.certificate)
        return session.get(url, headers=headers, timeout=10).content


def test_overlay_changes_two_lines(tmp_path: Path) -> None:
    text = replicas.tiny_manifest(b"archive")
    changed = replicas.overlay_manifest(text, 77, "f" * 64, "tiny.zip")
    pairs = [(old, new) for old, new in zip(text.splitlines(), changed.splitlines(), strict=True) if old != new]
    assert [new.strip() for _, new in pairs] == ["bytes: 77", "sha256: " + "f" * 64]
    assert yaml.safe_load(changed)["assets"][0]["bytes"] == 77
    with pytest.raises(ValueError, match="called other"):
        replicas.overlay_manifest(text, 1, "f" * 64, "other.zip")


def test_replica_has_the_true_names(pictures: dict[str, bytes]) -> None:
    assert len(pictures) == 2982
    assert len(set(pictures.values())) == 2982
    assert next(iter(pictures)) == "AttnGAN_normal_000.jpg"
    assert list(pictures)[-1] == "xl2.2_normal_299.jpg"


def test_environment_keeps_no_setting_of_the_caller(box: Box, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HF_TOKEN", "HF_ENDPOINT", "no_proxy", "NO_PROXY", "AIGIQA_ROOT", "MODELSCOPE_HOME"):
        monkeypatch.setenv(name, "x")
    settings = box.environment(tmp_path)
    assert not {"HF_TOKEN", "HF_ENDPOINT", "no_proxy", "NO_PROXY", "AIGIQA_ROOT", "MODELSCOPE_HOME"} & set(settings)
    assert Path(settings["HOME"]).is_dir()
    assert settings["HOME"] != os.environ.get("HOME")


def test_replica_is_online_at_every_automatic_mirror(box: Box, replica_online: Path, replica_zip: Path) -> None:
    assert yaml.safe_load(replica_online.read_text())["assets"][0]["bytes"] == replica_zip.stat().st_size
    assert (
        _get(
            "https://raw.githubusercontent.com/lcysyzxdxc/AGIQA-3k-Database/30ded2bed96fc78070636548e811ece37e5d8f66/data.csv",
            box,
        )
        == replicas.true_labels()
    )
    found = {name for name, repository in box.hub.repositories.items() if "AGIQA-3K.zip" in repository.blobs}
    assert found >= {"chaofengc/IQA-PyTorch-Datasets", "IntMeGroup/AIGIs"}
    assert "1ObuOZ6YZqZuxe4oRlaf3kdOBlTRg2GE4" in box.drive.items
