"""A Feast repository, read and never changed: no registry, no online store and no server is opened."""

from __future__ import annotations

import datetime as dt
import logging
import os
import re
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipechaos.errors import CannotRunError, ConfigError, MissingExtraError, UnknownNameError
from pipechaos.feast.batches import moments
from pipechaos.feast.view import View, feature_of, missing_columns
from pipechaos.feast.windows import Window

__all__ = ["Repository", "opened_repository"]

_FILE = "feature_store.yaml"
_LONG_AGO = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_GIVEN = re.compile(r"input_value=.*?(?=, input_type=)", re.DOTALL)  # pydantic repeats values, passwords among them


@dataclass(frozen=True, kw_only=True, eq=False)
class Repository:
    """An opened repository; use it only while it is open.

    Attributes
    ----------
    path
        Its folder.
    config
        Feast's own configuration.
    contents
        Feast's own objects, as the repository's code defines them.
    """

    path: Path
    config: Any
    contents: Any

    def view(self, name: str) -> View:
        """What a feature view's offline source holds, in the view's words.

        Raises
        ------
        UnknownNameError
            There is no such view.
        ConfigError
            It has no offline source.
        CannotRunError
            The source cannot be reached, or lacks a declared column.
        """
        found = self._feature_view(name)
        source = found.batch_source
        with _telling(f"the source {source.name!r} of view {name!r} cannot be read"):
            there = [column for column, _ in source.get_table_column_names_and_types(self.config)]
        with _telling(f"Feast cannot tell the timestamp or the features of view {name!r}"):
            self._infer(found)
        view = self._described(found)
        if lacking := missing_columns(view, there):
            computed = getattr(found, "aggregations", None) or getattr(found, "feature_transformation", None)
            why = "features computed by the view are in no source" if computed else "Feast itself does not say so"
            raise CannotRunError(f"view {name!r} declares what its source does not have ({why}): {lacking}")
        return view

    def newest(self, view: View, before: dt.datetime) -> dt.datetime | None:
        """Event timestamp of the newest row before a moment; None where there is none."""
        source = self._feature_view(view.name).batch_source
        with _telling(f"the newest row of view {view.name!r} cannot be looked up"):
            job = self._offline_store.pull_latest_from_table_or_query(
                self.config,
                source,
                [view.in_source(k) for k in view.keys],
                [view.in_source(view.features[0].name)],
                view.in_source(view.time),
                None,
                _LONG_AGO,
                before - dt.timedelta(microseconds=1),
            )
            found = moments(job.to_arrow().column(view.in_source(view.time)), view)
        latest: dt.datetime | None = pc.max(found).as_py()
        return latest

    def pull(self, view: View, window: Window) -> pa.Table:
        """Rows of a stretch of time as the offline store gives them: in any order, the end perhaps included.

        Raises
        ------
        CannotRunError
            The store fails.
        """
        source = self._feature_view(view.name).batch_source
        with _telling(
            f"rows of view {view.name!r} from {window.begin:%Y-%m-%d} to {window.end:%Y-%m-%d} cannot be read"
        ):
            job = self._offline_store.pull_all_from_table_or_query(
                self.config,
                source,
                [view.in_source(k) for k in view.keys],
                [view.in_source(f.name) for f in view.features],
                view.in_source(view.time),
                view.in_source(view.created) if view.created else None,
                window.begin,
                window.end,
            )
            return job.to_arrow()

    @property
    def _offline_store(self) -> Any:
        from feast.infra.provider import get_provider

        return get_provider(self.config).offline_store

    def _feature_view(self, name: str) -> Any:
        kinds: Mapping[str, Any] = {
            "feature view": [*self.contents.feature_views, *self.contents.stream_feature_views],
            "on-demand feature view": self.contents.on_demand_feature_views,
            "label view": self.contents.label_views,
        }
        named = {view.name: (kind, view) for kind, views in kinds.items() for view in views}
        if name not in named:
            raise UnknownNameError("feature view", name, named, str(self.path))
        kind, view = named[name]
        if kind != "feature view" or view.batch_source is None:
            fit = [n for n, (k, v) in named.items() if k == "feature view" and v.batch_source is not None]
            raise ConfigError(
                f"{kind} {name!r} has no offline source to take batches from; views that have one: "
                f"{', '.join(sorted(fit)) or 'none'}"
            )
        return view

    def _infer(self, view: Any) -> None:
        """What `feast apply` would add to a definition, in memory alone."""
        from feast.inference import (
            update_data_sources_with_inferred_event_timestamp_col,
            update_feature_views_with_inferred_features_and_entities,
        )
        from feast.infra.provider import get_provider

        update_data_sources_with_inferred_event_timestamp_col([view.batch_source], self.config)
        provider = get_provider(self.config)
        update_feature_views_with_inferred_features_and_entities(provider, [view], self.contents.entities, self.config)

    def _described(self, view: Any) -> View:
        from feast.feature_view import DUMMY_ENTITY_NAME

        source = view.batch_source
        join_keys = {e.name: e.join_key for e in self.contents.entities}
        entities = [e for e in view.entities if e != DUMMY_ENTITY_NAME]
        for entity in entities:
            if entity not in join_keys:
                raise UnknownNameError("entity", entity, set(join_keys) - {DUMMY_ENTITY_NAME}, f"view {view.name!r}")
        mapping = dict(source.field_mapping or {})
        renamed = {theirs: ours for theirs, ours in mapping.items() if theirs != ours}
        keys = tuple(join_keys[e] for e in entities)
        time = mapping.get(source.timestamp_field, source.timestamp_field)
        created = source.created_timestamp_column or None
        apart = {*keys, time}
        return View(
            project=self.config.project,
            name=view.name,
            keys=keys,
            time=time,
            created=mapping.get(created, created) if created else None,
            features=tuple(  # not view.schema, whose order changes from process to process
                feature_of(f.name, f.tags) for f in view.features if f.name not in apart
            ),
            source=source.name,
            columns={ours: theirs for theirs, ours in renamed.items()},
        )


