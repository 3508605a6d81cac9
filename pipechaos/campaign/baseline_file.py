"""The baseline file: accepted survivors, one block each, sorted by their key, made for review in a diff."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from pipechaos.batch.textfile import write_text
from pipechaos.errors import ConfigError, suggest
from pipechaos.score.baseline import Accepted, Baseline

__all__ = ["SCHEMA", "baseline_text", "read_baseline", "write_baseline"]

SCHEMA = "pipechaos.baseline/1"
_ADVICE = "`pipechaos baseline update` writes such entries"


class _Line(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    weakness_id: str = Field(pattern=r"^[0-9a-f]{16}$")
    validator: str = Field(min_length=1)
    fault: str = Field(min_length=1)
    columns: list[str] = Field(default_factory=list)
    placement: dict[str, Any] = Field(default_factory=dict)
    severity: int = Field(0, ge=0)
    reason: str
    owner: str
    expires: str
    missed: int = Field(ge=1)
    tried: int = Field(ge=1)

    @field_validator("reason", "owner")
    @classmethod
    def _said(cls, value: str) -> str:
        if not value.strip():
            raise ValueError("is empty: say why it is accepted, and who answers for it")
        return value

    @field_validator("expires")
    @classmethod
    def _day(cls, value: str) -> str:
        try:
            dt.datetime.strptime(value, "%Y-%m-%d")
        except ValueError:
            raise ValueError(f"{value!r} is no day: write it as 2026-12-31") from None
        return value

    @model_validator(mode="after")
    def _counts(self) -> _Line:
        if self.missed > self.tried:
            raise ValueError(f"missed {self.missed} of {self.tried} tried: that cannot be")
        return self


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    schema_name: Literal["pipechaos.baseline/1"] = Field(alias="schema")
    survivors: list[Any]


def read_baseline(path: str | Path) -> Baseline:
    """Read a baseline.

    Raises
    ------
    ConfigError
        The file is missing or no such JSON, or an entry lacks something, says something unknown or is there twice;
        the message names its line.
    """
    file = Path(path)
    try:
        text = file.read_text(encoding="utf-8")
        data = json.loads(text, object_pairs_hook=_once)
    except FileNotFoundError:
        raise ConfigError(f"there is no baseline {file}: write one with `pipechaos baseline update`") from None
    except json.JSONDecodeError as exc:
        raise ConfigError(f"{file}, line {exc.lineno}: no JSON: {exc.msg}; was a merge left half done?") from None
    except (OSError, ValueError) as exc:
        raise ConfigError(f"{file} cannot be read as a baseline: {exc}") from None
    try:
        _File.model_validate(data)
    except ValidationError as exc:
        raise ConfigError(f"{file}: {'; '.join(_explain(e, ['schema', 'survivors']) for e in exc.errors())}") from None
    lines = _lines_of_entries(text)
    found: dict[str, Accepted] = {}
    first: dict[str, int] = {}
    problems: list[str] = []
    for at, entry in zip(lines, data["survivors"], strict=True):
        try:
            accepted = _accepted(_Line.model_validate(entry))
        except ValidationError as exc:
            problems += [f"line {at}: {_explain(e, list(_Line.model_fields))}" for e in exc.errors()]
            continue
        if accepted.weakness_id in found:
            problems.append(
                f"line {at}: {accepted.weakness_id} is there already, on line {first[accepted.weakness_id]}"
            )
        found[accepted.weakness_id] = accepted
        first.setdefault(accepted.weakness_id, at)
    if problems:
        raise ConfigError(f"{file}:\n" + "\n".join(f"  {p}" for p in problems) + f"\n{_ADVICE}")
    return Baseline(file=str(path), accepted=tuple(found[name] for name in sorted(found)))


def write_baseline(path: str | Path, accepted: Iterable[Accepted]) -> None:
    """Write a baseline through a temporary name: a reader sees the old file or the new one."""
    try:
        write_text(path, baseline_text(accepted))
    except OSError as exc:
        raise ConfigError(f"cannot write {path}: {exc.strerror}") from None


def baseline_text(accepted: Iterable[Accepted]) -> str:
    """Text of a baseline file, the same for the same entries in any order."""
    entries = [_plain(a) for a in sorted(accepted, key=lambda a: a.weakness_id)]
    return json.dumps({"schema": SCHEMA, "survivors": entries}, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _plain(a: Accepted) -> dict[str, Any]:
    return {
        "weakness_id": a.weakness_id,
        "validator": a.validator,
        "fault": a.fault,
        "columns": list(a.columns),
        "placement": dict(a.placement),
        "severity": a.severity,
        "reason": a.reason,
        "owner": a.owner,
        "expires": a.expires.isoformat() if a.expires else None,
        "missed": a.missed,
        "tried": a.tried,
    }


def _accepted(line: _Line) -> Accepted:
    values = line.model_dump()
    return Accepted(**values | {"columns": tuple(line.columns), "expires": dt.date.fromisoformat(line.expires)})


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(n for n in names if names.count(n) > 1)
        raise ValueError(f"key {twice!r} is there twice in one object")
    return found


def _explain(error: Any, allowed: list[str]) -> str:
    at = ".".join(str(p) for p in error["loc"])
    if error["type"] == "extra_forbidden":
        near = suggest(at, allowed)
        hint = f"did you mean {near!r}? " if near else ""
        return f"unknown key {at!r}; {hint}allowed: {', '.join(allowed)}"
    if error["type"] == "missing":
        return f"{at!r} is missing"
    message = error["msg"].removeprefix("Value error, ")
    return f"{at!r}: {message}" if at else message


def _lines_of_entries(text: str) -> list[int]:
    """Line on which each entry of ``survivors`` starts; the text is known to be sound."""
    decoder = json.JSONDecoder()

    def skip(at: int, also: str = "") -> int:
        while text[at] in " \t\r\n" + also:
            at += 1
        return at

    at = skip(text.index("{") + 1)
    while text[at] != "}":
        key, at = decoder.raw_decode(text, at)
        at = skip(at, ":")
        if key != "survivors":
            _, at = decoder.raw_decode(text, at)
            at = skip(at, ",")
            continue
        lines, at = list[int](), skip(at + 1)
        while text[at] != "]":
            lines.append(text.count("\n", 0, at) + 1)
            _, at = decoder.raw_decode(text, at)
            at = skip(at, ",")
        return lines
    return []
