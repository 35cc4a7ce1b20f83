"""Check: what somebody's own manifests do, on every dataplane, asked with real packets.

The way of a check: `questions` (who may dial what) -> `reasoning` (which of them differ at
all) -> `plan` (which of them are asked) -> `session` (a running testbed that is asked) ->
`answers` -> `differences`, `rules` (what is worth telling) -> `remedies` (what would make
dataplanes agree, tried with packets). `checker` goes it; `changes` compares two checks.
"""
