"""EndpointSlices: the pods behind a Service that selects none itself.

Source: the Kubernetes documentation, "EndpointSlices" and "Services without selectors".
"""

from __future__ import annotations

from collections.abc import Sequence

from nodeport_lab.manifests.objects import Object
from nodeport_lab.model import Scenario

SERVICE_LABEL = "kubernetes.io/service-name"


def endpoint_pods(
    slices: Sequence[Object], scenario: Scenario
) -> tuple[dict[str, tuple[str, ...]], list[str]]:
    """Which pods EndpointSlices put behind Services without a selector.

    An endpoint is found by its `targetRef`: addresses of another cluster mean nothing here.

    Returns:
        service key -> pod keys, and a sentence for each slice of which nothing can be used.
    """
    pods = {pod.key for pod in scenario.pods}
    open_ = {service.key for service in scenario.services if not service.selector}
    found: dict[str, dict[str, None]] = {}
    notes = []
    for one in slices:
        name = one.field.get("metadata", "labels", SERVICE_LABEL).value
        key = f"{one.namespace}/{name}"
        if name is None or key not in open_:
            continue  # a Service with a selector finds its pods itself
        for endpoint in one.field.get("endpoints").items():
            target = endpoint.get("targetRef")
            pod = f"{target.get('namespace').value or one.namespace}/{target.get('name').value}"
            if target.get("kind").value == "Pod" and pod in pods:
                if endpoint.get("conditions", "ready").value is not False:
                    found.setdefault(key, {})[pod] = None
            else:
                notes.append(
                    f"{endpoint.place}: this endpoint of Service {key} is no pod of the manifests; "
                    "it is left out"
                )
    return {key: tuple(some) for key, some in found.items()}, notes
