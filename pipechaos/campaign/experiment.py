"""The experiment file: what a campaign breaks, who judges it, and what it may cost."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from pipechaos import counter
from pipechaos.errors import ExperimentError, suggest

__all__ = [
    "Budget",
    "Contract",
    "Controls",
    "EntitySubsample",
    "Experiment",
    "FaultSpec",
    "GateSpec",
    "History",
    "Incident",
    "Review",
    "ValidatorSpec",
    "json_schema",
    "load_experiment",
    "parse_experiment",
    "read_mapping",
]

_LONGEST = 80  # characters of a wrong value that a message repeats


def _batch_name(value: object) -> object:
    """Text of a name that YAML took for a date or a number."""
    number = isinstance(value, int) and not isinstance(value, bool)
    return str(value) if number or isinstance(value, dt.date) else value


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _quoted(value: object) -> object:
    """Refuse an id that YAML took for a number: its digits may be gone."""
    if isinstance(value, (int, float)):
        raise ValueError("YAML took this id for a number: write it in quotes")
    return value


_ONE = {"type": "string", "minLength": 1}
Name = Annotated[str, Field(min_length=1)]
BatchName = Annotated[Name, BeforeValidator(_batch_name), WithJsonSchema({"anyOf": [_ONE, {"type": "integer"}]})]
Names = Annotated[
    list[Name], BeforeValidator(_listed), WithJsonSchema({"anyOf": [_ONE, {"type": "array", "items": _ONE}]})
]
Rungs = Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=1)]
Share = Annotated[float, Field(ge=0, le=1)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class History(_Strict):
    """Which batches, in the order of their names, are the clean history that suites and scales were made from."""

    before: BatchName | None = Field(
        None, description="Batches whose name sorts before this one, for instance 2013-04-01."
    )
    count: int | None = Field(None, ge=0, description="The first so many batches.")

    @model_validator(mode="after")
    def _one(self) -> History:
        if (self.before is None) == (self.count is None):
            raise ValueError("history takes either `before: NAME` or `count: N`")
        return self


class EntitySubsample(_Strict):
    """A batch may hold fewer entities than usual."""

    entity: Names = Field(min_length=1, description="Columns that name an entity.")
    keep: Share = Field(0.97, description="Share of entities kept; the row count must stay in its historic range.")


class Contract(_Strict):
    """What a batch may change without being bad: every clause is tried as a benign control."""

    row_order: bool = Field(False, description="Rows may come in any order.")
    encoding: bool = Field(False, description="Text columns may be dictionary encoded or not.")
    extra_columns: bool = Field(False, description="Columns that nobody declared may appear.")
    entity_subsample: EntitySubsample | None = Field(None, description="Entities may be missing.")


class Incident(_Strict):
    """A batch known to be bad before the run: neither control, base nor history."""

    batch: BatchName
    reason: Name


class ValidatorSpec(_Strict):
    """One of the team's validators."""

    name: Name = Field(description="How reports call it.")
    spec: Name = Field(
        description="pandera:module:attr, gx:path/suite.json, dataframely:module:Schema[:cast|:filter], "
        "pointblank:module:function, pointblank:plan.yaml or callable:module:attr."
    )
    imports: Names = Field(default_factory=list, description="Modules that register custom expectations or checks.")
    loader: str | None = Field(None, description="Reader of this validator alone; the experiment's otherwise.")


class FaultSpec(_Strict):
    """One fault on one or more columns."""

    fault: Name = Field(description="Code in the catalogue, see `pipechaos faults`.")
    columns: Names = Field(
        default_factory=list, description="One injection for each; empty for row faults or all that apply."
    )
    placement: dict[str, Any] | str | None = Field(
        None, description="Where it strikes; the fault's own default otherwise."
    )
    params: dict[str, Any] = Field(default_factory=dict)
    severities: Rungs | None = Field(None, description="Rungs of the ladder; the experiment's otherwise.")


class Review(_Strict):
    """A person's word on a natural control's alarm, after the run."""

    batch: BatchName
    alarm: Annotated[Literal["true", "false"], WithJsonSchema({"enum": ["true", "false", True, False]})] = Field(
        description="true: the batch was bad; false: a false alarm."
    )
    reason: Name
    validator: str | None = Field(None, description="Only for this validator.")

    @field_validator("alarm", mode="before")
    @classmethod
    def _alarm_text(cls, value: object) -> object:
        return str(value).lower() if isinstance(value, bool) else value


