"""What ails a run, in words: what it is, what shows it, what to do."""

from dataclasses import dataclass

__all__ = ["Diagnosis"]


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """One illness. illness: its name ("overfitting"); evidence: with numbers; remedy: what to try first, or None.

    serious: worth interrupting a person for while the run goes on; the rest is told at its end.
    """

    illness: str
    evidence: str
    remedy: str
    serious: bool = False
    layer: str | None = None
    step: int | None = None

    def __str__(self) -> str:
        return f"{self.illness}: {self.evidence}; {self.remedy}"
