"""The inputs of a model: parse them from shapes, `--input` options or tensors, name them, and change the batch size."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ogive.errors import RunError
from ogive.export.portable import fill_layout
from ogive.space import Space
from ogive.space.build import bind_forward_arguments, build_example_inputs, normalize_example_input

# The names of data types in PyTorch.
DTYPES = (
    "float32",
    "float64",
    "float16",
    "bfloat16",
    "complex64",
    "complex128",
    "int64",
    "int32",
    "int16",
    "int8",
    "uint8",
    "bool",
)
INPUT_FORM = "[NAME=]SHAPE[:DTYPE], the shape of one example without the batch, such as 1,28,28 or tokens=16:int64"
_INPUT_PATTERN = re.compile(r"(?:(?P<name>[^\W\d]\w*)=)?(?P<shape>[\d,\s()\[\]]*)(?::(?P<dtype>\w+))?")


@dataclass(frozen=True, kw_only=True)
class ModelCall:
    """The arguments with which a model is called.

    Attributes:
        layout: the arguments as JSON, `{"args": [...], "kwargs": {...}}`. In it, `{"input": name}` represents a tensor.
        example: the example tensors, by name.
    """

    layout: Mapping[str, Any]
    example: Mapping[str, Tensor]

    @property
    def batch_size(self) -> int | None:
        """The number of examples in `example`: the first dimension of all inputs; None if their first dimensions differ."""
        sizes = {tensor.shape[0] for tensor in self.example.values() if tensor.ndim}
        return sizes.pop() if len(sizes) == 1 else None

    def make_arguments(self, tensors: Mapping[str, Tensor]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the positional and keyword arguments for a call with `tensors`."""
        args = tuple(fill_layout(item, tensors) for item in self.layout["args"])
        return args, {name: fill_layout(item, tensors) for name, item in self.layout["kwargs"].items()}

    def resize_example(self, batch_size: int | None) -> dict[str, Tensor]:
        """Return the example tensors, repeated or cut to `batch_size` examples; unchanged if `batch_size` is None."""
        if batch_size is None:
            return dict(self.example)
        return {
            name: tensor[torch.arange(batch_size) % tensor.shape[0]].clone() if tensor.ndim else tensor
            for name, tensor in self.example.items()
        }

    def make_random_inputs(self, batch_size: int | None, generator: torch.Generator) -> dict[str, Tensor]:
        """Return random inputs of `batch_size` examples.

        The values are drawn from those of the example, so that token ids are valid. Only a floating-point input whose values
        are all equal gets normally distributed values.
        """
        return {name: _randomize(tensor, generator) for name, tensor in self.resize_example(batch_size).items()}


def _randomize(tensor: Tensor, generator: torch.Generator) -> Tensor:
    """Return a random tensor of the same shape; see `ModelCall.make_random_inputs`."""
    flat = tensor.flatten()
    if not flat.numel():
        return tensor
    if tensor.is_floating_point() and bool((flat == flat[0]).all()):
        return torch.randn(tensor.shape, generator=generator).to(tensor.dtype)
    return flat[torch.randint(len(flat), (len(flat),), generator=generator)].reshape(tensor.shape)


def make_call(model: nn.Module, inputs: Any) -> ModelCall:
    """Return the call of `model` with `inputs`, a tuple of positional inputs or a dict, as `resolve_inputs` returns them.

    Raises:
        RunError: the inputs contain no tensor, or something other than tensors, plain values, lists, tuples and dicts.
    """
    args, kwargs = bind_forward_arguments(model, inputs)
    names = _name_positional_inputs(model, args)
    tensors: dict[str, Tensor] = {}
    # If the only argument is a dict, its keys are clear names without the name of the parameter as a prefix.
    is_single_dict = len(args) == 1 and isinstance(args[0], Mapping) and not kwargs
    layout = {
        "args": [
            _make_layout(value, "" if is_single_dict else name, tensors)
            for name, value in zip(names, args, strict=True)
        ],
        "kwargs": {name: _make_layout(value, name, tensors) for name, value in kwargs.items()},
    }
    if not tensors:
        raise RunError(f"the example input of the model contains no tensor: {inputs!r}; give {INPUT_FORM}")
    return ModelCall(layout=layout, example=tensors)


def _name_positional_inputs(model: nn.Module, args: Sequence[Any]) -> list[str]:
    """Return a name for each positional argument, from the signature of `forward`."""
    kinds = inspect.Parameter
    parameters = [p for p in inspect.signature(model.forward).parameters.values() if p.kind is not kinds.VAR_KEYWORD]
    names = [p.name for p in parameters if p.kind in (kinds.POSITIONAL_ONLY, kinds.POSITIONAL_OR_KEYWORD)]
    variadic = next((p.name for p in parameters if p.kind is kinds.VAR_POSITIONAL), "input")
    return [names[i] if i < len(names) else f"{variadic}{i - len(names)}" for i in range(len(args))]


