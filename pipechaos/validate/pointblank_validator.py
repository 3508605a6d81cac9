"""pointblank plans as validators: interrogated on a frame, with nothing sent and no action taken."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from pipechaos.errors import MissingExtraError, ValidatorLoadError
from pipechaos.validate.base import Judgement, crash_finding, judge
from pipechaos.validate.limits import Limit
from pipechaos.validate.pointblank_checks import columns_of, declared_checks, runs_never
from pipechaos.validate.pointblank_limits import declared_limits
from pipechaos.validate.polars_frame import FrameKind, collected, is_polars
from pipechaos.validate.suite_files import digest_files, files_of, import_attr, import_under, resolve_file
from pipechaos.validate.verdict import Check, Finding, FindingKind, Subject, Verdict

__all__ = ["PointblankValidator", "load_pointblank", "load_pointblank_yaml"]

Plan = Callable[[Any], Any]


class PointblankValidator:
    """A plan of steps judged as ``interrogate()`` would in production.

    A step rejects when it reaches its *error* or *critical* level; where it has no levels at all, when one unit fails.
    Units that fail below that, or reach *warning* alone, are tolerated. Actions are taken off the plan, since a trial
    is no reason to call anybody, and steps that would send rows to a language model are left out and are errors.

    Parameters
    ----------
    plan
        ``f(frame)`` giving a ``pointblank.Validate`` that has not run.
    name
        Name in the experiment.
    suite_digest
        Digest of the files it was loaded from.
    frame_kind
        What it judges; any by default.
    """

    def __init__(self, plan: Plan, *, name: str, suite_digest: str = "", frame_kind: FrameKind = FrameKind.ANY) -> None:
        import pandas as pd

        self.name = name
        self.suite_digest = suite_digest
        self.frame_kind = frame_kind
        self._plan = plan
        try:
            steps = _steps_of(_ready(plan, pd.DataFrame()))
        except ValidatorLoadError:
            raise
        except Exception:  # noqa: BLE001 - it looks into the frame before it knows its steps; they show when it runs
            steps = None
        self._known = steps is not None
        whole = Check(id=str(getattr(plan, "__name__", "plan")), columns=(), subject=Subject.TABLE)
        self.checks: tuple[Check, ...] = (whole,) if steps is None else declared_checks(steps)
        self.limits: tuple[Limit, ...] = () if steps is None else declared_limits(steps, self.checks)

    def run(self, frame: Any) -> Verdict:
        """Judge a frame; rows of findings are positions."""
        (verdict,) = judge(self.name, self.checks, frame, self._judge)
        return verdict

    def _judge(self, frame: Any) -> Iterator[Judgement]:
        given = frame if is_polars(frame) else frame.reset_index(drop=True)  # what the plan writes stays here
        validate = _ready(self._plan, given)
        steps = _steps_of(validate)
        checks = declared_checks(steps)
        for number, step in enumerate(steps):
            step.step_id = str(number)  # copied into every step that a selector or a segment makes of it
        silenced = _silence(validate, steps)
        crash = _interrogate(validate)
        done = [(checks[int(s.step_id)], s) for s in validate.validation_info if s.step_id is not None]
        found = [crash_finding(_MODEL, checks[int(s.step_id)].id) for s in silenced]
        if crash is not None:
            yield self._broken(crash, done, found)
            return
        ran = {check.id for check, _ in done}
        for check, step in done:
            if not any(step is s for s in silenced) and (finding := _finding(check, step, given)) is not None:
                found.append(finding)
        ran -= {checks[int(s.step_id)].id for s in silenced}
        evaluated = len(ran & {c.id for c in self.checks}) if self._known else len(self.checks)
        yield Judgement(findings=tuple(_united(found)), ran=evaluated)

    def _broken(self, crash: BaseException, done: Sequence[tuple[Check, Any]], found: list[Finding]) -> Judgement:
        """An exception ended the interrogation: in production too, so that no step has a say, and one is to blame."""
        blamed = next(((c, s) for c, s in done if s.time_processed is None), None)
        finding = crash_finding(crash)
        if blamed is not None:
            check, step = blamed
            finding = Finding(
                check=check.id,
                columns=columns_of(step) or check.columns,
                kind=FindingKind.ERROR,
                subject=check.subject,
                message=f"it ended the interrogation: {type(crash).__name__}",
            )
        ran = sum(step.time_processed is not None for _, step in done)
        return Judgement(findings=(*found, finding), ran=min(ran, len(self.checks) - 1), crashed=True)


_MODEL = "never run: the step sends rows to a language model"


def _ready(plan: Plan, frame: Any) -> Any:
    made = plan(frame)
    if not hasattr(made, "validation_info") or not hasattr(made, "interrogate"):
        raise ValidatorLoadError(f"the plan gave a {type(made).__name__}; expected a pointblank.Validate.")
    if made.time_end is not None:
        raise ValidatorLoadError("the plan has already run; return the Validate without calling interrogate().")
    return made


def _steps_of(validate: Any) -> list[Any]:
    """Steps of a plan that are not switched off for good; the rest are taken out."""
    validate.validation_info = [s for s in validate.validation_info if not runs_never(s)]
    return list(validate.validation_info)


def _silence(validate: Any, steps: Sequence[Any]) -> list[Any]:
    """Take every action off a plan, and deactivate what would leave this machine; those steps are returned."""
    validate.actions = validate.final_actions = None
    for step in steps:
        step.actions = None
    sending = [s for s in steps if s.assertion_type == "prompt"]
    for step in sending:
        step.active = False
    return sending


def _interrogate(validate: Any) -> BaseException | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            # extracts would leave out rows beyond the 500th, and some nulls
            validate.interrogate(collect_extracts=False)
        except Exception as error:  # noqa: BLE001 - said of the step that raised it
            return error
    return None


def _finding(check: Check, step: Any, frame: Any) -> Finding | None:
    columns = check.columns if "no_columns_resolved" in (step.notes or {}) else columns_of(step) or check.columns
    if step.eval_error:
        return _made(check, columns, FindingKind.ERROR, message=_note(step))
    if step.active is False:
        return _made(check, columns, FindingKind.TOLERATED, message="skipped: its condition does not hold here")
    if step.all_passed or not step.n_failed:
        return None
    levels = step.thresholds
    has_levels = any(getattr(levels, level, None) is not None for level in ("warning", "error", "critical"))
    rejects = bool(step.error or step.critical) if has_levels else True
    kind = FindingKind.FAIL if rejects else FindingKind.TOLERATED
    message = "" if rejects else f"{step.n_failed} of {step.n} units failed, below the level that rejects"
    if check.subject is Subject.SCHEMA and step.val_info:
        return _of_schema(check, step, kind, message)
    return _made(check, columns, kind, rows=_rows(step, frame), message=message)


def _of_schema(check: Check, step: Any, kind: FindingKind, message: str) -> Finding:
    """Columns of a schema that are not there, not expected, or of another dtype."""
    info = step.val_info
    target = [str(name) for name, *_ in info["target_schema"]]
    expected = [str(name) for name, *_ in info["expect_schema"]]
    named = {c for c in expected if c not in target} | {c for c in target if c not in expected}
    retyped = {c for c, seen in info["columns"].items() if seen["colname_matched"] and not seen["dtype_matched"]}
    columns = tuple(c for c in dict.fromkeys((*expected, *target)) if c in named or (not named and c in retyped))
    subject = Subject.DTYPE if retyped and not named else Subject.SCHEMA
    return Finding(check=check.id, columns=columns, kind=kind, subject=subject, message=message)


def _rows(step: Any, frame: Any) -> Any:
    """Positions of failing units, where a unit is a row of the frame as it was given."""
    import numpy as np
    import pandas as pd

    table = step.tbl_checked
    if table is None or step.pre is not None or step.segments is not None:
        return None
    good = collected(table)["pb_is_good_"].to_list()
    if len(good) != len(collected(frame)):
        return None
    null_fails = step.assertion_type in {"col_vals_in_set", "col_vals_in_table"}
    passed = pd.array(good, dtype="boolean").fillna(not null_fails)
    return np.flatnonzero(~passed.to_numpy(dtype=bool)).astype(np.int64)


def _made(check: Check, columns: tuple[str, ...], kind: FindingKind, rows: Any = None, message: str = "") -> Finding:
    return Finding(check=check.id, columns=columns, kind=kind, subject=check.subject, rows=rows, message=message)


def _note(step: Any) -> str:
    notes = [n.get("text", "") for n in (step.notes or {}).values()]
    return " ".join(" ".join(notes).split())[:300] or "the step could not be evaluated"


def _united(found: Sequence[Finding]) -> list[Finding]:
    """One finding per check, columns and kind: segments of one step say the same."""
    out: dict[tuple[Any, ...], Finding] = {}
    for f in found:
        out.setdefault((*f.key, f.kind), f)
    return list(out.values())


def _library() -> Any:
    try:
        import pointblank  # type: ignore[import-untyped] # ships no types
    except ImportError as error:
        raise MissingExtraError("pointblank", "pointblank") from error
    return pointblank


def load_pointblank(
    module: str, attr: str, *, name: str, roots: Sequence[Path], imports: Sequence[str] = ()
) -> PointblankValidator:
    """Load a function that plans a validation from ``module`` under the roots.

    Raises
    ------
    ValidatorLoadError
        The module or attribute is missing, no function, or gives something else than a plan that has not run.
    MissingExtraError
        pointblank is not installed.
    """
    _library()
    modules = [import_under(m, roots) for m in imports]
    found, loaded = import_attr(module, attr, roots)
    if not callable(found):
        raise ValidatorLoadError(
            f"{module}:{attr} is a {type(found).__name__}; expected a function of a frame that gives a "
            "pointblank.Validate."
        )
    digest = digest_files(files_of([loaded, *modules], roots), roots)
    return PointblankValidator(found, name=name, suite_digest=digest)


def load_pointblank_yaml(
    path: str, *, name: str, roots: Sequence[Path], imports: Sequence[str] = ()
) -> PointblankValidator:
    """Load a plan that pointblank keeps in a YAML file under the roots.

    The file may hold expressions of Python, which pointblank evaluates: it is code, and trusted as such. Its own table
    (``tbl``) is never read. ``df_library`` says what frames it judges; pandas where it is not given.

    Raises
    ------
    ValidatorLoadError
        The file is missing, outside the roots, or no plan.
    MissingExtraError
        pointblank is not installed.
    """
    file = resolve_file(path, roots)
    _library()
    modules = [import_under(m, roots) for m in imports]
    import pandas as pd
    from pointblank.yaml import YAMLValidator  # type: ignore[import-untyped]

    digest = digest_files({file} | files_of(modules, roots), roots)

    def plan(frame: Any) -> Any:
        reader = YAMLValidator()
        load, own = reader._load_data_source, config["tbl"]

        def given(source: Any, library: str) -> Any:
            return frame if source is own else load(source, library)

        reader._load_data_source = given
        return reader.build_validation(copy.deepcopy(config) | {"tbl": own})

    plan.__name__ = file.stem
    try:
        config = YAMLValidator().load_config(file)
        kind = FrameKind(config.get("df_library", "pandas"))
        plan(pd.DataFrame())
    except Exception as error:
        detail = " ".join(f"{type(error).__name__}: {error}".split())[:500]
        raise ValidatorLoadError(f"pointblank cannot load {file}: {detail}") from error
    return PointblankValidator(plan, name=name, suite_digest=digest, frame_kind=kind)
