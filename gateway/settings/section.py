"""What every section of the settings has in common."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema


class Section(BaseModel):
    """A mapping in the file: frozen, and strict about its keys.

    What is written below a field describes it in the schema (`schema`), which reads it from the source when it is asked
    for: pydantic would at each start (`use_attribute_docstrings`).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class OneOrMore:
    """Mark of a list of texts: a lone one is a list of one, as variables of the environment often have it.

    `least`: how many there must be. (pydantic's own `min_length` does not count an item that is refused.)
    """

    def __init__(self, least: int = 0) -> None:
        self._least = least

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Return how it is read."""
        read = core_schema.no_info_before_validator_function(read_list, handler(source))
        return core_schema.no_info_after_validator_function(self._count, read) if self._least else read

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Return how it may be written: the item as a text, or a list of such."""
        written = handler(schema) | ({"minItems": self._least} if self._least else {})
        alone = next(form for form in written["items"].get("oneOf", [written["items"]]) if "$ref" not in form)
        return {"anyOf": [alone, written]}

    def _count(self, value: tuple[Any, ...]) -> tuple[Any, ...]:
        if len(value) < self._least:
            raise ValueError("is empty")
        return value


def read_list(value: Any) -> Any:
    """Read a lone text as a list of one, an empty text as an empty list."""
    return [value] * bool(value) if isinstance(value, str) else value


Strings = Annotated[tuple[str, ...], OneOrMore()]
