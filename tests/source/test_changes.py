"""Changes that a hash of the bytecode alone would not detect."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

Hashes = Callable[..., tuple[str, str, str]]


@pytest.fixture(autouse=True)
def precision() -> None:
    torch.set_default_dtype(torch.float32)


def is_detected(hashes: tuple[str, str, str]) -> bool:
    first, second, edited = hashes
    assert first == second
    return edited != first


@pytest.mark.parametrize(
    "text",
    [
        "import cfg\ndef make(c): return c.LR\ndef use(): return cfg.K, make(cfg)\n",
        "import cfg\nclass N:\n    def __init__(self):\n        self.c, self.k = cfg, cfg.K\n"
        "    def run(self): return self.c.LR\ndef use(): return N().run()\n",
        "import cfg\ndef use(): return cfg.__dict__['LR'] * cfg.K\n",
        "import cfg\ndef use(name): return getattr(cfg, name) * cfg.K\n",
        "import cfg\ndef outer():\n    c = cfg\n    return lambda: (c.K, [c])\nuse = outer()\n",
        "import cfg\nKEPT = {'c': cfg}\ndef use(): return cfg.K, KEPT\n",
        "import cfg\ndef use(c=cfg): return cfg.K, c.LR\n",
    ],
)
def test_a_module_that_is_passed_on_is_identified_as_a_whole(hashes: Hashes, text: str) -> None:
    assert is_detected(hashes(text, "LR = 0.1", "LR = 0.2", cfg="LR = 0.1\nK = 1\n"))


def test_attributes_of_a_module_that_are_not_read_are_ignored(hashes: Hashes) -> None:
    text = "import cfg\ndef use(x):\n    cfg.MADE = x\n    return cfg.K + cfg.table.get(x).size\n"
    assert not is_detected(hashes(text, "LR = 0.1", "LR = 0.2", cfg="LR = 0.1\nK = 1\ntable = {}\n"))


def test_a_module_may_create_attributes_when_they_are_read(hashes: Hashes) -> None:
    text = "import cfg\ndef use(): return cfg.LR * cfg.K\n"
    assert is_detected(hashes(text, "return 0.1", "return 0.2", cfg="K = 1\ndef __getattr__(name):\n    return 0.1\n"))


CHANGES = {
    "an attribute of a function": ("def use(): return use.lr\nuse.lr = 0.1\n", "0.1", "0.2"),
    "a bound method of a dict": ("get = {'a': 1}.get\ndef use(): return get('a')\n", "1}", "2}"),
    "the arguments of autocast": (
        "import torch\n@torch.autocast('cpu', dtype=torch.bfloat16)\ndef use(x): return x @ x\n",
        "bfloat16",
        "float16",
    ),
    "the arguments of grad": (
        "import torch\ndef f(a, b): return (a * b).sum()\ng = torch.func.grad(f, argnums=0)\ndef use(x): return g(x, x)\n",
        "argnums=0",
        "argnums=1",
    ),
    "the arguments of vmap": (
        "import torch\ndef f(a, b): return a * b\ng = torch.vmap(f, in_dims=(0, 1))\ndef use(x): return g(x, x)\n",
        "(0, 1)",
        "(0, 0)",
    ),
    "the type of an overload": (
        "import functools\n@functools.singledispatch\ndef use(x): return 0\n@use.register(int)\ndef _(x): return 1\n",
        "register(int)",
        "register(float)",
    ),
    "the code of an overload": (
        "import functools\n@functools.singledispatch\ndef use(x): return 0\n@use.register(int)\ndef _(x): return 1\n",
        "return 1",
        "return 2",
    ),
    "the weights of classes": (
        "import torch\nL = torch.nn.CrossEntropyLoss(weight=torch.tensor([1.0, 2.0]))\ndef use(x): return L(x, x)\n",
        "2.0]",
        "5.0]",
    ),
    "a buffer of a module of the project": (
        "import torch\nclass L(torch.nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        "        self.register_buffer('w', torch.tensor([1.0]))\nloss = L()\ndef use(x): return loss(x)\n",
        "[1.0]",
        "[2.0]",
    ),
    "a frozen teacher": (
        "import torch\nT = torch.nn.Linear(1, 1).requires_grad_(False)\nT.weight.fill_(1.0)\nT.bias.fill_(0.0)\n"
        "def use(x): return T(x)\n",
        "fill_(1.0)",
        "fill_(2.0)",
    ),
    "a teacher in evaluation mode": (
        "import torch\nT = torch.nn.Linear(1, 1).eval()\nT.weight.data.fill_(1.0)\nT.bias.data.fill_(0.0)\n"
        "def use(x): return T(x)\n",
        "fill_(1.0)",
        "fill_(2.0)",
    ),
    "how weights that will be trained are created": (
        "import torch\ndef made(path):\n    return torch.nn.Linear(1, 1)\nT = made('a.pt')\ndef use(x): return T(x)\n",
        "a.pt",
        "b.pt",
    ),
    "what is loaded into weights that will be trained": (
        "import torch\ndef weights(path):\n    return {}\nT = torch.nn.Linear(1, 1)\n"
        "T.load_state_dict(weights('a.pt'), strict=False)\ndef use(x): return T(x)\n",
        "a.pt",
        "b.pt",
    ),
    "the type of numbers": (
        "import torch\nM = torch.tensor([0.5], dtype=torch.bfloat16)\ndef use(x): return x * M\n",
        "bfloat16",
        "float32",
    ),
    "a parameter": (
        "import torch\nM = torch.tensor([0.5])\ndef use(x): return x * M\n",
        "torch.tensor([0.5])",
        "torch.nn.Parameter(torch.tensor([0.5]), requires_grad=False)",
    ),
    "requires_grad": (
        "import torch\nM = torch.tensor([0.5])\ndef use(x): return x * M\n",
        "([0.5])",
        "([0.5], requires_grad=True)",
    ),
    "the metadata of a field": (
        "import dataclasses\n@dataclasses.dataclass\nclass C:\n"
        "    a: int = dataclasses.field(default=1, metadata={'k': 1})\ndef use(): return dataclasses.fields(C)\n",
        "'k': 1",
        "'k': 2",
    ),
    "a function of a library that is replaced": (
        "import torch\ndef start(self): return None\ntorch.nn.Bilinear.reset_parameters = start\n"
        "def use(): return torch.nn.Bilinear(1, 1, 1)\n",
        "return None",
        "return 1",
    ),
    "a setting at import": (
        "import torch\ntorch.set_default_dtype(torch.float32)\ndef use(): return torch.zeros(3)\n",
        "float32)",
        "float64)",
    ),
    "a setting under a condition": (
        "import torch\nif torch.get_num_threads() > 0:\n    torch.set_default_dtype(torch.float32)\n"
        "def use(): return torch.zeros(3)\n",
        "float32)",
        "float64)",
    ),
    "names of locals where they are read": (
        "def use(x):\n    rate = 1\n    return locals()\n",
        "rate",
        "decay",
    ),
    "a pydantic field's type": (
        "import pydantic\nclass C(pydantic.BaseModel):\n    lr: int = 1\ndef use(): return C(lr='1').lr\n",
        "lr: int",
        "lr: str",
    ),
    "a pydantic validator": (
        "import pydantic\nclass C(pydantic.BaseModel):\n    lr: float = 0.1\n    @pydantic.field_validator('lr')\n"
        "    def check(cls, x): return x * 2\ndef use(): return C(lr=1).lr\n",
        "x * 2",
        "x * 3",
    ),
    "a random generator": (
        "import numpy as np\nnormal = np.random.default_rng(0).normal\ndef use(): return normal()\n",
        "rng(0)",
        "rng(1)",
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_detected(hashes: Hashes, change: str) -> None:
    assert is_detected(hashes(*CHANGES[change]))


def test_the_statements_that_create_imported_weights_are_identified(hashes: Hashes) -> None:
    cfg = "import torch\ndef made(path):\n    return torch.nn.Linear(1, 1)\nT = made('a.pt')\n"
    assert is_detected(hashes("from cfg import T\ndef use(x): return T(x)\n", "a.pt", "b.pt", cfg=cfg))


def test_a_module_is_identified_by_the_effects_of_its_import(modules: Any) -> None:
    text = "import cfg\ndef use(): return 1\n"
    before = modules.identify({"m": text, "cfg": "import torch\ntorch.manual_seed(1)\nLR = 1\n"})
    assert (
        modules.identify({"m": text, "cfg": "import torch\ntorch.manual_seed(1)  # here\nLR = 2\n"}).hash == before.hash
    )
    after = modules.identify({"m": text, "cfg": "import torch\ntorch.manual_seed(2)\nLR = 1\n"})
    assert [name for name in before.parts if before.parts[name] != after.parts[name]] == ["import cfg"]


@pytest.mark.parametrize(
    "line",
    [
        "print('starts')",
        "import sys; sys.path.insert(0, 'elsewhere')",
        "import logging; logging.basicConfig(level=10)",
        "import torch\nif __name__ == '__main__':\n    torch.manual_seed(3)",
        "HANDLED = []\nHANDLED.append(1)",
        "class Unused:\n    table = {}\nUnused.table['a'] = 1",
        "'a text'",
    ],
)
def test_statements_without_an_outside_effect_are_ignored(modules: Any, line: str) -> None:
    text = "def use(): return 1\n"
    assert modules.identify(f"{line}\n{text}").hash == modules.identify(text).hash


@pytest.mark.parametrize(
    "text",
    [
        "import sys\ndef use(): return getattr(sys.modules[__name__], 'us' + 'e')\n",
        "def use():\n    import sys as s\n    return s.modules['m'].use\n",
        "from sys import modules\ndef use(): return modules['m'].use\n",
        "def use():\n    from sys import modules\n    return modules['m'].use\n",
        "import torch\ndef use(x): return torch.ops.project.scale(x)\n",
    ],
)
def test_code_that_is_looked_up_by_a_computed_name_is_not_identified(modules: Any, text: str) -> None:
    assert "it looks up code by names that are computed at run time" in modules.identify(text).missing[0]


def test_attributes_of_other_objects_are_no_lookups(modules: Any) -> None:
    text = "import sys, torch\ndef use(model):\n    sys.stdout.flush()\n    return [*model.modules()], torch.ops.aten.relu\n"
    assert modules.identify(text).missing == ()
