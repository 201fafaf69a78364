"""The report of a run: one page that holds everything, needs nothing, and asks nothing of the network.

    record   what the trainer hands over                   scores     precision, recall, intervals from the counts
    page     record to page: render, write_report          wording    how numbers are put into words
    charts   curves, bars, matrix: SVG that can be read aloud, on axes and svg
    pictures thumbnails and filters as PNG inside the page
"""

from striate.train.report.page import render, write_report
from striate.train.report.record import DataSummary, EpochRow, Example, LayerLine, Mistake, RunRecord, Scored

__all__ = [
    "DataSummary",
    "EpochRow",
    "Example",
    "LayerLine",
    "Mistake",
    "RunRecord",
    "Scored",
    "render",
    "write_report",
]
