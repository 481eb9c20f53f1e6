"""Manifests: facts about one database, read strictly.

`load` returns a `Database` or raises `RefusedInput` with every fault of the file as a finding (`file:line`).
"""

from __future__ import annotations

import difflib
import typing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aigiqa_cli.errors import Finding, RefusedInput
from aigiqa_cli.manifest.catalogue_ids import fault_id
from aigiqa_cli.manifest.reading import Located, Place, YamlFault, read, show

if TYPE_CHECKING:
    from pydantic import BaseModel

    from aigiqa_cli.manifest.models import Database, Vocabulary

VOCABULARY_NAME = "generators.yaml"
SHAPES = {
    "string_type": "text",
    "tuple_type": "a list",
    "dict_type": "a map of keys",
    "model_type": "a map of keys",
    "int_type": "a whole number",
    "bool_type": "true or false",
    "date_type": "a date such as 2024-02-19",
}


def load(path: Path, *, generators: set[str] | None = None, of: str = "") -> Database:
    """Read one manifest. `generators` are the known slugs; None skips that check. `of` is the id that it must state;
    by default the name of the file says it."""
    from aigiqa_cli.manifest.models import SCHEMA, Database

    located = read(path.read_bytes())
    faults = list(located.faults)
    database: BaseModel | None = None
    if isinstance(located.data, dict):
        schema = located.data.get("schema")
        if isinstance(schema, str) and schema.isdigit() and int(schema) > SCHEMA:
            fault = YamlFault(located.line(("schema",)), "written for a newer aigiqa", f"schema {SCHEMA}", schema)
            raise _refusal(path, [fault], hint="please upgrade: pip install --upgrade aigiqa")
        database, model_faults = _validate(Database, located)
        faults += model_faults
        faults += _identity_faults(path, of or path.stem, located)
        faults += _vocabulary_faults(located, generators)
    elif not faults:
        faults.append(YamlFault(1, "not a manifest", "a map of keys", type(located.data).__name__))
    if faults or not isinstance(database, Database):
        raise _refusal(path, faults)
    return database


def load_vocabulary(path: Path) -> Vocabulary:
    """Read the generator vocabulary."""
    from aigiqa_cli.manifest.models import Vocabulary

    located = read(path.read_bytes())
    vocabulary, faults = _validate(Vocabulary, located)
    if located.faults or faults or not isinstance(vocabulary, Vocabulary):
        raise _refusal(path, [*located.faults, *faults])
    return vocabulary


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a manifest, for editors."""
    from aigiqa_cli.manifest.models import Database

    schema = Database.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "aigiqa manifest"} | schema


def _refusal(path: Path, faults: list[YamlFault], hint: str = "") -> RefusedInput:
    ordered = sorted(set(faults), key=lambda fault: (fault.line, fault.place, fault.problem))
    findings = [
        Finding(path.stem, f"{path}:{f.line}", f"{f.place}: {f.problem}" if f.place else f.problem, f.expected, f.found)
        for f in ordered
    ]
    count = f"{len(findings)} fault" + ("s" if len(findings) != 1 else "")
    return RefusedInput(
        f"the manifest {path} has {count}",
        hint=hint or f"correct the file, then: aigiqa lint {path}",
        fault=fault_id(ordered),
        phase="PLAN",
        findings=findings,
    )


def _validate(model: type[BaseModel], located: Located) -> tuple[BaseModel | None, list[YamlFault]]:
    from pydantic import ValidationError

    try:
        return model.model_validate(located.data), []
    except ValidationError as error:
        items = error.errors(include_url=False)
        return None, [_explain(model, located, item) for item in items if not _is_echo(item, items)]


def _is_echo(item: Any, items: list[Any]) -> bool:
    """Whether another complaint says what is wrong: of the arm `""` of a union, of a list that is short because
    its entries were refused.
    """
    place = item["loc"]
    if item["type"] == "too_short":
        return any(other["loc"][: len(place)] == place and len(other["loc"]) > len(place) for other in items)
    return bool(item["type"] == "literal_error" and item["ctx"]["expected"] == "''")


def _explain(model: type[BaseModel], located: Located, item: Any) -> YamlFault:
    place: Place = tuple(step for step in item["loc"] if step in _steps(located, item["loc"]))
    line = located.line(place)
    if item["type"] == "extra_forbidden":
        known = _known_keys(model, item["loc"][:-1])
        near = difflib.get_close_matches(str(item["loc"][-1]), known, n=1, cutoff=0.6)
        expected = f"did you mean {near[0]}?" if near else "one of " + ", ".join(sorted(known))
        return YamlFault(line, "unknown key", expected, str(item["loc"][-1]), show(item["loc"][:-1]))
    if item["type"] == "missing":
        return YamlFault(line, f"the key {item['loc'][-1]} is missing", "", "", show(item["loc"][:-1]))
    if item["type"] == "value_error":
        problem, found = item["msg"].removeprefix("Value error, "), _brief(item["input"])
        return YamlFault(line, problem, "", found, show(place))
    if item["type"] == "literal_error":
        found = str(item["input"])
        choices = [choice.strip(" '") for choice in item["ctx"]["expected"].replace(" or ", ", ").split(",")]
        near = difflib.get_close_matches(found, choices, n=1, cutoff=0.5)
        expected = f"did you mean {near[0]}?" if near else "one of " + ", ".join(choices)
        return YamlFault(line, "unknown word", expected, found, show(place))
    if item["type"] in {"too_long", "too_short"}:
        bound = item["ctx"].get("max_length") or item["ctx"]["min_length"]
        many = item["type"] == "too_long"
        return YamlFault(
            line,
            "too many entries" if many else "too few entries",
            f"at {'most' if many else 'least'} {bound}",
            str(item["ctx"]["actual_length"]),
            show(place),
        )
    wanted = SHAPES.get(item["type"])
    return YamlFault(
        line, "not what is expected here" if wanted else item["msg"], wanted or "", _shape(item["input"]), show(place)
    )


def _shape(value: Any) -> str:
    if isinstance(value, list):
        return "a list"
    return "a map of keys" if isinstance(value, dict) else _brief(value)


def _brief(value: Any) -> str:
    return value[:80] if isinstance(value, str) else ""


def _steps(located: Located, loc: Place) -> set[str | int]:
    """The steps of a validator's location that are really in the file (validators add type names)."""
    kept: list[str | int] = []
    for step in loc:
        if (*kept, step) in located.lines:
            kept.append(step)
    return set(kept)


