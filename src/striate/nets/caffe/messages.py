"""Message classes for Caffe's files, made by `protobuf` from the table in `schema` when first asked for.

No generated code and no compiler: a descriptor is built field by field, in a pool of its own, so that a program which
also imports Caffe's own messages does not meet two of one name.
"""

import re
from functools import cache
from typing import Any

from google.protobuf import (  # type: ignore[import-untyped]  # it ships no stubs
    descriptor_pb2,
    descriptor_pool,
    message_factory,
)

from striate.nets.caffe.schema import SCHEMA

__all__ = ["choice", "message_class"]

PACKAGE = "striate.caffe"
FIELD = re.compile(r"  (?P<name>\w+) (?P<number>\d+) (?P<type>\w+|\{[^}]*\})(?P<many>\*?)(?: = (?P<default>\S+))?")


def message_class(name: str) -> Any:
    """The class of messages called `name` in the table.

    >>> message_class("PoolingParameter")(kernel_size=3).stride
    1
    """
    return message_factory.GetMessageClass(_pool().FindMessageTypeByName(f"{PACKAGE}.{name}"))


def choice(message: Any, field: str) -> str:
    """The name of the value that an enumerated field has.

    >>> choice(message_class("PoolingParameter")(pool=1), "pool")
    'AVE'
    """
    values = message.DESCRIPTOR.fields_by_name[field].enum_type.values_by_number
    return str(values[getattr(message, field)].name)


@cache  # the table never changes, and neither does what is made of it
def _pool() -> Any:
    file = descriptor_pb2.FileDescriptorProto(name="striate/caffe.proto", package=PACKAGE, syntax="proto2")
    message: Any = None
    for line in SCHEMA.strip().splitlines():
        if not line.startswith(" "):
            message = file.message_type.add(name=line)
            continue
        match = FIELD.fullmatch(line)
        assert match, line
        _add_field(message, **match.groupdict())
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return pool


def _add_field(message: Any, *, name: str, number: str, type: str, many: str, default: str | None) -> None:
    kinds = descriptor_pb2.FieldDescriptorProto
    field = message.field.add(name=name, number=int(number))
    field.label = kinds.LABEL_REPEATED if many else kinds.LABEL_OPTIONAL
    if default is not None:
        field.default_value = default
    if type.startswith("{"):
        enum = message.enum_type.add(name=f"{name}_values")
        for value in type[1:-1].split():
            key, _, code = value.partition(":")
            enum.value.add(name=key, number=int(code))
        field.type, field.type_name = kinds.TYPE_ENUM, f".{PACKAGE}.{message.name}.{enum.name}"
    elif type[0].isupper():
        field.type, field.type_name = kinds.TYPE_MESSAGE, f".{PACKAGE}.{type}"
    else:
        field.type = getattr(kinds, f"TYPE_{type.upper()}")
