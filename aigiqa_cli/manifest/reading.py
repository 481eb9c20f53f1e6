"""Strict YAML: every scalar stays text, and nothing that YAML offers beyond maps, lists and text is accepted.

YAML would turn the extraction code `0755` into 493 and the key `on` into true (M04), lets the last of two equal
keys win (M03) and describes 10^9 leaves in 430 bytes (M02). So the events of libyaml's parser are turned into plain
data here, and anything else is a fault with its line. All faults of a file are reported at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

MAX_BYTES = 1 << 20
MAX_DEPTH = 20
NOTHING = frozenset({"", "~", "null", "Null", "NULL"})
_CONTROL = re.compile(
    r"(?!\r\Z)[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)

Place = tuple[str | int, ...]


@dataclass(frozen=True)
class YamlFault:
    """What is wrong with a manifest, where: `line` is 1-based, `place` the path of keys to it."""

    line: int
    problem: str
    expected: str = ""
    found: str = ""
    place: str = ""


@dataclass
class Located:
    """Plain data (dict, list, str) and the line of every key and item."""

    data: Any = None
    lines: dict[Place, int] = field(default_factory=dict)
    faults: list[YamlFault] = field(default_factory=list)

    def line(self, place: Place) -> int:
        """The line of `place`, or of the nearest thing around it."""
        while place not in self.lines and place:
            place = place[:-1]
        return self.lines.get(place, 1)


def show(place: Place) -> str:
    """`assets[0].mirrors[1].kind`, as people write it."""
    text = ""
    for step in place:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else str(step)
    return text


def read(data: bytes) -> Located:
    """Read one YAML document as text-only data; faults are collected, never raised."""
    result = Located()
    if len(data) > MAX_BYTES:
        result.faults.append(YamlFault(1, "the file is too large", f"at most {MAX_BYTES} bytes", str(len(data))))
        return result
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        result.faults.append(YamlFault(line, "the file is not UTF-8", "UTF-8", f"byte {data[error.start]:#04x}"))
        return result
    suspect = text.split("\n") if _CONTROL.search(text.replace("\n", "")) else ()
    for number, content in enumerate(suspect, 1):  # splitlines() would swallow the controls that it ends at
        if bad := _CONTROL.search(content):
            result.faults.append(YamlFault(number, "control character", "printable text", f"U+{ord(bad[0]):04X}"))
    if not result.faults:
        _Builder(result).build(text)
    return result


class _TooDeepError(Exception):
    """Ends the reading at once: libyaml's time for what is nested deeper grows with the square of the depth."""

    def __init__(self, line: int) -> None:
        super().__init__(line)
        self.line = line


class _Builder:
    """Walks parser events and fills a `Located`."""

    def __init__(self, result: Located) -> None:
        self.result = result
        self.events: Iterator[Any] = iter(())

    def build(self, text: str) -> None:
        import yaml

        try:
            # What yaml.parse does, without asking before each event whether there is one.
            self.events = iter(getattr(yaml, "CSafeLoader", yaml.SafeLoader)(text).get_event, None)
            self._documents(yaml)
        except _TooDeepError as error:
            self._fault(error.line, "nested too deeply", f"at most {MAX_DEPTH} levels")
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            self._fault(mark.line + 1 if mark else 1, f"not YAML: {error.problem or error.context}")
        except yaml.reader.ReaderError as error:
            self._fault(text.count("\n", 0, error.position) + 1, f"not YAML: {error.reason}")

    def _fault(self, line: int, problem: str, expected: str = "", found: str = "", place: Place = ()) -> None:
        self.result.faults.append(YamlFault(line, problem, expected, found, show(place)))

    def _documents(self, yaml: Any) -> None:
        documents = 0
        for event in self.events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    self._fault(event.start_mark.line + 1, "more than one YAML document", "one document")
                    return
                self.result.data = self._node(yaml, next(self.events), ())
        if not documents:
            self._fault(1, "the file is empty", "a manifest")

    def _node(self, yaml: Any, event: Any, place: Place) -> Any:
        line = event.start_mark.line + 1
        self.result.lines.setdefault(place, line)
        if len(place) > MAX_DEPTH:
            raise _TooDeepError(line)
        if isinstance(event, yaml.AliasEvent):
            self._fault(line, "aliases are not allowed", "the value itself", f"*{event.anchor}", place)
            return ""
        if event.anchor is not None:
            self._fault(line, "anchors are not allowed", "the value itself", f"&{event.anchor}", place)
        if event.tag is not None:
            self._fault(line, "tags are not allowed", "plain text", str(event.tag), place)
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event, line, place)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(yaml, place)
        return self._mapping(yaml, place)

    def _scalar(self, event: Any, line: int, place: Place) -> str:
        value: str = event.value
        if value in NOTHING:
            found = value or "an empty value"
            self._fault(line, "a value is missing", "a value, or leave the key out if it is unknown", found, place)
        return value

    def _sequence(self, yaml: Any, place: Place) -> list[Any]:
        items: list[Any] = []
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            items.append(self._node(yaml, event, (*place, len(items))))
        return items

    def _mapping(self, yaml: Any, place: Place) -> dict[str, Any]:
        entries: dict[str, Any] = {}
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            line = event.start_mark.line + 1
            if not isinstance(event, yaml.ScalarEvent):
                self._fault(line, "a key must be text", "text", place=place)
                self._node(yaml, event, (*place, "?"))
                self._node(yaml, next(self.events), (*place, "?"))
                continue
            key: str = event.value
            if event.tag is not None:
                self._fault(line, "tags are not allowed", "plain keys", str(event.tag), place)
            elif event.anchor is not None or key == "<<":
                self._fault(line, "anchors and merge keys are not allowed", "plain keys", key, place)
            if key in entries:
                first = self.result.lines[(*place, key)]
                self._fault(line, f"the key stands twice (first on line {first})", "each key once", key, place)
            self.result.lines[(*place, key)] = line
            value = self._node(yaml, next(self.events), (*place, key))
            entries.setdefault(key, value)
        return entries
