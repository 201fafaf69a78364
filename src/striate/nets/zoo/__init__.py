"""Every net by name, one file per family. Importing builds nothing."""

from striate.nets.zoo import (
    alexnet,
    cifar_resnet,
    deeply_fused,
    densenet,
    fractalnet,
    googlenet,
    inception_v3,
    lenet,
    mlp,
    neocognitron,
    nin,
    preact_resnet,
    resnet,
    resnet_in_resnet,
    ror,
    squeezenet,
    swapout,
    vgg,
    weighted_resnet,
    wide_resnet,
    zfnet,
)
from striate.nets.zoo.entry import Entry

__all__ = ["NETS", "Entry"]

NETS: dict[str, Entry] = {
    **mlp.NETS,
    **neocognitron.NETS,
    **lenet.NETS,
    **alexnet.NETS,
    **zfnet.NETS,
    **vgg.NETS,
    **nin.NETS,
    **googlenet.NETS,
    **inception_v3.NETS,
    **resnet.NETS,
    **cifar_resnet.NETS,
    **preact_resnet.NETS,
    **wide_resnet.NETS,
    **resnet_in_resnet.NETS,
    **ror.NETS,
    **weighted_resnet.NETS,
    **swapout.NETS,
    **fractalnet.NETS,
    **deeply_fused.NETS,
    **densenet.NETS,
    **squeezenet.NETS,
}
