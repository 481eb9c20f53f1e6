"""One module a command. `COMMANDS` says where each is, so that only the one that is asked for is imported."""

from __future__ import annotations

COMMANDS: dict[str, str] = {
    "list": "aigiqa_cli.cli.commands.list_",
    "info": "aigiqa_cli.cli.commands.info",
    "fetch": "aigiqa_cli.cli.commands.fetch",
    "import": "aigiqa_cli.cli.commands.import_",
    "verify": "aigiqa_cli.cli.commands.verify",
    "stats": "aigiqa_cli.cli.commands.stats",
    "compare": "aigiqa_cli.cli.commands.compare",
    "show": "aigiqa_cli.cli.commands.show",
    "export": "aigiqa_cli.cli.commands.export",
    "gallery": "aigiqa_cli.cli.commands.gallery",
    "evaluate": "aigiqa_cli.cli.commands.evaluate",
    "train": "aigiqa_cli.cli.commands.train",
    "predict": "aigiqa_cli.cli.commands.predict",
    "score": "aigiqa_cli.cli.commands.score",
    "leaderboard": "aigiqa_cli.cli.commands.leaderboard",
    "split": "aigiqa_cli.cli.commands.split",
    "index": "aigiqa_cli.cli.commands.index",
    "path": "aigiqa_cli.cli.commands.path",
    "cite": "aigiqa_cli.cli.commands.cite",
    "remove": "aigiqa_cli.cli.commands.remove",
    "gc": "aigiqa_cli.cli.commands.gc",
    "lint": "aigiqa_cli.cli.commands.lint",
    "doctor": "aigiqa_cli.cli.commands.doctor",
}
