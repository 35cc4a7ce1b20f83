"""Documents in, Kubernetes objects out: kinds, lists of objects, fields and metadata."""

from dataclasses import dataclass

from nodeport_lab.errors import ManifestError
from nodeport_lab.manifests.documents import Field, read_documents
from nodeport_lab.manifests.fields import check_fields, kubernetes_table
from nodeport_lab.manifests.labels import check_labels
from nodeport_lab.manifests.syntax import dns_label, dns_subdomain, qualified_name
from nodeport_lab.manifests.wording import describe, near_miss, shown

_LIST = {"apiVersion": "str", "kind": "str", "metadata": "any", "items": "[any]!"}
_NAME_RULES = {"Namespace": dns_label, "Service": dns_label}  # the others: a DNS subdomain


@dataclass(frozen=True, slots=True)
class Object:
    """One object of a manifest: every field of it is one that Kubernetes knows.

    Attributes:
        kind: its kind.
        namespace: the namespace that it lives in; empty for a Namespace.
        name: its name.
        field: all of it, with its place.
    """

    kind: str
    namespace: str
    name: str
    field: Field

    @property
    def spec(self) -> Field:
        """The object's spec."""
        return self.field.get("spec")


def read_objects(text: str | bytes, source: str) -> tuple[Object, ...]:
    """Read every object of a YAML or JSON text, those inside a `List` included.

    Args:
        text: one document or several; bytes must be UTF-8.
        source: name of the text for errors, usually its path.

    Raises:
        ManifestError: something in it is not YAML, or not one of the kinds that the lab
            reads, or has a field that Kubernetes does not know.
    """
    objects: list[Object] = []
    for document in read_documents(text, source):
        objects.extend(_objects(document))
    return tuple(objects)


def _objects(field: Field) -> list[Object]:
    if not isinstance(field.value, dict):
        message = f"{describe(field.value)} stands where an object belongs"
        raise field.error(f"{message}; write apiVersion, kind, metadata and spec")
    kind = field.value.get("kind")
    if kind == "List":
        check_fields(field, "List", {"List": _LIST})
        return [found for item in field.get("items").items() for found in _objects(item)]
    kinds = kubernetes_table()["kinds"]
    if not isinstance(kind, str) or kind not in kinds:
        raise _unknown_kind(field.get("kind"), sorted([*kinds, "List"]))
    return [read_object(field)]


def _unknown_kind(kind: Field, known: list[str]) -> ManifestError:
    reads = f"the lab reads {', '.join(known)}"
    if not isinstance(kind.value, str):
        return kind.error(f"{describe(kind.value)} stands where a kind belongs; {reads}")
    near = near_miss(kind.value, known)
    question = f"; did you mean {near!r}?" if near else ""
    return kind.error(f"{reads}, and not {shown(kind.value)}{question}")


def read_object(field: Field) -> Object:
    """One object of a kind that the lab reads.

    Args:
        field: a mapping whose `kind` is one of those.

    Raises:
        ManifestError: it is not one that Kubernetes accepts.
    """
    kind = field.value["kind"]
    entry = kubernetes_table()["kinds"][kind]
    api_version, type_ = entry["apiVersion"], entry["type"]
    version = field.get("apiVersion")
    if version.value != api_version:
        given = "is missing" if version.value is None else f"is {shown(version.value)}"
        raise version.error(f"the apiVersion of this {kind} {given}; write {api_version}")
    check_fields(field, type_, kubernetes_table()["types"])
    metadata = field.get("metadata")
    if metadata.get("name").value is None:
        raise metadata.get("name").error(f"this {kind} has no name; give it one")
    name = metadata.get("name").must(_NAME_RULES.get(kind, dns_subdomain))
    check_labels(metadata.get("labels"))
    for key, annotation in metadata.get("annotations").members():
        if problem := qualified_name(key.lower()):
            raise annotation.error(problem)
    namespace = metadata.get("namespace")
    if kind == "Namespace":
        if namespace.value:
            raise namespace.error("a Namespace lives in no namespace; remove this field")
        return Object(kind, "", name, field)
    if not namespace.value:
        return Object(kind, "default", name, field)
    return Object(kind, namespace.must(dns_label), name, field)
