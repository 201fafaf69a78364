"""What every page of the house is made of: the style sheet, words for numbers, charts that can be read aloud.

document: the style sheet, templates, and the smallest whole page. wording: numbers in words. curves, bars: charts as
SVG, on axes and svg. Nothing is imported here: who puts a number into words need not load Jinja2.
"""

__all__: list[str] = []
