"""Text out of files, made harmless to a terminal."""

import re


def on_a_line(text: object) -> str:
    """`text` with what would break the line, or steer the terminal, written as an escape such as `\\n`."""
    return re.sub(
        r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", lambda found: found[0].encode("unicode_escape").decode(), str(text)
    )
