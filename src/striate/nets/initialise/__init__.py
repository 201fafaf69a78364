"""How weights begin: by the fans of a layer, by the gain of what follows it, or by a batch of real data.

>>> from striate.nets import create_model
>>> from striate.nets.initialise import initialise
>>> net = create_model("mlp", num_classes=10, in_chans=1, input_size=(8, 8), activation="tanh")
>>> initialise(net, "xavier")
"""

from striate.nets.initialise.fans import fans
from striate.nets.initialise.gain import gain
from striate.nets.initialise.lsuv import lsuv
from striate.nets.initialise.schemes import SCHEMES, initialise

__all__ = ["SCHEMES", "fans", "gain", "initialise", "lsuv"]
