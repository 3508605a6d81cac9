"""What tests of pipelines and of their validators can use; names are imported when first used."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipechaos.testing.assertions import must_accept as must_accept
    from pipechaos.testing.assertions import must_reject as must_reject
    from pipechaos.testing.cases import FaultCase as FaultCase
    from pipechaos.testing.cases import fault_cases as fault_cases
    from pipechaos.testing.contracts import check_validator as check_validator
    from pipechaos.testing.fault_contract import check_fault as check_fault
    from pipechaos.testing.outcomes import AcceptResult as AcceptResult
    from pipechaos.testing.outcomes import MissedFaultError as MissedFaultError
    from pipechaos.testing.outcomes import NothingChangedError as NothingChangedError
    from pipechaos.testing.outcomes import Result as Result
    from pipechaos.testing.outcomes import UnexpectedVerdictError as UnexpectedVerdictError

_PUBLIC = {
    "AcceptResult": "outcomes",
    "FaultCase": "cases",
    "MissedFaultError": "outcomes",
    "NothingChangedError": "outcomes",
    "Result": "outcomes",
    "UnexpectedVerdictError": "outcomes",
    "check_fault": "fault_contract",
    "check_validator": "contracts",
    "fault_cases": "cases",
    "must_accept": "assertions",
    "must_reject": "assertions",
}

__all__ = sorted(_PUBLIC)


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'pipechaos.testing' has no attribute {name!r}; it has: {', '.join(__all__)}")
    return getattr(importlib.import_module(f"pipechaos.testing.{_PUBLIC[name]}"), name)


def __dir__() -> list[str]:
    return list(__all__)
