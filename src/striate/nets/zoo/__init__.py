"""Every net by name, one file per family. Importing builds nothing."""

from striate.nets.zoo import alexnet, cifar_resnet, lenet, mlp, resnet, vgg
from striate.nets.zoo.entry import Entry

__all__ = ["NETS", "Entry"]

NETS: dict[str, Entry] = {
    **mlp.NETS,
    **lenet.NETS,
    **alexnet.NETS,
    **vgg.NETS,
    **resnet.NETS,
    **cifar_resnet.NETS,
}
