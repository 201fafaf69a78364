"""A name of the core stands for one type: two of one name in a namespace are undefined behaviour."""

import re
from collections import defaultdict
from pathlib import Path

NATIVE = Path(__file__).parents[2] / "native"
# What `-Wodr` would compare if the core were linked with LTO: types that are seen by more than one file, in headers.
NAMESPACE = re.compile(r"^namespace ([\w:]+) \{$")
TYPE = re.compile(r"^(?:struct|class|enum class|enum)(?: alignas\(\w+\))? (\w+)(?: final)?(?: :[^;]*)? \{")


def types_of(header):
    """(namespace, name) of every type that the header defines there, members of types left out."""
    namespace = ""
    for line in header.read_text().splitlines():
        if opened := NAMESPACE.match(line):
            namespace = opened[1]
        elif defined := TYPE.match(line):
            yield namespace, defined[1]


def test_no_two_headers_define_a_type_of_one_name():
    files = defaultdict(set)
    for header in NATIVE.glob("*/*.h"):
        for qualified in types_of(header):
            files[qualified].add(str(header.relative_to(NATIVE)))
    assert len(files) > 100, "the pattern no longer finds the core's types"
    assert {"::".join(name): sorted(of) for name, of in files.items() if len(of) > 1} == {}
