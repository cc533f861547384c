"""What is asked over references, by id and by URL, and all that is asked of each type.

https://hl7.org/fhir/R4/search.html#chaining
"""

from __future__ import annotations

from hypothesis import strategies as st

from tests.unit.adapters.embedded.oracle.criteria import (
    codes,
    composites,
    dates,
    families,
    missing,
    profiles,
    quantities,
    subject_of,
    subjects,
    values,
)
from tests.unit.adapters.embedded.oracle.world import CANONICAL, IDS, PROGRESS, STATUSES, URLS, Asked, Resource, World


@st.composite
def chains(draw: st.DrawFn) -> Asked:
    name, inner = draw(st.sampled_from(["patient", "subject:Patient"])), draw(OF_PATIENTS)

    def means(resource: Resource, world: World) -> bool:
        targets = (other for other in world if other["resourceType"] == "Patient")
        return any(other["id"] == subject_of(resource, world) and inner.means(other, world) for other in targets)

    return Asked(f"{name}.{inner.name}", inner.text, means)


@st.composite
def reverse_chains(draw: st.DrawFn) -> Asked:
    kind, inner = draw(
        OF_OBSERVATIONS.map(lambda own: ("Observation", own)) | OF_ENCOUNTERS.map(lambda own: ("Encounter", own))
    )

    def means(resource: Resource, world: World) -> bool:
        referring = (other for other in world if other["resourceType"] == kind)
        return any(subject_of(other, world) == resource["id"] and inner.means(other, world) for other in referring)

    return Asked(f"_has:{kind}:patient:{inner.name}", inner.text, means)


def names(response: Resource, questionnaire: Resource) -> bool:
    """Whether the response is to this questionnaire: by its url, and by its version where it says one."""
    url, _, version = response.get("questionnaire", "").partition("|")
    return url == questionnaire.get("url") and version in ("", questionnaire.get("version"))


@st.composite
def canonicals(draw: st.DrawFn) -> Asked:
    """Without a version, with any; ending in a bar, with none."""
    text = draw(CANONICAL | st.sampled_from([f"{url}|" for url in URLS]))

    def means(resource: Resource, _: World) -> bool:
        own = resource.get("questionnaire", "")
        return own == text.removesuffix("|") or own.partition("|")[0] == text

    return Asked("questionnaire", text, means)


@st.composite
def chains_by_url(draw: st.DrawFn) -> Asked:
    name, inner = draw(st.sampled_from(["questionnaire", "questionnaire:Questionnaire"])), draw(OF_QUESTIONNAIRES)

    def means(resource: Resource, world: World) -> bool:
        targets = (other for other in world if other["resourceType"] == "Questionnaire")
        return any(names(resource, other) and inner.means(other, world) for other in targets)

    return Asked(f"{name}.{inner.name}", inner.text, means)


@st.composite
def reverse_chains_by_url(draw: st.DrawFn) -> Asked:
    inner = draw(OF_RESPONSES)

    def means(resource: Resource, world: World) -> bool:
        referring = (other for other in world if other["resourceType"] == "QuestionnaireResponse")
        return any(names(other, resource) and inner.means(other, world) for other in referring)

    return Asked(f"_has:QuestionnaireResponse:questionnaire:{inner.name}", inner.text, means)


OF_QUESTIONNAIRES = values("status", "status", STATUSES) | values("url", "url", URLS) | missing("version", "version")
OF_RESPONSES = values("status", "status", PROGRESS) | canonicals() | missing("questionnaire", "questionnaire")
OF_PATIENTS = (
    values("gender", "gender", ["male", "female"])
    | missing("birthdate", "birthDate")
    | families()
    | dates("birthdate")
    | values("_id", "id", IDS)
    | missing("_profile", "meta")
    | profiles()
)
OF_OBSERVATIONS = (
    codes()
    | values("status", "status", ["final", "amended"])
    | dates("date")
    | quantities()
    | composites()
    | subjects()
)
OF_ENCOUNTERS = dates("date") | missing("date", "period") | subjects()
ALL_OF = {
    "Patient": OF_PATIENTS | reverse_chains(),
    "Observation": OF_OBSERVATIONS | chains() | missing("subject", "subject"),
    "Encounter": OF_ENCOUNTERS | chains(),
    "Questionnaire": OF_QUESTIONNAIRES | reverse_chains_by_url(),
    "QuestionnaireResponse": OF_RESPONSES | chains_by_url(),
}
