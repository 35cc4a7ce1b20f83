"""Labels and label selectors."""

from nodeport_lab.manifests.documents import Field
from nodeport_lab.manifests.syntax import label_value, one_of, qualified_name
from nodeport_lab.model import LabelSelector, Operator, Requirement


def read_labels(labels: Field) -> tuple[tuple[str, str], ...]:
    """The labels of a mapping, by key.

    Raises:
        ManifestError: a key or value is not what Kubernetes accepts in a label.
    """
    check_labels(labels)
    return tuple(sorted((labels.value or {}).items()))


def check_labels(labels: Field) -> None:
    """Check the keys and values of a mapping of labels.

    Raises:
        ManifestError: a key or value is not what Kubernetes accepts in a label.
    """
    for key, value in labels.members():
        if problem := qualified_name(key):
            raise value.error(problem)
        value.must(label_value)


def read_selector(selector: Field) -> LabelSelector:
    """A label selector; an absent one selects everything, like an empty one.

    Raises:
        ManifestError: a key, operator or value is not what Kubernetes accepts.
    """
    return LabelSelector(
        match_labels=read_labels(selector.get("matchLabels")),
        match_expressions=tuple(map(_requirement, selector.get("matchExpressions").items())),
    )


def _requirement(expression: Field) -> Requirement:
    key = expression.get("key").must(qualified_name)
    operator = Operator(expression.get("operator").must(one_of(Operator)))
    values = expression.get("values")
    if operator in {Operator.IN, Operator.NOT_IN}:
        if not values.value:
            raise values.error(f"the operator {operator} needs at least one value; add it")
    elif values.value:
        raise values.error(f"the operator {operator} takes no values; remove them")
    return Requirement(key, operator, tuple(value.must(label_value) for value in values.items()))
