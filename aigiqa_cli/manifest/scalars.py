"""From manifest text to values: the field's type decides, YAML's guesses never do."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, WithJsonSchema

from aigiqa_cli.names import is_database_id, safe_relative_path
from aigiqa_cli.patterns import compile_pattern

MAX_PATTERN = 500


def _matching(pattern: str, what: str) -> Callable[[Any], Any]:
    compiled = re.compile(pattern, re.ASCII)

    def check(value: Any) -> Any:
        if isinstance(value, str) and not compiled.fullmatch(value):
            raise ValueError(f"expected {what}")
        return value

    return check


def _count(value: Any) -> Any:
    if isinstance(value, str):
        if not re.fullmatch(r"0|[1-9][0-9]{0,17}", value):
            raise ValueError("expected a whole number without signs, blanks or leading zeros")
        return int(value)
    return value


def _number(value: Any) -> Any:
    if isinstance(value, str):
        if not re.fullmatch(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?", value):
            raise ValueError("expected a decimal number such as 5 or 0.25")
        return Decimal(value)
    return value


def _flag(value: Any) -> Any:
    if isinstance(value, str):
        if value not in {"true", "false"}:
            raise ValueError("expected true or false")
        return value == "true"
    return value


def _date(value: Any) -> Any:
    if isinstance(value, str):
        if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
            raise ValueError("expected a date such as 2024-02-19")
        return date.fromisoformat(value)
    return value


def _pattern(value: str) -> str:
    import re2

    if len(value) > MAX_PATTERN:
        raise ValueError(f"a pattern may have at most {MAX_PATTERN} characters")
    try:
        compile_pattern(value)
    except re2.error as error:
        raise ValueError(f"not an RE2 pattern: {error}") from None
    return value


def _url(value: str) -> str:
    if not re.fullmatch(r"https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[\x21-\x5b\x5d-\x7e]*)?", value) or "#" in value:
        raise ValueError("expected an http(s) URL in ASCII without user name or fragment")
    return value


def _database_id(value: str) -> str:
    if not is_database_id(value):
        raise ValueError("a database cannot be called so: its id is also the name of its folder, on every platform")
    return value


Text = str
Count = Annotated[int, BeforeValidator(_count)]
Number = Annotated[Decimal, BeforeValidator(_number), WithJsonSchema({"type": ["string", "number"]})]
Flag = Annotated[bool, BeforeValidator(_flag)]
Day = Annotated[date, BeforeValidator(_date)]
Sha256 = Annotated[str, BeforeValidator(_matching("[0-9a-f]{64}", "64 lower-case hexadecimal digits (SHA-256)"))]
Sha256Start = Annotated[
    str, BeforeValidator(_matching("[0-9a-f]{6,63}", "the first 6 to 63 hexadecimal digits of a SHA-256"))
]
Slug = Annotated[str, BeforeValidator(_matching(r"[a-z0-9][a-z0-9._-]{0,63}", "a slug such as stable-diffusion-1.5"))]
DatabaseId = Annotated[Slug, AfterValidator(_database_id)]
Revision = Annotated[str, BeforeValidator(_matching(r"[A-Za-z0-9._/-]{1,64}", "a commit or branch"))]
Repository = Annotated[str, BeforeValidator(_matching(r"[A-Za-z0-9._-]+/[A-Za-z0-9._-]+", "owner/name"))]
RelativePath = Annotated[str, AfterValidator(safe_relative_path)]
Pattern = Annotated[str, AfterValidator(_pattern)]
Url = Annotated[str, AfterValidator(_url)]