@contextmanager
def opened_repository(repo: str | Path) -> Iterator[Repository]:
    """Open a repository for reading, from within its folder, as Feast's own commands do.

    Nothing is written: the definitions are imported without byte code, no registry and no online store are opened, and
    afterwards working directory, import path and modules are as they were.

    Parameters
    ----------
    repo
        Folder with a ``feature_store.yaml``, or such a file.

    Raises
    ------
    ConfigError
        There is no such file.
    MissingExtraError
        Feast is not installed.
    CannotRunError
        Feast cannot use the configuration, or the repository's code fails.
    """
    file = Path(repo).resolve()
    file = file / _FILE if file.is_dir() else file
    if not file.is_file():
        raise ConfigError(f"there is no {file}: give the folder of a Feast repository, which holds a {_FILE}")
    with _quiet(), _inside(file.parent):
        try:
            from feast.repo_config import load_repo_config
            from feast.repo_operations import parse_repo
        except ModuleNotFoundError as exc:
            if (exc.name or "").partition(".")[0] != "feast":
                raise
            raise MissingExtraError("feast", "feast") from None
        with _telling(f"{file} cannot be used"):
            config = load_repo_config(file.parent, file)
        with _telling(f"the definitions in {file.parent} cannot be imported"):
            contents = parse_repo(file.parent)
        yield Repository(path=file.parent, config=config, contents=contents)


@contextmanager
def _telling(what: str) -> Iterator[None]:
    """Turn whatever a store or somebody's definitions raise into one message."""
    try:
        yield
    except (CannotRunError, ConfigError, KeyboardInterrupt):
        raise
    except (Exception, SystemExit) as exc:
        said = _GIVEN.sub("input_value=...", str(exc).strip()) or "no reason given"
        raise CannotRunError(f"{what}: {type(exc).__name__}: {said}") from exc


@contextmanager
def _inside(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    path, modules, bytecode = list(sys.path), set(sys.modules), sys.dont_write_bytecode
    os.chdir(folder)
    sys.path.insert(0, str(folder))
    sys.dont_write_bytecode = True
    try:
        yield
    finally:
        os.chdir(before)
        sys.path[:] = path
        sys.dont_write_bytecode = bytecode
        for name in set(sys.modules) - modules:
            file = getattr(sys.modules[name], "__file__", None)
            if file and Path(file).resolve().is_relative_to(folder) and "site-packages" not in Path(file).parts:
                del sys.modules[name]


@contextmanager
def _quiet() -> Iterator[None]:
    """Feast and Dask speak of their own affairs on import and with every pull."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
