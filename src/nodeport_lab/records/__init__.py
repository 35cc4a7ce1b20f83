"""Records: runs that were kept, one JSON file each, and what differs between two sets of them.

A record follows the schema of `nodeport_lab.observations`. `files` writes and reads them,
`comparison` pairs runs and cells by their names, `roles` says whose address policy saw,
`wording` tells it to people and programs.
"""

from nodeport_lab.records.comparison import Comparison, compare
from nodeport_lab.records.files import Record, check_folder, file_name, read, stamped, write
from nodeport_lab.records.roles import role

__all__ = [
    "Comparison",
    "Record",
    "check_folder",
    "compare",
    "file_name",
    "read",
    "role",
    "stamped",
    "write",
]
