"""Stand-ins for programs that serve in pods, where the real ones would hide the network.

Each is a module that a container runs with `python -m`, and knows nothing of the lab: it
reads its settings from a file and serves. A connection that it opens because of another one
it tells in a line of its log, as a proxy does.
"""