def _make_layout(value: Any, name: str, tensors: dict[str, Tensor]) -> dict[str, Any]:
    """Return the layout of one argument, and add its tensors to `tensors`.

    A tensor is called `name`; inside a dict or a list, the key or the index is added: "name.key", "name0".
    """
    if isinstance(value, Tensor):
        tensors[name] = value.detach().cpu()
        return {"input": name}
    if isinstance(value, Mapping):
        prefix = f"{name}." if name else ""
        return {"dict": {str(key): _make_layout(item, f"{prefix}{key}", tensors) for key, item in value.items()}}
    if isinstance(value, (list, tuple)):
        kind = "tuple" if isinstance(value, tuple) else "list"
        return {kind: [_make_layout(item, f"{name}{i}", tensors) for i, item in enumerate(value)]}
    if value is None or isinstance(value, (bool, int, float, str)):
        return {"value": value}
    raise RunError(
        f"input {name!r} is a {type(value).__name__}; tensors, lists, dicts and plain values can be exported"
    )


def resolve_inputs(space: Space, inputs: Any) -> tuple[Any, ...] | dict[str, Any]:
    """Return the example inputs for an export.

    Args:
        space: the space of the architecture.
        inputs: inputs in the form of `Space(example_input=...)`, where a text gives a shape in the form of `--input`; None
            for the example input of the space.

    Raises:
        RunError: neither `inputs` nor the space provides an example. The message shows how to provide one.
        SpaceError: `inputs` has another form.
    """
    if inputs is not None:
        return build_example_inputs(normalize_example_input(_parse_texts(inputs)))
    if space.example_input is not None:
        return build_example_inputs(space.example_input)
    raise RunError(
        "the space has no example_input, so the inputs of the model are unknown; give the shape of one example: "
        "`ogive export RUN --to torch --input 1,28,28` (`16:int64` for token ids, `NAME=SHAPE` for each of several inputs), "
        "in Python inputs=(1, 28, 28); or add Space(..., example_input=...) and call the search again with the same run"
    )


def _parse_texts(inputs: Any) -> Any:
    """Return the inputs, with a tensor of zeros in place of every text that gives a shape."""
    if isinstance(inputs, str):
        return parse_inputs([inputs])
    if isinstance(inputs, Mapping):
        return {name: _parse_input(item)[1] if isinstance(item, str) else item for name, item in inputs.items()}
    if isinstance(inputs, (list, tuple)) and any(isinstance(item, str) for item in inputs):
        return parse_inputs(inputs)
    return inputs


def parse_inputs(texts: Sequence[Any]) -> tuple[Any, ...] | dict[str, Any]:
    """Return inputs of zeros, with a batch of one example, from texts such as `1,28,28` or `tokens=16:int64`.

    Items that are not texts are returned unchanged.

    Returns:
        A dict if all texts have names; a tuple if no text has a name.

    Raises:
        RunError: a text has another form, only some texts have names, or two texts have the same name.
    """
    pairs = [_parse_input(text) if isinstance(text, str) else (None, text) for text in texts]
    names = [name for name, _ in pairs if name is not None]
    if not names:
        return tuple(value for _, value in pairs)
    if len(names) < len(pairs) or len(set(names)) < len(names):
        raise RunError(
            f"--input: found {', '.join(map(str, texts))}; give each input a different name, or no input a name"
        )
    return {str(name): value for name, value in pairs}


def _parse_input(text: str) -> tuple[str | None, Tensor]:
    """Return the name that a text gives (None if it gives none), and a tensor of zeros of its shape."""
    match = _INPUT_PATTERN.fullmatch(text.strip())
    if match is None or (match["dtype"] or "float32") not in DTYPES or not text.strip():
        raise RunError(f"--input: found {text!r}; give {INPUT_FORM}; data types are {', '.join(DTYPES)}")
    shape = [int(n) for n in re.findall(r"\d+", match["shape"])]
    if 0 in shape:
        raise RunError(f"--input: found {text!r}; every size must be at least 1")
    return match["name"], torch.zeros((1, *shape), dtype=getattr(torch, match["dtype"] or "float32"))


def describe_inputs(call: ModelCall, batch: int | str | None) -> Iterator[dict[str, Any]]:
    """Yield the entry of each input in `architecture.json`: its name, shape and data type.

    `batch` is the batch size in the shape, or the name of a variable batch size; None to keep the size of the example.
    """
    for name, tensor in call.example.items():
        shape: list[int | str] = list(tensor.shape)
        if batch is not None and shape:
            shape = [batch, *shape[1:]]
        yield {"name": name, "shape": shape, "dtype": str(tensor.dtype).removeprefix("torch.")}
