"""The list of deliberate faults stays true to the code. To make them takes an hour (`make mutants`)."""

import tomllib
from pathlib import Path

from striate import conv

ROOT = Path(__file__).parents[2]
MUTATIONS = tomllib.loads((ROOT / "native" / "tests" / "mutations.toml").read_text())["mutation"]


def test_every_fault_can_still_be_made():
    """What a fault replaces stands exactly once in its file, or it is no longer made."""
    counts = {m["what"]: (ROOT / m["file"]).read_text().count(m["from"]) for m in MUTATIONS}
    assert len(counts) == len(MUTATIONS)  # each has a name of its own
    assert {what: count for what, count in counts.items() if count != 1} == {}


def test_every_algorithm_named_exists():
    """A suite that is asked for an unknown one refuses, which would pass for a fault that was seen."""
    named = {m["algorithm"] for m in MUTATIONS if "algorithm" in m}
    assert named <= set(conv.algorithms())
