"""The report of a search: one page in the manner of a run's, from the trials in the storage.

page: records to page, with page.html.j2. story: sentences and tables. plane, scale: points between two axes; course,
slices, contour, parallel, importance, layouts: a chart each.
"""

from striate.search.report.page import write_search_report

__all__ = ["write_search_report"]
