"""JSON Schemas of the models, as components of a document.

Answers may get more members, so the document does not forbid them; the tests do.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Literal

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, models_json_schema

Json = dict[str, Any]

_REF: Final = "#/components/schemas/"
_INPUT: Final = "Input"
#: Enumerations whose names say too little beside the other schemas.
_NAMES: Final[Mapping[str, str]] = {
    "Status": "AssociationStatus",
    "Method": "DecisionMethod",
    "Decisions": "NewDecisions",
}


class _Generator(GenerateJsonSchema):
    """Leaves out titles, which repeat the names in another spelling."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ANN401, ARG002  # pydantic's
        return False


class Schemas:
    """The schemas of some models; `inputs` are read, `outputs` are written."""

    def __init__(
        self, inputs: Iterable[type[BaseModel]], outputs: Iterable[type[BaseModel]]
    ) -> None:
        pairs: list[tuple[type[BaseModel], Literal["validation", "serialization"]]] = [
            *((model, "validation") for model in dict.fromkeys(inputs)),
            *((model, "serialization") for model in dict.fromkeys(outputs)),
        ]
        template = f"{_REF}{{model}}"
        made, document = models_json_schema(
            pairs, ref_template=template, schema_generator=_Generator
        )
        schemas = document.get("$defs", {})
        rename = _renaming(schemas)
        self.components: Json = {
            rename(name): _cleaned(schemas[name], rename) for name in sorted(schemas, key=rename)
        }
        self._refs = {model.__name__: _cleaned(ref, rename) for (model, _), ref in made.items()}

    def ref(self, model: type[BaseModel]) -> Json:
        """Return a reference to the schema of a model."""
        found: Json = self._refs[model.__name__]
        return found


def _renaming(schemas: Mapping[str, object]) -> Callable[[str], str]:
    """Return how a class's name becomes that of its schema: without "Input" where that is free."""

    def rename(name: str) -> str:
        short = name.removesuffix(_INPUT)
        return name if short != name and short in schemas else _NAMES.get(short, short)

    return rename


def _cleaned(schema: Any, rename: Callable[[str], str]) -> Any:  # noqa: ANN401  # any JSON
    match schema:
        case list():
            return [_cleaned(one, rename) for one in schema]
        case dict():
            return {
                name: _renamed(value, rename) if name == "$ref" else _cleaned(value, rename)
                for name, value in schema.items()
                if not _is_noise(name, value)
            }
        case _:
            return schema


def _renamed(ref: str, rename: Callable[[str], str]) -> str:
    """Return a reference to the schema as it is called in the document."""
    return f"{_REF}{rename(ref.removeprefix(_REF))}"


def _is_noise(name: str, value: object) -> bool:
    match name:
        case "title":  # of a class; a member of that name has a schema
            return isinstance(value, str)
        case "additionalProperties":
            return value is False
        case "default":  # null: what is absent stays as it is, or is none
            return value is None
        case _:
            return False
