"""Plain values to settings, and what is wrong with them in one line."""

from reprlib import repr as brief
from typing import Any, TypeVar

from pydantic import ValidationError

from audioid.errors import AudioidError, did_you_mean
from audioid.schema import OPTIONS, Section, Settings

# What keys were once called.
RENAMED = {
    "image.spacing": "image.frequency_scale",
    "image.scale": "image.amplitude_scale",
    "augment.share": "augment.p",
    "augment.pitch": "augment.pitch_semitones",
    "augment.filter": "augment.eq_db",
    "augment.room": "augment.reverb_seconds",
    "augment.noise": "augment.min_snr_db",
    "augment.gain": "augment.gain_db",
    "scheduler.warmup_epochs": "scheduler.warmup, a share of the budget",
}

S = TypeVar("S", bound=Section)


def checked(schema: type[S], values: Any, key: str) -> S:
    """The settings that a table of plain values under `key` makes.

    Raises:
        AudioidError: a key is unknown or missing, or its value is of a wrong type or out of range.
    """
    try:
        return schema.model_validate(values)
    except ValidationError as error:
        raise AudioidError(_line(error, schema, key)) from error


def checked_option(group: str, values: Any) -> Section:
    """As `checked`, for a group of `Settings` of which `name` says which of its options it is."""
    if group not in OPTIONS:
        schema: type[Section] = Settings.model_fields[group].annotation  # type: ignore[assignment]
        return checked(schema, values, group)
    name = values.get("name") if isinstance(values, dict) else None
    if not isinstance(name, str) or name not in OPTIONS[group]:
        raise AudioidError(f"{group}.name: there is no {brief(name)}; choose one of {', '.join(OPTIONS[group])}")
    return checked(OPTIONS[group][name], values, group)


def _line(error: ValidationError, schema: type[Section], key: str) -> str:
    """The first thing that is wrong, as `KEY: PROBLEM; REMEDY`."""
    found = error.errors(include_url=False)
    first = found[0]
    name = str(first["loc"][0]) if first["loc"] else ""
    full = f"{key}.{name}".strip(".")
    value = brief(first["input"])
    # A value that may be of several types has a problem with each of them.
    about = [each for each in found if each["loc"][:1] == first["loc"][:1]]
    match first["type"]:
        case "model_type":
            return f"{full}: {value} is no table of keys and values; correct it".removeprefix(": ")
        case "extra_forbidden":
            hint = f"renamed to {RENAMED[full]}" if full in RENAMED else did_you_mean(name, schema.model_fields)
            return f"{full}: no such key; {hint}"
        case "missing":
            return f"{full}: is missing; give it a value"
        case "value_error":
            return f"{full}: {value} {first['ctx']['error']}"
        case "literal_error" if len(about) == 1:
            choices = first["ctx"]["expected"].replace("'", "")
            return f"{full}: there is no {value}; choose one of {choices}"
        case "finite_number":
            return f"{full}: {value} is not finite; correct it"
    problems = " or ".join(each["msg"].removeprefix("Input should be ") for each in about)
    for long, short in (("greater than or equal to", "at least"), ("less than or equal to", "at most")):
        problems = problems.replace(long, short)
    if len(about) == 1 and first["type"].startswith(("greater", "less")):
        return f"{full}: {value} is out of range; it must be {problems}"
    return f"{full}: {value} is not {problems}; correct it"
