"""The browser that pages are driven in: Debian's Chromium, headless, with an empty profile and without a network."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--no-proxy-server"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
DESKTOP, PHONE = (1280, 800), (390, 844)


def missing() -> str:
    """What is not on this machine; "" if all is."""
    lacks = [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]
    return f"{' and '.join(lacks)} not on this machine (Debian: chromium chromium-driver)" if lacks else ""


@contextmanager
def browser() -> Iterator[Any]:
    """A new browser with logs of its console and its requests (`console`, `requests`)."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = str(shutil.which("chromium"))
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    with tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True) as profile:
        for flag in (*FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        driver = webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver")))
        try:
            resize(driver, DESKTOP)
            yield driver
        finally:
            driver.quit()


def resize(driver: Any, size: tuple[int, int], *, mobile: bool = False) -> None:
    """The size in CSS pixels; a mobile browser also takes touches and shows no scroll bars."""
    wanted = {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": mobile}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", wanted)


def prefer(driver: Any, scheme: str) -> None:
    """What the system is said to prefer: light or dark."""
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


def console(driver: Any) -> list[str]:
    """What was written to the console since the last call."""
    return [f"{entry['level']}: {entry['message']}" for entry in driver.get_log("browser")]


def requests(driver: Any) -> list[str]:
    """The addresses that were asked for since the last call, `data:` left out."""
    events = (json.loads(entry["message"])["message"] for entry in driver.get_log("performance"))
    asked = (event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent")
    return [url for url in asked if not url.startswith("data:")]
