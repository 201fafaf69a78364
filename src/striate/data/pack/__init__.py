"""One memory-mapped Arrow file that holds a whole set of images (docs/design/packed.md).

    writer.write_pack(data, path)      every image, label, part and class name, with checksums
    opened.open_packs([path], spec)    the set again, without a pass over its images
    check.check_pack(path)             every checksum

Nothing is imported here but the file's suffix: Arrow takes a fifth of a second to load, and only packs need it.
"""

from striate.data.pack.found import SUFFIX

__all__ = ["SUFFIX"]
