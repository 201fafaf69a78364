"""Which settings? Spaces, stages from coarse to fine, and trials that end early, on Optuna's storage and samplers.

space, nets, draws, narrow: what is tried. plan: what a search is told. storage, ledger, process: the trials where all
processes see them. materials, trial, worker, machine: one process at work, and what stops it. conduct, begin, folder:
the search itself. ranking, view, report: what came of it. The design:
docs/design/search.md.
"""

from striate.search.begin import Found, conclude_plan, go_on, known_plan, prepared, start_folder
from striate.search.folder import SearchFolder, resume_hint
from striate.search.plan import Plan, Stage
from striate.search.ranking import all_records
from striate.search.space import Choices, Range, value_text
from striate.search.view import view_for

__all__ = [
    "Choices",
    "Found",
    "Plan",
    "Range",
    "SearchFolder",
    "Stage",
    "all_records",
    "conclude_plan",
    "go_on",
    "known_plan",
    "prepared",
    "resume_hint",
    "start_folder",
    "value_text",
    "view_for",
]
