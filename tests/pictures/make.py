"""The README's pictures, made anew from the commands themselves: `python tests/pictures/make.py`.

terminal.svg shows commands at work on the synthetic database in a terminal of 100 columns; gallery.webp is the page of
`aigiqa gallery` in a browser (Debian's chromium and chromium-driver). Both stand beside this file.
"""

from __future__ import annotations

import fcntl
import io
import os
import pty
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import termios
from pathlib import Path

from PIL import Image
from rich.console import Console
from rich.text import Text
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

HERE = Path(__file__).parent
COLUMNS, LINES = 100, 40
WINDOW = (1280, 800)
SHOWN = ("aigiqa list", "aigiqa fetch demo", "aigiqa stats demo")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "data"
        environment = {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "HOME": folder, "AIGIQA_ROOT": str(root),
            "TERM": "xterm-256color", "COLORTERM": "truecolor", "LC_ALL": "C.UTF-8",
        }  # fmt: skip
        console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
        for line in SHOWN:
            console.print(Text(f"$ {line}", "bold"))
            console.print(Text.from_ansi(_in_a_terminal(line, environment).replace(folder, "~"), no_wrap=True))
        svg = console.export_svg(title="aigiqa")
        # No font from somebody's server: what the reader's system has for code.
        svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL).replace(
            "Fira Code", "ui-monospace, Menlo, Consolas"
        )
        (HERE / "terminal.svg").write_text(svg, encoding="utf-8")
        page = Path(folder) / "gallery.html"
        subprocess.run(["aigiqa", "gallery", "demo", "-o", str(page)], env=environment, check=True)
        _photograph(page, HERE / "gallery.webp")


def _in_a_terminal(line: str, environment: dict[str, str]) -> str:
    """What a command leaves on a terminal: progress that was painted over is gone."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    process = subprocess.Popen(line.split(), env=environment, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    seen = b""
    while True:
        try:
            data = os.read(ours, 65536)
        except OSError:  # the terminal ends with its program
            break
        if not data:
            break
        seen += data
    os.close(ours)
    if process.wait() != 0:
        raise SystemExit(f"{line} ended with {process.returncode}: {seen.decode()}")
    return _settled(seen.decode().replace("\r\n", "\n"))


def _settled(text: str) -> str:
    """Lines as they stand at the end: cursor up and erase line are obeyed, other movements left out."""
    lines = [""]
    for part in re.split(r"(\n|\r|\x1b\[\d*A|\x1b\[2K|\x1b\[\?\d+[hl])", text):
        if part == "\n":
            lines.append("")
        elif part == "\x1b[2K":
            lines[-1] = ""
        elif re.fullmatch(r"\x1b\[\d*A", part):
            lines = lines[:-1] or [""]
        elif part != "\r" and not part.startswith("\x1b[?"):
            lines[-1] += part
    return "\n".join(lines).strip("\n") + "\n"


def _photograph(page: Path, target: Path) -> None:
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--force-device-scale-factor=1"):
        options.add_argument(flag)
    options.add_argument(f"--window-size={WINDOW[0]},{WINDOW[1]}")
    with webdriver.Chrome(options, Service(shutil.which("chromedriver"))) as browser:
        browser.get(page.as_uri())
        browser.implicitly_wait(5)
        browser.find_element("css selector", "img")
        data = browser.get_screenshot_as_png()
    Image.open(io.BytesIO(data)).save(target, "WEBP", quality=80, method=6)


if __name__ == "__main__":
    main()
