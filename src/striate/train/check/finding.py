"""What one check found: a verdict, the evidence for it, and what to do."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

__all__ = ["Finding", "Verdict"]

Verdict: TypeAlias = Literal["ok", "warning", "failed", "skipped"]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One line of the list. `figures` are the numbers behind it, as JSON knows them, and what a page draws."""

    name: str
    verdict: Verdict
    evidence: str
    remedy: str = ""
    figures: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