def _known_keys(model: type[BaseModel], loc: Place) -> list[str]:
    """The keys that the record at `loc` may have."""
    from pydantic import BaseModel as Base

    current: Any = model
    for step in loc:
        if isinstance(current, type) and issubclass(current, Base):
            fields = {(f.alias or name): f for name, f in current.model_fields.items()}
            current = _inner(fields[str(step)].annotation) if str(step) in fields else current
    if isinstance(current, type) and issubclass(current, Base):
        return [f.alias or name for name, f in current.model_fields.items()]
    return []


def _inner(annotation: Any) -> Any:
    """The record type inside tuple[X, ...], dict[str, X], X | None."""
    from pydantic import BaseModel as Base

    if not typing.get_args(annotation) and isinstance(annotation, type) and issubclass(annotation, Base):
        return annotation
    for argument in typing.get_args(annotation):
        found = _inner(argument)
        if found is not None:
            return found
    return None


def _identity_faults(path: Path, wanted: str, located: Located) -> list[YamlFault]:
    stated = located.data.get("id")
    if isinstance(stated, str) and stated != wanted:
        return [YamlFault(located.line(("id",)), "the file name must be the id", f"{stated}.yaml", path.name, "id")]
    return []


def _vocabulary_faults(located: Located, generators: set[str] | None) -> list[YamlFault]:
    """Every canonical generator slug must be in the vocabulary."""
    if generators is None:
        return []
    faults = []
    for place, slug in _generator_slugs(located.data):
        if slug not in generators:
            near = difflib.get_close_matches(slug, generators, n=1)
            expected = f"did you mean {near[0]}?" if near else f"a slug of {VOCABULARY_NAME}"
            faults.append(YamlFault(located.line(place), "unknown generator", expected, slug, show(place)))
    return faults


def _generator_slugs(data: Any) -> list[tuple[Place, str]]:
    slugs: list[tuple[Place, str]] = []
    expected = data.get("expect")
    if isinstance(expected, dict) and isinstance(expected.get("generators"), dict):
        slugs += [(("expect", "generators", slug), slug) for slug in expected["generators"]]
    for number, source in enumerate(data.get("labels") or ()):
        recode = source.get("recode") if isinstance(source, dict) else None
        names = recode.get("generator") if isinstance(recode, dict) else None
        if isinstance(names, dict):
            place: Place = ("labels", number, "recode", "generator")
            slugs += [((*place, name), slug) for name, slug in names.items() if isinstance(slug, str)]
    return slugs
