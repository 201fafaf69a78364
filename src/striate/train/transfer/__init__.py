"""Transfer: a trained net on other images.

source: the trained net. depth: its layers in order. features, cache: what a layer sees, computed once. probes, ladder:
classifiers on top, layer by layer. tuning: what of the net learns, and how fast. evidence, plans: which plan, and why.
curves, page: all plans beside each other as the data grow.

Nothing is imported here: the training loop needs `tuning` alone, and scikit-learn takes a second to load.
"""

__all__: list[str] = []
