"""XML elements as the text of a JUnit report."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

_NOT_IN_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def as_xml(suites: ET.Element) -> str:
    """The text; characters that XML cannot hold, as a terminal's escape codes, are left out."""
    ET.indent(suites)
    text = ET.tostring(suites, encoding="unicode", xml_declaration=True)
    return _NOT_IN_XML.sub("", text) + "\n"
