"""The inputs of a model: from shapes, `--input` options or tensors, by name, in any number of examples."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ogive.errors import RunError
from ogive.export.portable import fill
from ogive.space import Space
from ogive.space.build import arguments, checked_example, example_inputs

DTYPES = (
    "float32 float64 float16 bfloat16 complex64 complex128 int64 int32 int16 int8 uint8 bool"  # as PyTorch calls them
).split()
FORM = "[NAME=]SHAPE[:DTYPE], the shape of one example without the batch, such as 1,28,28 or tokens=16:int64"
_SPEC = re.compile(r"(?:(?P<name>[^\W\d]\w*)=)?(?P<shape>[\d,\s()\[\]]*)(?::(?P<dtype>\w+))?")


@dataclass(frozen=True, kw_only=True)
class Call:
    """How a model is called.

    Attributes:
        layout: its arguments as JSON: `{"args": [...], "kwargs": {...}}`, in which `{"input": name}` is a tensor.
        example: the tensors by name.
    """

    layout: Mapping[str, Any]
    example: Mapping[str, Tensor]

    @property
    def batch(self) -> int | None:
        """The examples in `example`: the first dimension of all inputs that have one; None where they differ."""
        sizes = {tensor.shape[0] for tensor in self.example.values() if tensor.ndim}
        return sizes.pop() if len(sizes) == 1 else None

    def arguments(self, tensors: Mapping[str, Tensor]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Positional and keyword arguments with `tensors` in the places of the example's."""
        args = tuple(fill(item, tensors) for item in self.layout["args"])
        return args, {name: fill(item, tensors) for name, item in self.layout["kwargs"].items()}

    def sized(self, batch: int | None) -> dict[str, Tensor]:
        """The example with its rows repeated to `batch` examples; as it is for None."""
        if batch is None:
            return dict(self.example)
        return {n: t[torch.arange(batch) % t.shape[0]].clone() if t.ndim else t for n, t in self.example.items()}

    def random(self, batch: int | None, generator: torch.Generator) -> dict[str, Tensor]:
        """Random inputs: the example's own values in another order, so that token ids stay valid; where they are all the
        same number, normally distributed ones.
        """
        return {name: _shuffled(tensor, generator) for name, tensor in self.sized(batch).items()}


def _shuffled(tensor: Tensor, generator: torch.Generator) -> Tensor:
    flat = tensor.flatten()
    if not flat.numel():
        return tensor
    if tensor.is_floating_point() and bool((flat == flat[0]).all()):
        return torch.randn(tensor.shape, generator=generator).to(tensor.dtype)
    return flat[torch.randint(len(flat), (len(flat),), generator=generator)].reshape(tensor.shape)


def call_of(model: nn.Module, inputs: Any) -> Call:
    """The call of `model` with `inputs`, a tuple of its positional inputs or a dict, as `example_inputs` gives them.

    Raises:
        RunError: they hold something else than tensors, plain values, lists, tuples and dicts, or no tensor.
    """
    args, kwargs = arguments(model, inputs)
    names = _parameters(model, args)
    tensors: dict[str, Tensor] = {}
    alone = len(args) == 1 and isinstance(args[0], Mapping) and not kwargs  # keys are names enough
    positional = [_layout(value, "" if alone else name, tensors) for name, value in zip(names, args, strict=True)]
    layout = {"args": positional, "kwargs": {name: _layout(value, name, tensors) for name, value in kwargs.items()}}
    if not tensors:
        raise RunError(f"the example input of the model holds no tensor: {inputs!r}; give {FORM}")
    return Call(layout=layout, example=tensors)


def _parameters(model: nn.Module, args: Sequence[Any]) -> list[str]:
    """A name for each positional argument, from the signature of `forward`."""
    kinds = inspect.Parameter
    known = [p for p in inspect.signature(model.forward).parameters.values() if p.kind is not kinds.VAR_KEYWORD]
    single = [p.name for p in known if p.kind in (kinds.POSITIONAL_ONLY, kinds.POSITIONAL_OR_KEYWORD)]
    several = next((p.name for p in known if p.kind is kinds.VAR_POSITIONAL), "input")
    return [single[i] if i < len(single) else f"{several}{i - len(single)}" for i in range(len(args))]