class Controls(_Strict):
    """Untouched and harmlessly changed batches."""

    natural: int | None = Field(None, ge=1, description="So many of the batches after the history; all otherwise.")
    until: BatchName | None = Field(None, description="Batches whose name sorts after this one are left out.")
    last: int | None = Field(None, ge=1, description="Only the last so many of the batches after the history.")
    bases: int | None = Field(None, ge=1, description="Only the last so many controls are broken; all otherwise.")
    benign: int = Field(15, ge=0, description="Bases for each clause of the contract.")
    repeats: int = Field(10, ge=0, description="Controls judged twice, to find flaky validators.")
    reviewed: list[Review] = Field(default_factory=list)


class Budget(_Strict):
    """What a run may cost."""

    trials: int | None = Field(None, ge=1, description="Faulty trials (injection x validator); controls come on top.")
    minutes: float | None = Field(None, gt=0, description="Wall time; reaching it stops the run.")


class GateSpec(_Strict):
    """A limit on a rate, decided on its one-sided 95 % bound."""

    metric: Literal["fnr", "strict_fnr", "escape", "error", "fpr", "benign"]
    limit: Share
    validator: str | None = None
    family: str | None = None
    fault: str | None = None
    column: str | None = None
    weakness: Annotated[str, Field(pattern=r"^[0-9a-f]{4,16}$"), BeforeValidator(_quoted)] | None = Field(
        None, description="Id of one weakness, or the unique beginning of it, in quotes."
    )
    max_error: Share | None = None

    @model_validator(mode="after")
    def _fits(self) -> GateSpec:
        if self.metric in ("fpr", "benign") and (self.family or self.fault or self.column or self.weakness):
            raise ValueError(
                f"a gate on {self.metric} is about controls: it takes no family, fault, column or weakness"
            )
        return self


class Experiment(_Strict):
    """One experiment file."""

    name: Name
    seed: int = Field(0, ge=0, lt=2**63)
    batches: Names = Field(
        min_length=1, description="Globs or URLs, relative to this file; one batch a file or partition folder."
    )
    key: Names = Field(default_factory=list, description="Columns that identify a row.")
    time: str | None = Field(None, description="Event time column.")
    target: Names = Field(default_factory=list, description="Columns that are predicted.")
    ignore: Names = Field(default_factory=list, description="Columns that a preset leaves alone.")
    history: History = Field(default_factory=lambda: History(count=0))
    contract: Contract = Field(default_factory=Contract)
    incidents: list[Incident] = Field(default_factory=list)
    validators: list[ValidatorSpec] = Field(min_length=1)
    roots: Names = Field(
        default_factory=lambda: ["."], min_length=1, description="The only folders code is imported from."
    )
    loader: str | None = Field(
        None,
        description="module:function(path) -> frame; otherwise pandas.read_parquet, or polars.read_parquet for "
        "validators of polars frames.",
    )
    faults: list[FaultSpec] = Field(default_factory=list)
    preset: str | None = Field(None, description="quick, standard, missing, value, schema, rows or drift.")
    pairs: int | None = Field(None, ge=1, description="At most so many fault-column pairs of the preset.")
    severities: Rungs = Field(default_factory=lambda: [1, 2, 3, 4, 5], description="Rungs of each fault's ladder.")
    repeats: int = Field(1, ge=1, description="Draws of each injection on each base.")
    controls: Controls = Field(default_factory=Controls)
    budget: Budget = Field(default_factory=Budget)
    limit_seconds: float = Field(60, gt=0, description="A validator is killed after so long on one frame.")
    rho: Share = Field(0.2, description="Smallest correlation within a cluster that intervals assume.")
    block: int = Field(7, ge=1, description="Consecutive batches that form one cluster of the false-positive rate.")
    gates: list[GateSpec] = Field(default_factory=list)

    @model_validator(mode="after")
    def _whole(self) -> Experiment:
        names = [v.name for v in self.validators]
        if len(set(names)) < len(names):
            raise ValueError("two validators have the same name: reports could not tell them apart")
        if not self.faults and self.preset is None:
            raise ValueError("nothing to inject: list `faults:` or name a `preset:`")
        named = [("gate", g.validator) for g in self.gates] + [("review", r.validator) for r in self.controls.reviewed]
        for what, name in named:
            if name is not None and name not in names:
                near = suggest(name, names)
                hint = f"did you mean {near!r}? " if near else ""
                raise ValueError(f"a {what} names validator {name!r}; {hint}there are: {', '.join(names)}")
        return self

    @property
    def digest(self) -> str:
        """Sixteen hex digits over everything the file says."""
        return counter.digest_id("experiment", self.model_dump(mode="json"))


