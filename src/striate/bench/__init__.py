"""How fast, beside whom, and how far from the truth? The measurements behind `striate bench`.

layer: convolutions read from a net of the zoo. problem: one of them with numbers, and float64 to hold results against.
subject: what can be timed; peers/ and ours.py are such. timing: rounds in which subjects take turns. conv, nets, fft,
im2col, strassen, roofline: a table each. facts: the machine, for the record. charts: the tables as pictures.
"""

from striate.bench.layer import Layer, layers_of

__all__ = ["Layer", "layers_of"]
