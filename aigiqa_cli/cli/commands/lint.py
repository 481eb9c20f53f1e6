"""aigiqa lint."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from aigiqa_cli.cli.desk import Answer, Desk, command
from aigiqa_cli.cli.terminal import Terminal
from aigiqa_cli.errors import RefusedInput
from aigiqa_cli.manifest import json_schema
from aigiqa_cli.steps.lint import lint as lint_files
from aigiqa_cli.steps.lint import pinned_copy


def lint(
    desk: Desk,
    files: Annotated[list[Path] | None, typer.Argument(metavar="[FILE]...", help="Manifests; none: all known.")] = None,
    *,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON Schema of a manifest.")] = False,
    pin: Annotated[str, typer.Option(metavar="DB", help="Print DB's manifest with the hashes found here.")] = "",
) -> Answer:
    """Check manifests: every fault with file, line, what was expected and the nearest right word (exit 5).

    Examples:

        aigiqa lint my-database.yaml

        aigiqa lint --schema > manifest.schema.json

        aigiqa lint --pin DB > DB.yaml
    """
    if schema:
        content = json_schema()
        return Answer(content, lambda terminal: terminal.raw(json.dumps(content, indent=2) + "\n"))
    if pin:
        text, pinned = pinned_copy(desk.context, desk.context.catalogue.database(pin).id)

        def show_pin(terminal: Terminal) -> None:
            terminal.raw(text)
            for line in pinned:
                terminal.note(f"pinned {line}")

        return Answer({"manifest": text, "pinned": pinned}, show_pin)
    paths, findings = lint_files(desk.context, files or ())
    if findings:
        count = f"{len(findings)} fault" + ("s" if len(findings) > 1 else "")
        fault = RefusedInput(f"{count} in {len(paths)} manifests", fault="M11", phase="PLAN", findings=findings)
        return Answer({"checked": [str(path) for path in paths]}, fault=fault)

    def show(terminal: Terminal) -> None:
        for path in paths:
            terminal.line(path)
        terminal.note(f"{len(paths)} manifests are in order")

    return Answer({"checked": [str(path) for path in paths]}, show)


command_ = command(lint)
