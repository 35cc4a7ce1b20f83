"""What the testbeds `kind` and `live` share: a cluster that is reached over its API."""
