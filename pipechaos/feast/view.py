"""What a check needs to know of a feature view, free of Feast."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from pipechaos.errors import ConfigError, UnknownNameError, suggest

__all__ = ["Feature", "View", "feature_of", "missing_columns"]

_PREFIX = "pipechaos."
_TAGS = ("pipechaos.ignore", "pipechaos.target")
_SAID = {"true": True, "false": False}


@dataclass(frozen=True, kw_only=True)
class Feature:
    """A feature, and what its tags say of it."""

    name: str
    ignore: bool = False
    target: bool = False


@dataclass(frozen=True, kw_only=True)
class View:
    """A feature view with an offline source.

    Attributes
    ----------
    project, name
        As the repository calls them.
    keys
        Join keys, in the order of the view's entities; empty for a view without entities.
    time, created
        Event timestamp, and the column that orders rows of one key and timestamp (None: there is none).
    features
        In declared order.
    source
        How the offline source is called.
    columns
        Column of the source by the name that the view gives it, where the two differ.

    Examples
    --------
    >>> v = View(project="p", name="rides", keys=("driver",), time="ts", features=(Feature(name="rate"),), source="s")
    >>> v.key, v.names
    (('driver', 'ts'), ('driver', 'ts', 'rate'))
    """

    project: str
    name: str
    keys: tuple[str, ...]
    time: str
    created: str | None = None
    features: tuple[Feature, ...]
    source: str
    columns: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, ...]:
        """What identifies a row of a batch."""
        return (*self.keys, self.time)

    @property
    def names(self) -> tuple[str, ...]:
        """Columns of a batch, in order."""
        return (*self.key, *(f.name for f in self.features))

    @property
    def target(self) -> tuple[str, ...]:
        """Features that are predicted."""
        return tuple(f.name for f in self.features if f.target)

    @property
    def ignore(self) -> tuple[str, ...]:
        """Features that a preset leaves alone."""
        return tuple(f.name for f in self.features if f.ignore)

    def in_source(self, name: str) -> str:
        """What the source calls a column."""
        return self.columns.get(name, name)


def feature_of(name: str, tags: Mapping[str, str]) -> Feature:
    """A feature with the roles that its tags give it; tags of others are none of our business.

    Parameters
    ----------
    name
        Of the field.
    tags
        ``pipechaos.ignore`` and ``pipechaos.target``, each "true" or "false".

    Raises
    ------
    UnknownNameError
        A tag that begins with ``pipechaos.`` is none of the two.
    ConfigError
        Its value is neither "true" nor "false".

    Examples
    --------
    >>> feature_of("tip", {"pipechaos.target": "true", "owner": "rides"})
    Feature(name='tip', ignore=False, target=True)
    """
    said = {}
    for tag, value in tags.items():
        if not tag.startswith(_PREFIX):
            continue
        if tag not in _TAGS:
            raise UnknownNameError("tag", tag, _TAGS, f"the tags of feature {name!r}")
        if value.lower() not in _SAID:
            raise ConfigError(f"tag {tag} of feature {name!r} must be 'true' or 'false', not {value!r}")
        said[tag.removeprefix(_PREFIX)] = _SAID[value.lower()]
    return Feature(name=name, **said)


def missing_columns(view: View, there: Iterable[str]) -> str:
    """Columns that a view declares and its source lacks, in words; empty when all are there."""
    names = tuple(there)
    wanted = (*view.names, *([view.created] if view.created else ()))
    lacking = [view.in_source(n) for n in wanted if view.in_source(n) not in names]
    if not lacking:
        return ""
    near = [f"{n!r} (did you mean {close!r}?)" if (close := suggest(n, names)) else repr(n) for n in lacking]
    return f"{', '.join(near)}; the source has: {', '.join(sorted(names))}"
