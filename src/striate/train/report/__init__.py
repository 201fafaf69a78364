"""The report of a run: one page that holds everything, needs nothing, and asks nothing of the network.

record: what the trainer hands over. page, sections: record to page, with page.html.j2. scores: precision, recall,
intervals. matrix: the confusion matrix, as an SVG that can be read aloud. watched: what the watch saw. pictures:
thumbnails and filters as PNG inside the page.
"""

from striate.train.report.page import render, write_report
from striate.train.report.record import DataSummary, EpochRow, Example, LayerLine, Mistake, RunRecord, Scored
from striate.train.report.watched import Bins, Watched

__all__ = [
    "Bins",
    "DataSummary",
    "EpochRow",
    "Example",
    "LayerLine",
    "Mistake",
    "RunRecord",
    "Scored",
    "Watched",
    "render",
    "write_report",
]
