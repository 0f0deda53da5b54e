"""What a teacher has: a class, students, a batch with a decided essay and a pending one, a plan."""

from dataclasses import dataclass, fields
from typing import Any, Self

from rules.ids import new_id
from tests.integration.web.api import TEACHER, Api
from tests.integration.web.importing import new_plan


@dataclass(frozen=True)
class World:
    """The ids of a teacher's things; the student is in the class, the other one in none."""

    class_id: str
    other_class_id: str
    student_id: str
    other_student_id: str
    batch_id: str
    essay_id: str
    pending_id: str
    import_id: str

    @classmethod
    def of_nobody(cls) -> Self:
        """Return ids of nothing."""
        return cls(*(str(new_id()) for _ in fields(cls)))

    def fill(self, value: object) -> Any:  # noqa: ANN401  # JSON in, JSON out
        """Return JSON with the ids in the places of their names."""
        if isinstance(value, str):
            return value.format(**vars(self))
        if isinstance(value, dict):
            return {key: self.fill(member) for key, member in value.items()}
        return [self.fill(member) for member in value] if isinstance(value, list) else value


async def new_world(api: Api, user: str = TEACHER) -> World:
    """Give a teacher all of it."""
    class_id, other_class_id = await api.new_class(user=user), await api.new_class("9B", user=user)
    student_id = await api.new_student(email="asa@skola.se", class_ids=(class_id,), user=user)
    other_id = await api.new_student("Bo", "Ek", user=user)
    batch_id, [essay_id, pending_id] = await api.new_batch(class_id, student_id, student_id)
    import_id = await new_plan(api.setup.store.imports, other_class_id, user)
    world = World(
        class_id,
        other_class_id,
        student_id,
        other_id,
        batch_id,
        essay_id,
        pending_id,
        import_id,
    )
    decided = {"associations": [{"essay_id": essay_id, "confirmed": True}]}
    path = f"/v1/batches/{batch_id}/student-associations/confirm"
    assert (await api.send("POST", path, decided, user=user)).status == 200
    return world


async def everything(api: Api, world: World, user: str = TEACHER) -> list[object]:
    """Return all that the owner can see."""
    paths = (
        "/v1/classes",
        "/v1/classes/{class_id}",
        "/v1/classes/{other_class_id}",
        "/v1/classes/{class_id}/roster",
        "/v1/classes/{class_id}/history",
        "/v1/classes/students/{student_id}/history",
        "/v1/classes/students",
        "/v1/classes/students/{student_id}",
        "/v1/batches",
        "/v1/batches/{batch_id}/student-associations",
        "/v1/batches/{batch_id}/student-associations/{essay_id}/history",
        "/v1/imports",
        "/v1/imports/{import_id}",
        "/v1/imports/{import_id}/rows",
    )
    seen = [(await api.get(world.fill(path), user=user)).json for path in paths]
    for one in seen:
        one.pop("server_time", None)
    return seen
