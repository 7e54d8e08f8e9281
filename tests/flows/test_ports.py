"""A flow is given no more of the store than it uses, and the types say what that is (mypy holds that it is enough)."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.flows import ports

FLOWS = Path(ports.__file__).parent
PORTS: tuple[type[Any], ...] = tuple(each for each in ports.Store.__mro__ if each.__module__ == ports.__name__)[1:]
MOST_METHODS = 5


def methods_of(port: type[Any]) -> set[str]:
    return {name for name in vars(port) if not name.startswith("_")}


def uses_of_ports() -> Iterator[Any]:
    """Yield each flow with each port that it names."""
    for path in sorted(FLOWS.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module == ports.__name__:
                for name in node.names:
                    yield pytest.param(path, name.name, id=f"{path.stem} {name.name}")


@pytest.mark.parametrize("port", [*PORTS, ports.Provider])
def test_a_port_is_small(port: type[Any]) -> None:
    assert 0 < len(methods_of(port)) <= MOST_METHODS


def test_what_one_port_has_no_other_has() -> None:
    assert len(PORTS) > 1
    assert sum(len(methods_of(port)) for port in PORTS) == len(set().union(*map(methods_of, PORTS)))
    assert not methods_of(ports.Store)


@pytest.mark.parametrize(("path", "name"), [*uses_of_ports()])
def test_a_flow_names_no_port_that_it_does_not_use(path: Path, name: str) -> None:
    wanted = methods_of(getattr(ports, name))
    assert wanted, "a flow asks for parts of the store, not for all of it"
    used = {
        node.attr
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and _is_port(node.value)
    }
    assert wanted & used


def _is_port(node: ast.expr) -> bool:
    """Whether this is a store or a provider, by its name."""
    name = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
    return name.lstrip("_") in {"store", "provider"}
