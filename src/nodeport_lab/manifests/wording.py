"""How a value, and what could stand in its place, is put into the words of an error."""

from collections.abc import Iterable

_LONGEST_SHOWN = 60
_MOST_CHOICES = 12


def shown(value: object) -> str:
    """A value as Python writes it, cut where it would fill the screen."""
    text = repr(value)
    return text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + "..."


def describe(value: object) -> str:
    """A value together with what kind of value it is."""
    match value:
        case None:
            return "nothing"
        case dict():
            return "a mapping"
        case list():
            return "a list"
        case bool():
            return str(value).lower()
        case str():
            return f"the text {shown(value)}"
        case _:
            return f"the number {shown(value)}"


def near_miss(name: str, known: Iterable[str]) -> str | None:
    """The known name that was probably meant."""
    import difflib  # noqa: PLC0415 - only errors need it

    spelled = {choice.lower(): choice for choice in known}
    near = difflib.get_close_matches(name[:_LONGEST_SHOWN].lower(), spelled, n=1)
    return spelled[near[0]] if near else None


def suggest(name: str, known: Iterable[str]) -> str:
    """What to write instead of an unknown name: the near miss, or else the choices."""
    choices = sorted(known)
    if near := near_miss(name, choices):
        return f"did you mean {near!r}?"
    if len(choices) > _MOST_CHOICES:
        choices = [*choices[:_MOST_CHOICES], "..."]
    return f"choose one of: {', '.join(choices)}"
