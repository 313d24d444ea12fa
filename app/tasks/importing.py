"""Open what lists of people are enrolled by, where people are recognised at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.libraries.enrolling import Enrolment
from app.libraries.opening import thumbnails_of
from app.plans import Plans
from app.tasks.import_work import PeopleImport

if TYPE_CHECKING:
    from uuid import UUID

    from app.libraries.recognition import Recognizer
    from app.plans import Plan
    from app.services import Services


def people_import(services: Services, people: Recognizer | None) -> PeopleImport | None:
    """Return who enrols lists of people; None where nobody is recognised, or nothing is kept."""
    memory, settings = services.memory, services.settings
    if memory is None or people is None:
        return None
    plans, keys = Plans(settings.plans), memory.keys

    async def plan_of(owner: UUID) -> Plan:
        key = await keys.get(owner)
        return plans.of(key.plan if key else None)

    enrolment = Enrolment(memory.database, people.space, thumbnails=thumbnails_of(services))
    return PeopleImport(services.engine, people, enrolment, plan_of, settings.max_image_bytes)