class _Loader(yaml.SafeLoader):
    """YAML with dates left as they are written (they name batches), and no key twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Mapping of a node."""
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag == "tag:yaml.org,2002:merge":
                continue
            if key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"key {key.value!r} is there twice", key.start_mark)
            seen.add(key.value)
        return dict(super().construct_mapping(node, deep))


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in known if tag != "tag:yaml.org,2002:timestamp"]
    for first, known in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def parse_experiment(data: Mapping[str, Any], where: str = "experiment") -> Experiment:
    """Check an experiment given as a mapping.

    Raises
    ------
    ExperimentError
        Each problem on its own line, unknown keys with a suggestion.
    """
    broken = [
        f"{at or 'file'}: {clip!a} holds half of a surrogate pair, which is no character: write the character itself"
        for at, clip in _half_characters(data, "", set())
    ]
    if broken:  # first of all: nothing that holds one can be named, hashed or printed
        raise ExperimentError(f"{where}:\n" + "\n".join(f"  {line}" for line in broken))
    try:
        return Experiment.model_validate(data)
    except ValidationError as exc:
        lines = [_explain(e, data) for e in exc.errors()]
        raise ExperimentError(f"{where}:\n" + "\n".join(f"  {line}" for line in lines)) from None


def load_experiment(path: str | Path) -> Experiment:
    """Read an experiment file.

    Raises
    ------
    ExperimentError
        The file is missing, is no YAML mapping, or says something that is not allowed.
    """
    if not Path(path).exists():
        raise ExperimentError(f"there is no experiment {path}: write one with `pipechaos init BATCH... --schema S`")
    return parse_experiment(read_mapping(path), str(path))


def read_mapping(path: str | Path) -> dict[str, Any]:
    """Keys of an experiment file, or of a part of one, as they are written.

    Raises
    ------
    ExperimentError
        The file cannot be read, or is no YAML mapping.
    """
    try:
        data = yaml.load(Path(path).read_text(encoding="utf-8"), _Loader)  # noqa: S506 - a safe loader
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as exc:
        raise ExperimentError(f"{path} cannot be read as YAML: {exc}") from None
    if not isinstance(data, dict):
        raise ExperimentError(
            f"{path} must hold a mapping (name:, batches:, validators:, ...), not a {type(data).__name__}"
        )
    return data


def json_schema() -> dict[str, Any]:
    """JSON Schema of the experiment file."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Experiment.model_json_schema()}


def _half_characters(value: object, at: str, seen: set[int]) -> Iterator[tuple[str, str]]:
    """Place and beginning of every key and text with half of a surrogate pair, which YAML can write as an escape."""
    if isinstance(value, str):
        if any("\ud800" <= c <= "\udfff" for c in value):
            yield at, value[:_LONGEST]
    elif isinstance(value, (Mapping, list)) and id(value) not in seen:  # an alias of YAML can make a ring
        seen.add(id(value))
        for key, part in value.items() if isinstance(value, Mapping) else enumerate(value):
            place = f"{at}.{key}".lstrip(".").encode(errors="backslashreplace").decode()
            yield from _half_characters(key, at, seen)
            yield from _half_characters(part, place, seen)


def _explain(error: Any, data: Mapping[str, Any]) -> str:
    at = ".".join(str(p) for p in error["loc"]) or "file"
    if error["type"] == "extra_forbidden":
        fields = _fields_at(error["loc"][:-1])
        near = suggest(str(error["loc"][-1]), fields)
        hint = f"did you mean {near!r}? " if near else ""
        return f"{at}: unknown key; {hint}allowed here: {', '.join(sorted(fields))}"
    message = error["msg"].removeprefix("Value error, ")
    shown = repr(error["input"])
    shown = shown if len(shown) <= _LONGEST else shown[: _LONGEST - 1] + "…"
    given = "" if error["type"] in ("missing", "value_error") else f" (given: {shown})"
    return f"{at}: {message}{given}"


def _fields_at(loc: tuple[int | str, ...]) -> list[str]:
    model: type[BaseModel] = Experiment
    for part in loc:
        if isinstance(part, int) or part not in model.model_fields:
            continue
        found = _model_in(model.model_fields[part].annotation)
        if found is None:
            break
        model = found
    return list(model.model_fields)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for inner in getattr(annotation, "__args__", ()):
        if (found := _model_in(inner)) is not None:
            return found
    return None
