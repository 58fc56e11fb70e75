"""In which of two forms keys come and rows go: JSON, or an Arrow IPC stream."""

from __future__ import annotations

from enum import Enum
from http import HTTPStatus

from lakeflow.serve.answer import RequestError

__all__ = ["Form", "sent_form", "wanted_form"]


class Form(Enum):
    """A form, by its media type as IANA lists it."""

    JSON = "application/json"
    ARROW = "application/vnd.apache.arrow.stream"


def sent_form(content_type: str | None) -> Form:
    """Return the form that a body says it has; JSON where it says nothing.

    Raises:
        RequestError: 415, any other.
    """
    kind = (content_type or Form.JSON.value).partition(";")[0].strip().lower()
    try:
        return Form(kind)
    except ValueError:
        message = f"A body is {Form.JSON.value} or {Form.ARROW.value}, by its content-type."
        raise RequestError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, message) from None


def wanted_form(accept: str | None) -> Form:
    """Return Arrow where a client names it and doesn't prefer JSON, by `Accept` (RFC 9110, 12.5.1); else JSON."""
    weights = dict(_weighed(each) for each in (accept or "").split(","))
    arrow = weights.get(Form.ARROW.value, 0.0)
    return Form.ARROW if arrow > 0 and arrow >= weights.get(Form.JSON.value, 0.0) else Form.JSON


def _weighed(accepted: str) -> tuple[str, float]:
    """Return a media type and its weight; 0 for a weight that is none."""
    kind, *parameters = (part.strip().lower() for part in accepted.split(";"))
    weight = next((each[2:] for each in parameters if each.startswith("q=")), "1")
    try:
        return kind, float(weight)
    except ValueError:
        return kind, 0.0
