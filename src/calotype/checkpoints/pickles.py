"""What a pickle says, without doing what it says.

A pickle is a program for a small stack machine, which may call anything. Here the machine is our own: ``pickletools``
cuts the program into instructions and executes none, and of all that an instruction can name, this machine knows only
tensors, their storages and ordered dictionaries. What else real training programs leave behind, such as Lightning's
callbacks, becomes an `Inert` placeholder; any other name is refused.
"""

import pickletools
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from typing import Any


@dataclass(frozen=True)
class Name:
    """Something that a pickle would import."""

    module: str
    name: str

    def __str__(self) -> str:
        """As Python writes it."""
        return f"{self.module}.{self.name}"


@dataclass(frozen=True)
class Inert:
    """What a harmless object was, and nothing of what it could do."""

    what: str


@dataclass(frozen=True)
class Storage:
    """A run of numbers that lies beside the pickle, under ``key``."""

    dtype: str
    key: str
    count: int


@dataclass(frozen=True)
class Tensor:
    """A view of a storage; offset and strides count numbers."""

    storage: Storage
    dtype: str
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class Unreadable(ValueError):
    """The pickle is cut short, damaged, or not one."""


class Program(ValueError):
    """The pickle would do what no file of weights needs done."""


_STORAGES = {
    "DoubleStorage": "F64", "FloatStorage": "F32", "HalfStorage": "F16", "BFloat16Storage": "BF16",
    "LongStorage": "I64", "IntStorage": "I32", "ShortStorage": "I16", "CharStorage": "I8",
    "ByteStorage": "U8", "BoolStorage": "BOOL", "UntypedStorage": "U8",
}  # fmt: skip
_DTYPES = {
    "float64": "F64", "float32": "F32", "float16": "F16", "bfloat16": "BF16", "int64": "I64", "int32": "I32",
    "int16": "I16", "int8": "I8", "uint64": "U64", "uint32": "U32", "uint16": "U16", "uint8": "U8", "bool": "BOOL",
    "float8_e4m3fn": "F8_E4M3", "float8_e5m2": "F8_E5M2",
}  # fmt: skip
_INERT_MODULES = (
    "pytorch_lightning",
    "lightning",
    "lightning_fabric",
    "lightning_utilities",
    "omegaconf",
    "ldm",
    "sgm",
)
_INERT = {
    f"{module}.{name}"
    for modules, names in (
        ("builtins __builtin__", "set frozenset dict list tuple int long float complex bool str unicode bytes object"),
        ("copyreg copy_reg", "_reconstructor"),
        ("collections", "defaultdict Counter deque"),
        ("numpy.core.multiarray numpy._core.multiarray", "scalar _reconstruct"),
        ("numpy", "dtype ndarray float64 float32 int64 bool_"),
        ("_codecs", "encode"),
        ("argparse", "Namespace"),
        ("pathlib pathlib._local", "Path PosixPath WindowsPath PurePosixPath PureWindowsPath"),
        ("torch", " ".join(("Size", "device", *_DTYPES))),
        ("torch.nn.parameter", "Parameter"),
        ("torch.nn.modules.container", "ParameterDict ParameterList"),
        ("typing", "Any"),
    )
    for module in modules.split()
    for name in names.split()
}


