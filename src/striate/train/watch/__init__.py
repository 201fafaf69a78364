"""The watch: what a run's layers do while it trains, and what that means.

activations: what each layer's outputs look like.
"""