def _layout(value: Any, name: str, tensors: dict[str, Tensor]) -> dict[str, Any]:
    if isinstance(value, Tensor):
        tensors[name] = value.detach().cpu()
        return {"input": name}
    if isinstance(value, Mapping):
        prefix = f"{name}." if name else ""
        return {"dict": {str(key): _layout(item, f"{prefix}{key}", tensors) for key, item in value.items()}}
    if isinstance(value, (list, tuple)):
        kind = "tuple" if isinstance(value, tuple) else "list"
        return {kind: [_layout(item, f"{name}{i}", tensors) for i, item in enumerate(value)]}
    if value is None or isinstance(value, (bool, int, float, str)):
        return {"value": value}
    raise RunError(
        f"input {name!r} is a {type(value).__name__}; tensors, lists, dicts and plain values can be exported"
    )


def resolve(space: Space, inputs: Any) -> tuple[Any, ...] | dict[str, Any]:
    """The example inputs for an export: `inputs` where they are given, else the space's.

    Args:
        space: of the architecture.
        inputs: as for `Space(example_input=...)`; texts of the form of `--input` stand for shapes. None for the space's.

    Raises:
        RunError: nothing says what an input is; the message says how to tell.
        SpaceError: `inputs` is none of these.
    """
    if inputs is not None:
        return example_inputs(checked_example(_parsed(inputs)))
    if space.example_input is not None:
        return example_inputs(space.example_input)
    raise RunError(
        "the space has no example_input, so the inputs of the model are not known; give the shape of one example: "
        "`ogive export RUN --to torch --input 1,28,28` (`16:int64` for token ids, `NAME=SHAPE` for each of several inputs), "
        "in Python inputs=(1, 28, 28); or add Space(..., example_input=...) and call the search again with the same run"
    )


def _parsed(inputs: Any) -> Any:
    if isinstance(inputs, str):
        return parse_inputs([inputs])
    if isinstance(inputs, Mapping):
        return {name: _tensor(item) if isinstance(item, str) else item for name, item in inputs.items()}
    if isinstance(inputs, (list, tuple)) and any(isinstance(item, str) for item in inputs):
        return parse_inputs(inputs)
    return inputs


def parse_inputs(texts: Sequence[Any]) -> tuple[Any, ...] | dict[str, Any]:
    """Inputs of zeros, a batch of one, from texts such as `1,28,28` or `tokens=16:int64`; all of them named, or none.

    Raises:
        RunError: a text is not of this form.
    """
    pairs = [_pair(text) if isinstance(text, str) else (None, text) for text in texts]
    names = [name for name, _ in pairs if name is not None]
    if not names:
        return tuple(value for _, value in pairs)
    if len(names) < len(pairs) or len(set(names)) < len(names):
        raise RunError(f"--input: found {', '.join(map(str, texts))}; give every input a name of its own, or none")
    return {str(name): value for name, value in pairs}


def _tensor(text: str) -> Tensor:
    return _pair(text)[1]


def _pair(text: str) -> tuple[str | None, Tensor]:
    match = _SPEC.fullmatch(text.strip())
    if match is None or (match["dtype"] or "float32") not in DTYPES or not text.strip():
        raise RunError(f"--input: found {text!r}; give {FORM}; data types are {', '.join(DTYPES)}")
    shape = [int(n) for n in re.findall(r"\d+", match["shape"])]
    if 0 in shape:
        raise RunError(f"--input: found {text!r}; every size is at least 1")
    return match["name"], torch.zeros((1, *shape), dtype=getattr(torch, match["dtype"] or "float32"))


def described(call: Call, batch: int | str | None) -> Iterator[dict[str, Any]]:
    """Each input for `architecture.json`: name, shape (with `batch` in front), data type."""
    for name, tensor in call.example.items():
        shape: list[int | str] = list(tensor.shape)
        if batch is not None and shape:
            shape = [batch, *shape[1:]]
        yield {"name": name, "shape": shape, "dtype": str(tensor.dtype).removeprefix("torch.")}
