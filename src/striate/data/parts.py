"""The parts that a data set may have, in the order in which they are listed, packed and told."""

__all__ = ["PARTS"]

PARTS = ("train", "val", "test")
