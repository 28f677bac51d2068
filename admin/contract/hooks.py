"""What no schema can say, and what the tester is not able to do. Judges everything else as Schemathesis does."""

import json
import os
from urllib.parse import unquote

import jsonschema_rs
import schemathesis

# A cursor is a text that a list gave, and no other text of that form is one. A WebSocket wants a connection of its own kind.
GIVEN = {"after", "before", "Last-Event-ID", "Upgrade"}
# A head of more than 64 KiB is refused while it is read, which the document says once, and of no operation.
UNREAD = {414, 431}
HEAD_BYTES_READ = 64_000
# Whoever tests must not be locked out on the way.
TESTER = os.environ.get("GATEHOUSE_TESTER", "")


@schemathesis.hook
def filter_case(context, case):
    """Nobody ends the tester's own account."""
    # A name out of an answer is put into a path as it has to stand there.
    named = unquote(unquote(str(case.path_parameters))).lower()
    return TESTER == "" or TESTER not in named


def head_bytes(response):
    """How long the head was that this answers."""
    headers = response.request.headers.items()
    return len(response.request.url) + sum(len(str(name)) + len(str(value)) + 4 for name, value in headers)


@schemathesis.hook
def filter_failure(context, failure, case, response):
    """Every failure stays one, but for a refusal of what was not given, and of a head that is longer than is read."""
    if response.status_code in UNREAD and response.content == b"" and head_bytes(response) > HEAD_BYTES_READ:
        return False
    if type(failure).__name__ != "RejectedPositiveData" or response.status_code != 400:
        return True
    fields = {error["field"] for error in response.json().get("errors", [])}
    return not fields or not fields <= GIVEN


@schemathesis.check
def events_are_messages(context, response, case):
    """The data of each event of a stream is a message as the document has it."""
    if "text/event-stream" not in "".join(response.headers.get("content-type", [])):
        return
    components = case.operation.schema.raw_schema["components"]
    message = jsonschema_rs.validator_for({"$ref": "#/components/schemas/LiveMessage", "components": components})
    for line in response.text.splitlines():
        if line.startswith("data: ") and line.endswith("}"):
            data = json.loads(line.removeprefix("data: "))
            assert message.is_valid(data), f"no message of the document: {data}"


@schemathesis.serializer("application/x-ndjson")
def ndjson(context, value):
    """A list is sent as it is."""
    return value if isinstance(value, bytes) else str(value).encode()
