"""nodeport-lab: what a NetworkPolicy does to NodePort traffic, measured."""