def read_pickle(stream: BytesIO) -> tuple[Any, dict[str, Storage]]:
    """The value of the pickle at the stream's position, which moves behind it; and the storages it refers to, by key.

    The value consists of plain values, tensors and placeholders; of a dictionary, the items named by texts are kept.
    Raises Program naming what the pickle would run, and Unreadable.
    """
    machine = _Machine()
    try:
        for opcode, argument, _ in pickletools.genops(stream):
            machine.do(opcode.name, argument)
        return machine.stack.pop(), machine.storages
    except (IndexError, KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        if isinstance(error, (Program, Unreadable)):
            raise
        raise Unreadable(f"its pickle is not whole ({error})") from error


class _Machine:
    """A stack, the stacks below each mark, and the memo: pickle's whole machine."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.below: list[list[Any]] = []
        self.memo: dict[int, Any] = {}
        self.storages: dict[str, Storage] = {}

    def do(self, opcode: str, argument: Any) -> None:
        """Carry out one instruction."""
        if opcode in _LITERALS:
            self.stack.append(argument)
        elif opcode in _CONSTANTS:
            self.stack.append(_CONSTANTS[opcode]())
        elif opcode in _TUPLES:
            count = _TUPLES[opcode]
            self.stack[-count:] = [tuple(self.stack[-count:])]
        elif opcode in _COLLECTIONS:
            items = self.items()
            self.stack.append(_COLLECTIONS[opcode](items))
        elif opcode in ("PUT", "BINPUT", "LONG_BINPUT"):
            self.memo[argument] = self.stack[-1]
        elif opcode == "MEMOIZE":
            self.memo[len(self.memo)] = self.stack[-1]
        elif opcode in ("GET", "BINGET", "LONG_BINGET"):
            self.stack.append(self.memo[argument])
        elif opcode in _ACTIONS:
            _ACTIONS[opcode](self)
        elif opcode == "GLOBAL":
            module, _, name = argument.partition(" ")
            self.stack.append(_named(module, name))
        elif opcode == "INST":
            module, _, name = argument.partition(" ")
            self.items()
            self.stack.append(_call(_named(module, name), ()))
        elif opcode not in ("PROTO", "FRAME", "STOP"):
            raise Program(f"it uses {opcode}, which no file of weights needs")

    def items(self) -> list[Any]:
        """What lies above the last mark, which goes away."""
        items, self.stack = self.stack, self.below.pop()
        return items

    def mark(self) -> None:
        self.below.append(self.stack)
        self.stack = []

    def duplicate(self) -> None:
        self.stack.append(self.stack[-1])

    def pop(self) -> None:
        if self.stack:
            self.stack.pop()
        else:
            self.items()

    def pop_mark(self) -> None:
        self.items()

    def append(self) -> None:
        value = self.stack.pop()
        _extend(self.stack[-1], [value])

    def appends(self) -> None:
        items = self.items()
        _extend(self.stack[-1], items)

    def set_item(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        _update(self.stack[-1], [key, value])

    def set_items(self) -> None:
        items = self.items()
        _update(self.stack[-1], items)

    def named(self) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        self.stack.append(_named(module, name))

    def reduce(self) -> None:
        arguments, function = self.stack.pop(), self.stack.pop()
        self.stack.append(_call(function, arguments))

    def reduce_with_keywords(self) -> None:
        self.stack.pop()
        self.reduce()

    def make(self) -> None:
        function, *arguments = self.items()
        self.stack.append(_call(function, tuple(arguments)))

    def build(self) -> None:
        self.stack.pop()  # an object's attributes: they belong to placeholders, or are notes on a dictionary

    def persistent(self) -> None:
        storage = _storage(self.stack.pop())
        self.storages[storage.key] = storage
        self.stack.append(storage)


def _pairs(items: list[Any]) -> dict[str, Any]:
    content: dict[str, Any] = {}
    _update(content, items)
    return content


_LITERALS = {
    "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT", "STRING", "BINSTRING",
    "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES",
    "BINBYTES8", "BYTEARRAY8",
}  # fmt: skip
_CONSTANTS: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None, "NEWTRUE": lambda: True, "NEWFALSE": lambda: False, "EMPTY_TUPLE": tuple,
    "EMPTY_LIST": list, "EMPTY_DICT": dict, "EMPTY_SET": lambda: Inert("set"),
}  # fmt: skip
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_COLLECTIONS: dict[str, Callable[[list[Any]], Any]] = {
    "TUPLE": tuple, "LIST": list, "DICT": _pairs, "FROZENSET": lambda items: Inert("frozenset"),
}  # fmt: skip
_ACTIONS: dict[str, Callable[[_Machine], None]] = {
    "MARK": _Machine.mark, "POP": _Machine.pop, "POP_MARK": _Machine.pop_mark,
    "DUP": _Machine.duplicate, "APPEND": _Machine.append, "APPENDS": _Machine.appends, "ADDITEMS": _Machine.appends,
    "SETITEM": _Machine.set_item, "SETITEMS": _Machine.set_items, "STACK_GLOBAL": _Machine.named,
    "REDUCE": _Machine.reduce, "NEWOBJ": _Machine.reduce, "NEWOBJ_EX": _Machine.reduce_with_keywords,
    "OBJ": _Machine.make, "BUILD": _Machine.build, "BINPERSID": _Machine.persistent,
}  # fmt: skip


def _extend(target: Any, items: list[Any]) -> None:
    if isinstance(target, list):
        target.extend(items)
    elif not isinstance(target, Inert):
        raise TypeError("appends to what is no list")


def _update(target: Any, items: list[Any]) -> None:
    if isinstance(target, Inert):
        return
    if not isinstance(target, dict) or len(items) % 2:
        raise TypeError("sets items of what is no dictionary")
    for key, value in zip(items[::2], items[1::2], strict=True):
        # Only texts name weights. Others are not even hashed: tuples can be nested so that their hash takes forever.
        if isinstance(key, str):
            if key in target:
                raise Unreadable(f"{key!r} is there twice")
            target[key] = value


def _named(module: Any, name: Any) -> Name:
    if not (isinstance(module, str) and isinstance(name, str)):
        raise TypeError("imports what is no name")
    found = Name(module, name)
    storage = name in _STORAGES and module in ("torch", "torch.cuda", "torch.storage")
    if storage or str(found) in _CALLS or str(found) in _INERT or module.partition(".")[0] in _INERT_MODULES:
        return found
    raise Program(f"it would import {str(found)[:80]!r}")


def _call(function: Any, arguments: Any) -> Any:
    if not isinstance(function, Name) or not isinstance(arguments, tuple):
        raise TypeError("calls what is no function")
    known = _CALLS.get(str(function))
    return Inert(str(function)) if known is None else known(*arguments)


def _storage(description: Any) -> Storage:
    match description:
        case ("storage", Name(name=name), str(key), _, int(count), *views) if name in _STORAGES and not any(views):
            return Storage(_STORAGES[name], key, count)
    raise TypeError("refers to something outside that is no storage")


def _ordered(*arguments: Any) -> dict[str, Any]:
    """An OrderedDict: empty in newer files, made from a list of pairs by Python 2."""
    pairs = arguments[0] if arguments else ()
    # Before they are joined: lists that hold one long list again and again would be endless.
    if not all(isinstance(pair, (list, tuple)) and len(pair) == 2 for pair in pairs):
        raise TypeError("makes a dictionary of what are no pairs")
    return _pairs([part for pair in pairs for part in pair])


def _tensor(storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> Tensor:
    return _view(storage, offset, shape, strides, None)


def _typed_tensor(storage: Any, offset: Any, shape: Any, strides: Any, *rest: Any) -> Tensor:
    return _view(storage, offset, shape, strides, rest[2])


def _view(storage: Any, offset: Any, shape: Any, strides: Any, dtype: Any) -> Tensor:
    if not isinstance(storage, Storage) or not isinstance(shape, tuple) or not isinstance(strides, tuple):
        raise TypeError("makes a tensor of what is no storage")
    numbers = (offset, *shape, *strides)
    fits = len(shape) == len(strides) <= 8
    if not fits or not all(type(number) is int and 0 <= number < 2**63 for number in numbers):
        raise TypeError("makes a tensor of no shape")
    own = storage.dtype if dtype is None else _DTYPES[dtype.name]
    return Tensor(storage, own, offset, shape, strides)


def _parameter(data: Any, *_: Any) -> Any:
    return data


_CALLS: dict[str, Callable[..., Any]] = {
    "collections.OrderedDict": _ordered,
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_tensor_v3": _typed_tensor,
    "torch._utils._rebuild_parameter": _parameter,
    "torch._utils._rebuild_parameter_with_state": _parameter,
}
