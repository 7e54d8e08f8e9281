"""What every section of the settings has in common."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict


class Part(BaseModel):
    """A mapping in the file: frozen, and strict about its keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, use_attribute_docstrings=True)


def read_list(value: Any) -> Any:
    """Refuse a lone string where a list is meant."""
    if isinstance(value, str):
        raise ValueError(f"must be a list, like [{value}]")
    return value


Strings = Annotated[tuple[str, ...], BeforeValidator(read_list)]
